"""A teacher made wrong on purpose: it is asked as ever, and what it says is changed by a rule that a recipe can name.

Knows evidence, and changes an item's claims and logits together; `slips` changes open answers. What it says of an item
depends on the item and the seed alone. Knows nothing of gold, of who learns from it, or of which of its answers are wrong
to begin with.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from distrust.answers import Answers
from distrust.data import Items
from distrust.errors import TeacherError
from distrust.evidence import Evidence
from distrust.files import fingerprint
from distrust.labels import ABSTAIN, OPEN, LabelSpace
from distrust.logits import Dense
from distrust.processes import mix
from distrust.recipe.wrong import (
    OF_TEXTS,
    ClassBlind,
    Exchanged,
    InstanceDependent,
    NearClone,
    OverConfident,
    Stale,
    WrongRecipe,
)
from distrust.teachers import Teacher
from distrust.workshop.draws import ByItem
from distrust.workshop.flips import Seed, abstaining, looks_like, over_confident, pairwise, symmetric
from distrust.workshop.policies import adversary, class_blind, exchange, older_policy
from distrust.workshop.slips import slipped

if TYPE_CHECKING:
    from distrust.report.facts import Spending

Flip = Callable[[Tensor, int, float, Seed], Tensor]
FLIPS: dict[str, Flip] = {
    "symmetric": symmetric,
    "pairwise": pairwise,
    "near-clone": symmetric,
    "adversary": adversary,
    "abstaining": abstaining,
}


class SimulatedTeacher:
    """Any teacher of classes or of open answers, made wrong.

    Args:
        teacher: who is asked; it is left as it was.
        wrong: the kind of wrong and its parameters, such as `recipe.wrong.Symmetric(kind="symmetric", rate=0.4)`.
        name: what it is called; default: as the teacher.
        answers: how its texts are read, where answers are open.

    Of classes it keeps the teacher's features (not its heads, which no longer make what it says), confidences and costs, and
    none of its texts, which would tell what it said first. Open answers keep their texts, each with a slip where it is made
    wrong. `simulated` is the sentence that reports show.

    Raises:
        TeacherError: open answers without `answers`, or a kind that needs classes; a class that the teacher does not have.
            On asking: answers that show no doubt, where the kind reads it.
    """

    def __init__(
        self, teacher: Teacher, wrong: WrongRecipe, name: str | None = None, answers: Answers | None = None
    ) -> None:
        if answers is None and (not isinstance(teacher.space, LabelSpace) or teacher.space == OPEN):
            raise TeacherError(f"{teacher.name} gives open answers; to be made wrong it needs `answers`, how they are read.")
        if answers is not None and not isinstance(wrong, OF_TEXTS):
            legal = "symmetric, near-clone and abstaining"
            raise TeacherError(f"{teacher.name} gives open answers, and {wrong.kind} needs classes; legal are {legal}.")
        if answers is None and len(teacher.space) < 2:
            raise TeacherError(f"{teacher.name} has one class and cannot be wrong about it.")
        self.name, self._teacher, self._wrong, self._answers = name or teacher.name, teacher, wrong, answers
        self.space = teacher.space if answers is None else OPEN
        self.keeps_answers = teacher.keeps_answers
        said = ", ".join(f"{key} {value}" for key, value in wrong.model_dump(exclude={"kind"}, exclude_none=True).items())
        self.simulated = f"{self.name} is made wrong on purpose ({wrong.kind}: {said}); it is no real teacher."
        if hasattr(teacher, "spending"):  # whoever has none is asked freely
            self.spending = self._spending
        self._map()  # refuses names of classes that are not there

    @property
    def fingerprint(self) -> str:
        """Of the teacher and of how it is made wrong."""
        return fingerprint("simulated", self.name, self._teacher.fingerprint, self._wrong.model_dump())

    def ask(self, items: Items) -> Evidence:
        """What the teacher says of the items, made wrong."""
        said = replace(self._teacher.ask(items), source=self.name)
        wrong, classes = self._wrong, len(self.space)
        if self._answers is not None and isinstance(wrong, OF_TEXTS):
            return slipped(said, wrong, self._answers)
        said = replace(said, texts=None)
        if isinstance(wrong, OverConfident):
            return _sharpened(said, wrong.sharpness)
        if isinstance(wrong, Exchanged | Stale):
            return _mapped(said, self._map())
        draws = ByItem(said.ids, wrong.seed)
        final = said.distribution().argmax(-1)  # (N,)
        final = torch.where(_answered(said), final, ABSTAIN)
        if isinstance(wrong, ClassBlind):
            return _blind(said, final, self._map() < 0, draws)
        if isinstance(wrong, InstanceDependent):
            if said.logits is None and len(said.claims) == 1:
                raise TeacherError(f"{self.name} only claims and never shows doubt; {wrong.kind} needs logits or samples.")
            other, hard = looks_like(final, said.distribution(), draws)
            return _swapped(said, final, torch.where((draws.uniform() < wrong.slope * hard) & (final >= 0), other, final))
        return _swapped(said, final, FLIPS[wrong.kind](final, classes, wrong.rate, draws))

    def _map(self) -> Tensor:
        """What is said for each class (C,), -1 where it is never said; all as they are for kinds that draw by item."""
        wrong, said_for = self._wrong, torch.arange(len(self.space))
        if isinstance(wrong, Exchanged):
            return exchange(len(self.space), wrong.share, wrong.seed)
        if isinstance(wrong, Stale) and wrong.merged is None:
            return older_policy(len(self.space), wrong.share, wrong.seed)
        if isinstance(wrong, Stale):
            for newer, older in (wrong.merged or {}).items():
                said_for[self.space.index(newer)] = self.space.index(older)
        if isinstance(wrong, ClassBlind):
            order = torch.randperm(len(self.space), generator=torch.Generator().manual_seed(wrong.seed))
            drawn = order[: min(int(wrong.share * len(self.space)), len(self.space) - 1)].tolist()
            said_for[drawn if wrong.classes is None else [self.space.index(name) for name in wrong.classes]] = ABSTAIN
            if bool((said_for < 0).all()):
                raise TeacherError(f"{self.name} would be blind to every class and have nothing to say; leave it one.")
        return said_for

    def _spending(self) -> Spending:
        paid: Spending = self._teacher.spending()  # type: ignore[attr-defined]
        return replace(paid, teacher=self.name)


def clones(
    teacher: Teacher, copies: int, rate: float = 0.05, seed: int = 0, answers: Answers | None = None
) -> list[SimulatedTeacher]:
    """Near-clones of a teacher: several voices that are hardly more than one, each with a name and a seed of its own."""
    kinds = [NearClone(kind="near-clone", rate=rate, seed=mix(seed, turn)) for turn in range(copies)]
    return [SimulatedTeacher(teacher, one, f"{teacher.name} {turn + 1}", answers) for turn, one in enumerate(kinds)]


def _answered(said: Evidence) -> Tensor:
    """(N,) bool: whether it said anything of an item."""
    return said.distribution().sum(-1) > 0


def _dense(said: Evidence) -> Tensor | None:
    return None if said.logits is None else said.logits.dense()


def _told(said: Evidence, claims: Tensor, logits: Tensor | None) -> Evidence:
    return replace(said, claims=claims, logits=None if logits is None else Dense(logits))


def _swapped(said: Evidence, final: Tensor, wrong: Tensor) -> Evidence:
    """Where `wrong` (N,) differs from the final claim (N,) the two change places in all that is said; of -1 nothing is said.

    So an answer that is made wrong is as sure as it was.
    """
    row = torch.arange(len(final))
    withheld = (wrong < 0) & (final >= 0)
    places = torch.arange(len(said.space)).repeat(len(final), 1)  # (N, C)
    places[row, final.clamp(min=0)] = wrong.clamp(min=0)
    places[row, wrong.clamp(min=0)] = final.clamp(min=0)
    claims = torch.where(said.claims >= 0, places[row.expand_as(said.claims), said.claims.clamp(min=0)], ABSTAIN)
    logits = _dense(said)
    if logits is not None:
        logits = logits.gather(-1, places).masked_fill(withheld.unsqueeze(-1), -torch.inf)
    return _told(said, claims.masked_fill(withheld, ABSTAIN), logits)


def _mapped(said: Evidence, said_for: Tensor) -> Evidence:
    """Each class is said as another (C,): claims are renamed; chances of one name add up, and may make it the claim."""
    claims = torch.where(said.claims >= 0, said_for[said.claims.clamp(min=0)], ABSTAIN)
    logits = _dense(said)
    if logits is not None:
        old = logits
        logits = torch.full_like(old, -torch.inf)
        for column, place in enumerate(said_for.tolist()):
            logits[:, place] = torch.logaddexp(logits[:, place], old[:, column])
        if len(claims) == 1:
            claims = torch.where(claims >= 0, logits.argmax(-1), ABSTAIN)
    return _told(said, claims, logits)


def _blind(said: Evidence, final: Tensor, blind: Tensor, draws: ByItem) -> Evidence:
    """Classes (C,) bool are never said: the likeliest other is, or where nothing tells, any other."""
    logits = _dense(said)
    other = class_blind(final, len(said.space), blind, draws)
    if logits is not None:
        logits = logits.masked_fill(blind, -torch.inf)
        heard = (logits > -torch.inf).any(-1)
        other = torch.where(heard, logits.argmax(-1), ABSTAIN)
    unseen = (said.claims >= 0) & blind[said.claims.clamp(min=0)]
    return _told(said, torch.where(unseen, other, said.claims), logits)


def _sharpened(said: Evidence, sharpness: float) -> Evidence:
    """Logits by a factor, stated confidences by a power of their odds."""
    logits = _dense(said)
    if logits is None and "confidence" not in said.features:
        raise TeacherError(f"{said.source} only claims and states no confidence; over-confident needs one of the two.")
    features = dict(said.features)
    if "confidence" in said.features:
        stated = torch.as_tensor(said.features["confidence"])
        features["confidence"] = stated**sharpness / (stated**sharpness + (1 - stated) ** sharpness)
    told = None if logits is None else Dense(over_confident(logits, sharpness))
    return replace(said, logits=told, features=features)
