"""One teacher that knows all classes, and no gold: what a method does then is plain distillation, or it says why not.

A new method has a line in one of the two tables; one that has none fails.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from distrust.methods import METHODS, find
from tests.methods.test_conformance import BRIEF, equal, opened, teachers, weights


@dataclass(frozen=True)
class Plain:
    """How a method of one teacher is `distill`.

    Args:
        distill: options of distill with which it is the same.
        options: of the method, which leave its own beside what it learns from the teacher out; none where nothing has to be.
        within: the largest difference of a weight; 0: bit for bit.
    """

    distill: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    within: float = 0.0


ROUNDED = 1e-6  # where the same gradient is formed in another order: that of a divergence, say, for that of a cross-entropy
SOFT = {"temperature": 4.0}  # the default of all that weigh several teachers
HARD = {"targets": "hard"}  # of one teacher, its claims

ONE_TEACHER: dict[str, Plain | str] = {
    "distill": Plain(),
    "auto": Plain(),
    "averaged": Plain(SOFT),
    "best-teacher": Plain(SOFT),
    "ca-mkd": Plain(SOFT),
    "ebkd": Plain(SOFT),
    "aekd": Plain(SOFT, within=ROUNDED),
    "mmkd": Plain(SOFT, within=ROUNDED),
    "fitnet-mkd": Plain(SOFT, {"feature": None}),
    "muka": Plain(),
    "concatenated": Plain(),
    "padded-average": Plain(),
    "uhc": Plain(within=ROUNDED),
    "cfl": Plain(options={"alpha": 0}),
    "dfa": Plain(options={"alpha": 0}),
    "peer-advised": Plain(HARD, {"gate": "none", "keep": 1}),
    "selective": Plain(HARD, {"keep": 1}),
    "co-teaching": Plain(HARD, {"forget_rate": 0}),
    "elr": Plain(HARD, {"strength": 0}),
    "ta-in-the-loop": Plain(HARD, {"budget": 1.0, "stages": 1, "drop": 0}),
    # and why not
    "gold-only": "it asks no teacher",
    "self-distillation": "its student learns what another student claims, however many teachers that one had",
    "mckd": "its student learns what students of the other half claim, however many teachers those had",
    "small-loss": "it mixes each claim with what a scout says of the item, and no option leaves the scout out",
    "gkd": "it follows a teacher's tokens, where distill learns the text; test_gkd holds it to a naive loop of whole logits",
    "okd": "it follows tokens, and its teacher moves towards the student; test_okd holds it to a naive loop",
    "taid": "it follows tokens, from a target that sets out from the student; test_taid holds it to a naive loop",
    "distillm": "it follows tokens by a skew divergence, and leaves texts out to judge by; test_distillm holds it to a loop",
    "speculative-kd": "it follows tokens, of texts that the student begins; without those it is gkd, bit for bit",
    "uld": "it follows how sure a teacher is of each token, whatever the token; test_uld holds it to a naive loop",
}


@pytest.mark.parametrize("name", sorted(METHODS))
def test_one_teacher_is_plain_distillation_or_the_table_says_why_not(name: str, tmp_path: Path) -> None:
    assert name in ONE_TEACHER, f"say in ONE_TEACHER how {name} of one teacher is distill, or why it is not"
    said = ONE_TEACHER[name]
    if isinstance(said, str):
        return
    ours, plain = alone(tmp_path / "a", name, said.options), alone(tmp_path / "b", "distill", said.distill)
    if said.within:
        assert ours.keys() == plain.keys()
        assert max(float((value - plain[key]).abs().max()) for key, value in ours.items()) <= said.within
    else:
        assert equal(ours, plain), "bit for bit"


def alone(folder: Path, name: str, options: Mapping[str, Any]) -> dict[str, Tensor]:
    """The weights of a student of the one teacher that exchanges two classes."""
    method, checked = find(name, dict(options))
    with opened(folder, teachers()[2:], BRIEF, gold=False) as run:
        return weights(method.run(run, checked))


def test_the_table_names_no_method_that_is_none_and_says_its_reasons() -> None:
    assert set(ONE_TEACHER) == set(METHODS)
    assert all(isinstance(said, Plain) or len(said.split()) > 3 for said in ONE_TEACHER.values())
