"""Who knows an item: the scores that MUKA and its relatives choose a specialist by, and what goes without gold.

Knows specialists; hands gold on (`adequate_gold`). Does not know what a student is told.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from distrust.errors import RunError, TeacherError
from distrust.methods.adequate_gold import by_gold
from distrust.methods.scouts import scouted
from distrust.methods.specialists import Specialist, Specialists, over
from distrust.methods.who_knows import Scored, beside, nearby, side_by_side
from distrust.run import Run
from distrust.teachers.passes import EXPECTED
from distrust.trust.adequacy import choice, soft_choice
from distrust.trust.distribution import certainty
from distrust.trust.familiarity import energy, mahalanobis, max_logit, neighbours
from distrust.trust.passes import spread_apart
from distrust.trust.pattern import CARRIES, self_taught
from distrust.trust.spreading import smooth


def scored(run: Run, here: Specialists, score: str, passes: int, scouts: bool = True) -> Scored:
    """Score all items by the name of a score, or by `auto`; the report says what `auto` chose and why.

    Args:
        passes: with dropout; `auto` does without them where it is 1.
        scouts: whether `auto` asks scouts too.

    Raises:
        RunError: a score that a teacher cannot give. TeacherError: passes of a teacher without dropout.
    """
    if score != "auto":
        return _scored(run, here, score, passes)
    several = _several(run, here, passes)
    seen = None
    if scouts and "energy" in several and len(here.members) > 1:
        seen = scouted(run, here, here.target(several["energy"].weights(False, 1.0)))
    graph = nearby(here)
    bare, why = _by_agreement(here, several, seen, graph)
    known = by_gold(run, here, several, seen, graph, bare)
    if known is None:
        run.note(why)
    return known or bare


def _scored(run: Run, here: Specialists, score: str, passes: int) -> Scored:
    if score in ("energy", "max_logit"):
        made = energy if score == "energy" else max_logit
        return Scored(torch.stack([made(_logits(one)) for one in here.members]), odds=True)
    if score in ("neighbours", "mahalanobis"):
        return Scored(_far(here, score), odds=True)
    if score == "entropy" or passes == 1:  # one pass without dropout: what the paper's released code does
        return Scored(torch.stack([_silenced(one, certainty(one.chances)) for one in here.members]), odds=False)
    rows = []
    for one in here.members:
        said = run.passes(one.teacher, here.items, passes)
        mean = over(said, one.own)
        sure = certainty(mean) if score == "mc_entropy" else spread_apart(said.distribution(), said.features[EXPECTED][:])
        rows.append(_silenced(one, sure))
    return Scored(torch.stack(rows), odds=False)


def _by_agreement(
    here: Specialists, several: dict[str, Scored], seen: Tensor | None, graph: Any | None
) -> tuple[Scored, str]:
    """Without gold: the score whose choice of a teacher the other scores share most, taught by its clear items, and by what
    is nearby where there is a graph."""
    picks = {name: one.scores.argmax(0) for name, one in several.items()}
    shared = {
        name: sum(float((mine == other).float().mean()) for other in picks.values()) / len(picks)
        for name, mine in picks.items()
    }
    best = max(shared, key=shared.__getitem__)
    named = ", ".join(f"{name} {100 * share:.0f} %" for name, share in shared.items())
    chosen, said = several[best], ""
    if "energy" in several and len(here.members) > 1:
        odds = chosen.scores if chosen.odds else soft_choice(chosen.scores).log()
        odds = odds if seen is None else beside(odds, seen)
        taught, carries = self_taught(odds, side_by_side(here))
        believed = carries >= CARRIES
        if graph is not None:
            silent = taught == -torch.inf
            near = smooth(graph, soft_choice(taught, 1.0).T).T.clamp(min=torch.finfo(taught.dtype).tiny)
            taught = near.log().masked_fill(silent, -torch.inf)
        chosen = Scored(taught, odds=True)
        smoothed = (
            "" if graph is None else " Three tenths of an item's chances come from those near it in the teachers' features."
        )
        said = (
            f" A pattern of what all teachers say, learned from clear items, {'speaks' if believed else 'does not speak'} "
            f"beside it: tried on less clear ones it agreed with the score {100 * carries:.0f} % beyond chance.{smoothed}"
        )
    return chosen, (
        f"No gold tells who knows an item, so {best} does: its choice of a teacher is the one that the scores share most "
        f"({named}).{said} How often it is right is unknown."
    )


def _several(run: Run, here: Specialists, passes: int) -> dict[str, Scored]:
    """The scores that all teachers can give, by name: passes where every model at hand has dropout."""
    stated = all(one.evidence.logits is not None for one in here.members)
    names = ["entropy", *(["energy", "max_logit"] if stated else [])]
    made = {name: _scored(run, here, name, passes) for name in names}
    if passes > 1 and all(hasattr(one.teacher, "passes") for one in here.members):
        try:
            made["mc_entropy"] = _scored(run, here, "mc_entropy", passes)
        except TeacherError as refused:
            run.note(f"{refused} `auto` does without passes.")
    return made


def _far(here: Specialists, score: str) -> Tensor:
    """How near each item is to those that a teacher is the surest of, in its features: (M, N)."""
    sure = torch.stack([_silenced(one, certainty(one.chances)) for one in here.members])
    first = choice(sure) > 0  # (M, N)
    rows = []
    for one, own in zip(here.members, first, strict=True):
        if not one.evidence.features:
            raise RunError(f"{one.teacher.name} keeps no features, which this score reads; set `feature: auto` of it.")
        features = next(iter(one.evidence.features.values()))[:].float().flatten(1)
        place = own.nonzero().squeeze(-1)
        if not len(place):
            raise RunError(f"{one.teacher.name} is the surest teacher of no item, so its features tell nothing.")
        if score == "mahalanobis":
            near = mahalanobis(features, features[place], one.chances[place].argmax(-1))
        else:
            among = torch.full((len(own),), -1).index_put_((place,), torch.arange(len(place)))
            near = neighbours(features, features[place], leave_out=among)
        rows.append(_silenced(one, (near - near.mean()) / near.std().clamp(min=1e-6)))
    return torch.stack(rows)


def _logits(one: Specialist) -> Tensor:
    if one.evidence.logits is None:
        raise RunError(f"{one.teacher.name} states no logits, which this score reads; use the score entropy.")
    return one.logits


def _silenced(one: Specialist, score: Tensor) -> Tensor:
    return score.masked_fill(one.chances.sum(-1) == 0, -torch.inf)
