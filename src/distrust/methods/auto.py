"""auto: say which methods can run, try them small on gold, spend the rest on the one that wins, and say why.

It leaves plain distillation only for a gain that is beyond its noise, corrected for how many were tried: on little gold it
therefore is plain distillation. docs/auto.md has what was measured.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from pydantic import Field
from torch import Tensor

from distrust.evaluate import Difference, holm, paired_test, wilson
from distrust.methods.auto_suited import (
    BASELINE,
    LEAST_GOLD,
    Candidate,
    Situation,
    safe,
    situation,
    untried,
    wanted,
    why_not,
)
from distrust.methods.auto_trial import bench, tried
from distrust.methods.believed import heard
from distrust.recipe import Strict
from distrust.run import Run
from distrust.students import Student

ALPHA = 0.05  # chance of leaving plain distillation where nothing is better


class Auto(Strict):
    """Options of auto."""

    candidates: list[str] | None = Field(
        None, description="methods to try beside plain distillation; default: those of docs/auto.md that suit the run"
    )
    folds: int = Field(3, ge=2, description="of gold: students of a trial learn from the others and are judged on one")
    trial_items: int = Field(2000, gt=0, description="of the pool, from which a trial learns, at most")
    trial_epochs: float = Field(0.5, gt=0, le=1, description="share of the recipe's epochs that a trial trains for")


@dataclass(frozen=True)
class Tried:
    """What became of one method."""

    candidate: str
    right: Tensor | None  # (n,) bool, which held-out gold items its students are right about; None: it was not tried
    why: str  # why it was not tried, or not taken, or taken
    gain: Difference | None = None  # over plain distillation
    chosen: bool = False

    @property
    def row(self) -> dict[str, Any]:
        """As the report has it."""
        score = None if self.right is None else wilson(int(self.right.sum()), len(self.right))
        gain = None if self.gain is None else asdict(self.gain)
        shown = None if score is None else asdict(score)
        return {"candidate": self.candidate, "score": shown, "gain": gain, "chosen": self.chosen, "why": self.why}


def auto(run: Run, options: Auto) -> Student:
    """Choose, and carry out the choice in full. Every teacher is asked once: trials read what was said."""
    from distrust.methods import METHODS, find

    candidates = wanted(options.candidates)
    here = _situation(run)
    if here.open_answers or here.gold < LEAST_GOLD or not here.teachers:
        chosen, why = safe(here) if here.teachers else (Candidate("gold-only"), "there is no teacher")
        rows = [Tried(one.called, None, why_not(one, here) or "nothing was tried") for one in candidates if one != chosen]
        rows.insert(0, Tried(chosen.called, None, why, chosen=True))
    else:
        rows = _tried(run, options, candidates, here)
        chosen = next(one for one in candidates for row in rows if row.chosen and row.candidate == one.called)
    left = untried(options.candidates, list(METHODS))
    run.choice = [row.row for row in rows]
    run.note(_sentence(rows))
    run.note(f"Not tried, since no candidate: {', '.join(left)}.")
    method, checked = find(chosen.name, dict(chosen.options))
    student: Student = method.run(run, checked)
    return student


def _situation(run: Run) -> Situation:
    """What the run has. Features are known only once somebody is asked, so here local teachers may have them."""
    spaces = [teacher.space for teacher in run.teachers]
    heads = all(hasattr(teacher, "heads") for teacher in run.teachers)
    return situation(spaces, None if run.answers is not None else run.space, len(run.gold.part("choose")), heads)


def _tried(run: Run, options: Auto, candidates: list[Candidate], here: Situation) -> list[Tried]:
    """Every candidate that can run, tried on the same folds; the others with their reason. One is chosen."""
    folds = run.gold.folds("choose", options.folds)
    desk = bench(run, heard(run, "trust", "train", "choose"), folds, options.trial_items, options.trial_epochs)
    found: dict[str, Tensor] = {}
    reasons: dict[str, str] = {}
    for one in candidates:
        said = why_not(one, here)
        right, said = tried(desk, one) if said is None else (None, said)
        if right is None:
            reasons[one.called] = said
        else:
            found[one.called] = right
    return choose(found) + [Tried(name, None, why) for name, why in reasons.items()]


def choose(found: dict[str, Tensor]) -> list[Tried]:
    """The best of those whose gain over plain distillation is beyond its noise, else plain distillation.

    Args:
        found: by candidate, which of the same held-out items it is right about (n,) bool; plain distillation among them.

    Returns:
        All of them, the best score first; the p-values of the gains are corrected for being many (Holm).
    """
    plain = found[BASELINE.called].double()
    others = [name for name in found if name != BASELINE.called]
    tests = [paired_test(found[name].double(), plain, 4000) for name in others]
    chances = holm([chance for _, chance in tests])
    gains = {name: gain for name, (gain, _) in zip(others, tests, strict=True)}
    clear = [name for name, chance in zip(others, chances, strict=True) if chance < ALPHA and gains[name].value > 0]
    best = max(clear, key=lambda name: gains[name].value, default=BASELINE.called)
    rows = []
    for name in sorted(found, key=lambda name: -float(found[name].double().mean())):
        rows.append(Tried(name, found[name], _why(name, best, name in clear), gains.get(name), name == best))
    return rows


def _why(name: str, best: str, clear: bool) -> str:
    if name == best:
        return "the largest gain that is beyond its noise" if clear else "nothing is better beyond noise"
    if name == BASELINE.called:
        return "something is better beyond noise"
    return "better than plain distillation, but not the most" if clear else "not better than plain distillation beyond noise"


def _sentence(rows: list[Tried]) -> str:
    best = next(row for row in rows if row.chosen)
    if best.right is None:
        return f"Auto carries out {best.candidate}: {best.why}."
    shown = ", ".join(f"{row.candidate} {float(row.right.double().mean()):.2f}" for row in rows if row.right is not None)
    return f"Auto carries out {best.candidate}: {best.why}, cross-fitted on {len(best.right)} gold items ({shown})."
