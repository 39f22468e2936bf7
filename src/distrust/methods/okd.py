"""okd: a teacher that moves towards its student while the student learns from it. Rao et al. 2024 (arXiv 2409.12512).

Low-rank terms in a frozen language model train together with the student on the same texts; each side takes the other, as it
was before the step, as its target; the terms are thrown away at the end. "Online" means that the teacher adapts: nothing is
sampled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial

from pydantic import Field, model_validator
from torch import Tensor

from distrust import trunk
from distrust.data import Items
from distrust.evaluate.following import following, own_words
from distrust.files import fingerprint
from distrust.losses import linear
from distrust.losses.chunks import Projected
from distrust.low_rank import Terms, absent, attached, checkpointed, targeted
from distrust.methods.language import DIVERGENCES, TUTOR, Divergence, Probe, Tutor, probe, pull, texts, tutor
from distrust.objective import Batch, Objective
from distrust.recipe import Strict
from distrust.run import Run
from distrust.sides import Joint, Parts, Side
from distrust.students import Student
from distrust.students.causal import CausalStudent, writer
from distrust.students.completions import Exchanges

BEFORE = "original"  # the side of the teacher without its terms


class Okd(Strict):
    """Options of okd. The paper gives neither alpha nor scale, temperature or the terms' rate: these defaults are ours."""

    alpha: float = Field(
        0.1,
        ge=0,
        le=1,
        description="how far the teacher is pulled to the student, the rest to the texts; to be tuned",
    )
    rank: int = Field(32, gt=0, description="of the terms in the teacher")
    scale: float = Field(2.0, gt=0, description="of the terms in the teacher")
    layers: int | None = Field(None, gt=0, description="adapt so many of the teacher's last layers; default: all")
    store_trunk: bool = Field(
        False,
        description="with `layers`: run the layers below once and keep what they say on disk, so that an epoch costs less",
    )
    targets: list[str] = Field(
        default_factory=list, description="last names of the teacher's layers to adapt; default: queries and values"
    )
    teacher_learning_rate: float | None = Field(None, gt=0, description="of the terms; default: the student's")
    anchor: float = Field(
        0.0, ge=0, description="weight of the adapted teacher's divergence from the original one: one more forward a step"
    )
    every: int = Field(1, gt=0, description="the teacher moves on every n-th step")
    gradient_checkpointing: bool = Field(
        False, description="hold of the teacher what goes into its layers alone, and run each again for its gradient"
    )
    divergence: Divergence = Field("forward", description="the student's; docs/losses.md has their formulas")
    temperature: float = Field(1.0, gt=0, description="softens both sides in divergences")
    gold_weight: float = Field(1.0, ge=0, description="how many pool items a gold item counts as; 0: do not train on gold")

    @model_validator(mode="after")
    def _a_trunk_is_below_something(self) -> Okd:
        if self.store_trunk and self.layers is None:
            raise ValueError("`store_trunk` keeps what the layers below `layers` say; give how many of the last are adapted")
        return self


