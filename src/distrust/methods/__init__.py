"""Methods: one paper (or baseline), one file, a short function that reads like the algorithm.

The only place that knows a paper. A method turns a `Run` and its options into a trained student, and knows nothing of
checkpoints, progress bars, devices or money.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from distrust.errors import RecipeError, nearest
from distrust.methods.aekd import Aekd, aekd
from distrust.methods.auto import Auto, auto
from distrust.methods.averaged import Averaged, averaged
from distrust.methods.best_teacher import BestTeacher, best_teacher
from distrust.methods.ca_mkd import CaMkd, ca_mkd
from distrust.methods.cfl import Cfl, cfl
from distrust.methods.co_teaching import CoTeaching, co_teaching
from distrust.methods.concatenated import Concatenated, concatenated
from distrust.methods.dfa import Dfa, dfa
from distrust.methods.distill import Distill, distill
from distrust.methods.distillm import Distillm, distillm
from distrust.methods.ebkd import Ebkd, ebkd
from distrust.methods.elr import Elr, elr
from distrust.methods.fitnet_mkd import FitnetMkd, fitnet_mkd
from distrust.methods.gkd import Gkd, gkd
from distrust.methods.gold_only import GoldOnly, gold_only
from distrust.methods.mckd import Mckd, mckd
from distrust.methods.mmkd import Mmkd, mmkd
from distrust.methods.muka import Muka, muka
from distrust.methods.okd import Okd, okd
from distrust.methods.padded_average import PaddedAverage, padded_average
from distrust.methods.peer_advised import PeerAdvised, peer_advised
from distrust.methods.selective import Selective, selective
from distrust.methods.self_distillation import SelfDistillation, self_distillation
from distrust.methods.small_loss import SmallLoss, small_loss
from distrust.methods.speculative_kd import SpeculativeKd, speculative_kd
from distrust.methods.ta_in_the_loop import TaInTheLoop, ta_in_the_loop
from distrust.methods.taid import Taid, taid
from distrust.methods.uhc import Uhc, uhc
from distrust.methods.uld import Uld, uld
from distrust.recipe import Strict
from distrust.recipe_file import sentence
from distrust.run import Run
from distrust.students import Student


@dataclass(frozen=True)
class Method:
    """A method's function, the model of its options, and one line about it."""

    run: Callable[[Run, Any], Student]
    options: type[Strict]
    about: str


METHODS = {
    "distill": Method(distill, Distill, "learn from what the teachers say, and from gold; the baseline of all others"),
    "gold-only": Method(gold_only, GoldOnly, "learn from the gold labels alone, as if there were no teacher"),
    "peer-advised": Method(
        peer_advised, PeerAdvised, "a scout doubts half of the claims, a peer trained on the other half corrects them"
    ),
    "selective": Method(selective, Selective, "learn from the claims that a scout finds likely, and leave the rest"),
    "self-distillation": Method(self_distillation, SelfDistillation, "a student relabels the pool for another"),
    "mckd": Method(mckd, Mckd, "students of two halves of the pool relabel each other's"),
    "co-teaching": Method(co_teaching, CoTeaching, "two students, each learning from what the other finds easy"),
    "small-loss": Method(small_loss, SmallLoss, "believe a claim as far as its loss looks clean: DivideMix's split"),
    "elr": Method(elr, Elr, "hold the student to what it said early: early-learning regularisation"),
    "muka": Method(muka, Muka, "merge specialists that know different classes: believe the one that knows the item"),
    "concatenated": Method(concatenated, Concatenated, "merge specialists by their logits side by side: vanilla KD"),
    "padded-average": Method(padded_average, PaddedAverage, "merge specialists by their mean, zero where one does not know"),
    "cfl": Method(cfl, Cfl, "merge specialists by logits side by side and by features in one space"),
    "dfa": Method(dfa, Dfa, "merge specialists by logits side by side and by following their features' common code"),
    "uhc": Method(uhc, Uhc, "merge specialists by agreeing with each over its own classes"),
    "ca-mkd": Method(ca_mkd, CaMkd, "several teachers, each weighed item by item by how well it foretells the label"),
    "averaged": Method(averaged, Averaged, "several teachers alike, beside the label: AVER"),
    "best-teacher": Method(best_teacher, BestTeacher, "of several teachers the one that gold chooses, beside the label"),
    "ebkd": Method(ebkd, Ebkd, "several teachers, each weighed item by item by how sure it is"),
    "aekd": Method(aekd, Aekd, "several teachers, weighed step by step so that no teacher's loss rises"),
    "mmkd": Method(mmkd, Mmkd, "several teachers, weighed by a network that learns what helps where the student errs"),
    "ta-in-the-loop": Method(
        ta_in_the_loop, TaInTheLoop, "a small budget of teachers' answers, spent where student and assistant are least sure"
    ),
    "auto": Method(auto, Auto, "try the methods that can run on gold, and carry out the one that wins"),
    "okd": Method(okd, Okd, "a language model that moves towards its student while the student learns from it"),
    "gkd": Method(gkd, Gkd, "follow a language model's probabilities of tokens, on given texts and on the student's own"),
    "uld": Method(uld, Uld, "follow a language model with another tokenizer: texts, and how sure to be of each token"),
    "taid": Method(taid, Taid, "follow a target that sets out from the student and arrives at a language model"),
    "distillm": Method(
        distillm, Distillm, "follow a language model by a skew divergence, on the student's own texts as it needs them"
    ),
    "speculative-kd": Method(
        speculative_kd, SpeculativeKd, "follow a language model on texts that the student writes and it corrects"
    ),
    "fitnet-mkd": Method(fitnet_mkd, FitnetMkd, "several teachers alike, in logits and in features"),
}


def find(name: str, options: dict[str, Any]) -> tuple[Method, Strict]:
    """A method by name and its options, checked.

    Raises:
        RecipeError: no such method, or an option it does not have; the nearest right one is named.
    """
    if name not in METHODS:
        raise RecipeError(f"There is no method {name!r}; {nearest(name, METHODS)}.")
    method = METHODS[name]
    try:
        return method, method.options.model_validate(options)
    except ValidationError as error:
        raise RecipeError(sentence(error, method.options, "method.options")) from None
