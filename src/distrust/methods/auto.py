"""auto: say which methods can run, try them small on gold, spend the rest on the one that wins, and say why.

A gain over plain distillation counts where it is beyond noise, which on little gold few are; where none is, the safe choice
is taken. docs/auto.md says how it chooses, and what was measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import Field
from torch import Tensor

from distrust.evaluate import Difference, Interval, paired_difference, wilson
from distrust.evaluate.texts import mean
from distrust.methods.auto_suited import (
    BASELINE,
    LEAST_GOLD,
    Candidate,
    Situation,
    fallback,
    safe,
    situation,
    untried,
    wanted,
    why_not,
)
from distrust.methods.auto_trial import Outcome, bench, tried
from distrust.methods.believed import asked
from distrust.recipe import Strict
from distrust.run import Run
from distrust.students import Student


class Auto(Strict):
    """Options of auto."""

    candidates: list[str] | None = Field(
        None, description="methods to try beside plain distillation; default: those of docs/auto.md that suit the run"
    )
    folds: int = Field(5, ge=2, description="of gold: students of a trial learn from the others and are judged on one")
    trial_items: int = Field(2000, gt=0, description="of the pool, from which a trial learns, at most")
    trial_epochs: float = Field(0.5, gt=0, le=1, description="share of the recipe's epochs that a trial trains for")


@dataclass(frozen=True)
class Tried:
    """What became of one method."""

    candidate: str
    outcome: Outcome | None  # None: it was not tried
    why: str  # why it was not tried, or not taken, or taken
    gain: Difference | None = None  # over plain distillation, in shares that are right, or in likeness to gold's texts
    nats: Difference | None = None  # the same, in log-likelihood of the gold label
    chosen: bool = False

    @property
    def row(self) -> dict[str, Any]:
        """As the report has it."""
        score = None if self.outcome is None else _share(self.outcome.right)
        values = {"score": score, "gain": self.gain, "nats": self.nats}
        shown = {name: None if value is None else asdict(value) for name, value in values.items()}
        return {"candidate": self.candidate, **shown, "chosen": self.chosen, "why": self.why}


def auto(run: Run, options: Auto) -> Student:
    """Choose, and carry out the choice in full. Every teacher is asked once: trials read what was said."""
    from distrust.methods import METHODS, find

    here = _situation(run)
    candidates = wanted(options.candidates, here.open_answers)
    if here.gold < LEAST_GOLD or not here.teachers:
        chosen, why = safe(here) if here.teachers else (Candidate("gold-only"), "there is no teacher")
        rows = [Tried(one.called, None, why_not(one, here) or "nothing was tried") for one in candidates if one != chosen]
        rows.insert(0, Tried(chosen.called, None, why, chosen=True))
    else:
        rows = _tried(run, options, candidates, here)
        chosen = next(one for one in candidates for row in rows if row.chosen and row.candidate == one.called)
    left = untried(candidates, list(METHODS))
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
    return situation(spaces, None if run.answers is not None else run.space, run.gold, heads)


def _tried(run: Run, options: Auto, candidates: list[Candidate], here: Situation) -> list[Tried]:
    """Every candidate that can run, tried on the same folds; the others with their reason. One is chosen."""
    folds = run.gold.folds("choose", options.folds)
    desk = bench(run, asked(run, "trust", "train", "choose"), folds, options.trial_items, options.trial_epochs)
    if run.answers is not None and run.answers.how.kind == "text":
        run.note("In the trials, right is how like gold's text a student's is: Rouge-L.")
    found: dict[str, Outcome] = {}
    reasons: dict[str, str] = {}
    for one in candidates:
        outcome = why_not(one, here) or tried(desk, one)
        if isinstance(outcome, str):
            reasons[one.called] = outcome
        else:
            found[one.called] = outcome
    return choose(found, fallback(here).called) + [Tried(name, None, why) for name, why in reasons.items()]


def choose(found: dict[str, Outcome], otherwise: str = BASELINE.called) -> list[Tried]:
    """Of those whose gain over plain distillation is beyond its noise the likeliest; where there is none, what is safe.

    Beyond noise is a gain whose 95 % interval lies above zero: in shares that are right; or in log-likelihood, which tells
    more on few items, where more are right too. It is not corrected for how many were tried: whom chance favours is hardly
    worse than plain distillation. Open answers have no likelihood: there the largest gain wins.

    Args:
        found: by candidate, what its students say of the same held-out items; plain distillation among them.
        otherwise: what is safe, if it was tried and is not below plain distillation beyond noise; else that is.

    Returns:
        All of them, the best score first.
    """
    plain = found[BASELINE.called]
    gains, nats = {}, {}
    for name, one in found.items():
        if name != BASELINE.called:
            gains[name] = paired_difference(one.right, plain.right, 2000)
            if one.likelihood is not None and plain.likelihood is not None:
                nats[name] = paired_difference(one.likelihood, plain.likelihood, 2000)

    likely = {name: one.verdict for name, one in nats.items()}
    clear = [n for n, one in gains.items() if one.verdict == "above" or (one.value > 0 and likely.get(n) == "above")]
    low = [n for n, one in gains.items() if one.verdict == "below" or (one.value < 0 and likely.get(n) == "below")]
    default = otherwise if otherwise in found and otherwise not in low else BASELINE.called
    best = max(clear, key=lambda name: nats.get(name, gains[name]).value, default=default)
    order = sorted(found, key=lambda name: -float(found[name].right.mean()))
    return [
        Tried(name, found[name], _why(name, best, clear, low), gains.get(name), nats.get(name), name == best)
        for name in order
    ]


def _share(right: Tensor) -> Interval | None:
    """How many are right, or how like gold's their texts are: (n,) in [0, 1]."""
    return mean(right) if bool(((right > 0) & (right < 1)).any()) else wilson(int(right.sum()), len(right))


def _why(name: str, best: str, clear: Sequence[str], low: Sequence[str]) -> str:
    if name == best:
        if name in clear:
            return "the likeliest of those that are better beyond noise"
        return "nothing is better beyond noise" + ("" if name == BASELINE.called else ", and it is the safe choice")
    if name == BASELINE.called:
        return (
            "something is better beyond noise" if clear else f"nothing is better beyond noise, and {best} is the safe choice"
        )
    if name in clear:
        return "better beyond noise, but less likely"
    return "worse than plain distillation beyond noise" if name in low else "not better than plain distillation beyond noise"


def _sentence(rows: list[Tried]) -> str:
    best = next(row for row in rows if row.chosen)
    if best.outcome is None:
        return f"Auto carries out {best.candidate}: {best.why}."
    tried = [(row.candidate, row.outcome.right) for row in rows if row.outcome is not None]
    shown = ", ".join(f"{name} {float(right.mean()):.2f}" for name, right in tried)
    return f"Auto carries out {best.candidate}: {best.why}, cross-fitted on {len(best.outcome.right)} gold items ({shown})."