def okd(run: Run, options: Okd) -> Student:
    """Train a student beside an adapting teacher. Raises RunError, before training, where the two do not go together."""
    its = tutor(run)
    targeted(its.model.module, options.layers, options.targets)
    if options.store_trunk and options.layers is not None:
        trunk.check(its.model, options.layers, its.teacher.name)
    told = texts(run, [its], options.gold_weight)
    rate = options.teacher_learning_rate or run.options.learning_rate or run.new_student(run.seed).default_learning_rate
    loop = run.options.model_copy(update={"learning_rate": rate, "weight_decay": 0.0})
    with (
        attached(
            its.model.module, options.rank, options.scale, layers=options.layers, targets=options.targets, seed=run.seed
        ) as terms,
        checkpointed(its.model.module) if options.gradient_checkpointing else nullcontext(),
    ):
        side = its.side(loop, options.every)
        if options.store_trunk and options.layers is not None:
            side.student = trunk.top(its.model, options.layers, partial(run.stage, "trunk"))
        sides = [side]
        if options.anchor:
            original = Original(**its.model.parts, adapted=writer(side.student), terms=terms)
            sides.append(Side(original, Objective({}), loop, BEFORE, 0, steady=True, who=its.teacher.name))
        joint = Joint(
            fingerprint("okd", its.key),
            sides,
            _Losses(its, options),
            measure=partial(_figures, its, terms, probe(told, its), run.seed),
        )
        student = run.fit("student", told, options=options, joint=joint)
    kept = _kept(run.fits["student"].history)
    if kept["drift"] > kept["kl"] / 3:
        run.warn(
            f"{its.teacher.name} drifted by {kept['drift']:.3f} nats a token, more than a third of the student's distance "
            f"from it ({kept['kl']:.3f}): it may have been pulled down to its student; lower alpha."
        )
    return student


def _kept(history: Sequence[Mapping[str, float]]) -> Mapping[str, float]:
    """The row of the epoch whose student was kept: validation's best, else the last."""
    return min(history, key=lambda row: row["validation"]) if "validation" in history[-1] else history[-1]


class _Losses:
    """What both sides minimise: OKD, equations 16 and 17."""

    def __init__(self, its: Tutor, options: Okd) -> None:
        self.vocabulary, self.options = its.vocabulary, options
        self.alone = pull(options.divergence, None, options.temperature, its.vocabulary)
        self.held = pull("forward", None, options.temperature, its.vocabulary)

    def __call__(self, said: Mapping[str, Projected], batch: Batch) -> Mapping[str, Parts]:
        """Hidden states of both sides, (n, T, d) each, to both losses."""
        student, teacher = said["student"], said[TUTOR]
        if not teacher.hidden.requires_grad:  # a step on which the teacher rests
            return {"student": {"divergence": self.alone(student, teacher, batch)}}
        both = linear.two_sided(
            student,
            teacher,
            batch["labels"].clamp(min=-1),
            alpha=self.options.alpha,
            loss=DIVERGENCES[self.options.divergence][0],
            weights=batch["weight"],
            counted=batch["weight"] > 0,
            count=batch["count"],
            temperature=self.options.temperature,
            vocabulary=self.vocabulary,
        )
        held = {"anchor": self.options.anchor * self.held(teacher, said[BEFORE], batch)} if BEFORE in said else {}
        return {"student": {"divergence": both.student}, TUTOR: {"loss": both.teacher, **held}}


@dataclass
class Original(CausalStudent):
    """The teacher as it was before its terms, while they hang in it."""

    adapted: CausalStudent
    terms: Sequence[Terms]

    def encode_told(self, items: Items, completions: Sequence[str], whose: Tensor | None = None) -> Exchanges:
        """As the adapted one."""
        return self.adapted.encode_told(items, completions, whose)

    def hidden(self, inputs: dict[str, Tensor]) -> Projected:
        """As the adapted one, the terms absent."""
        with absent(self.terms):
            return self.adapted.hidden(inputs)


def _figures(its: Tutor, terms: Sequence[Terms], on: Probe, seed: int, sides: Sequence[Side]) -> dict[str, float]:
    """An epoch's record. `kl` is to the original teacher, `drift` how far the adapted one has gone from it."""
    student, original = writer(sides[0].student), Original(**its.model.parts, adapted=its.model, terms=terms)
    own = own_words(student, on.items, seed)
    found: dict[str, float] = {}
    for end, words in (("", on.completions), ("_own_words", own)):
        adapted = following(its.model, original, on.items, words)
        found |= {f"drift{end}": adapted.kl, f"teacher_nll{end}": adapted.nll}
    moved = following(student, its.model, on.items, on.completions)
    return {**on.figures(student, original, seed, own), **found, "kl_to_adapted": moved.kl}
