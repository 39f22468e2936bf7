"""Signals of TA-in-the-loop as chances that a claim is right: by gold, or by how many of an assistant's samples agree.

Knows a run's report and what a signal was on gold. Does not know who said what, or what a chance is used for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from distrust.evaluate import quality
from distrust.run import Run
from distrust.trust import calibrated, two_kinds
from distrust.trust.two_kinds import LEAST

FEW = 20  # gold items, or claims, below which a signal is left as it is
NAMES = {
    "s1": "s1: student's self-consistency",
    "s2": "s2: assistant on the student",
    "s3": "s3: assistant on the teachers",
}


class Signal(NamedTuple):
    """What is read of claims."""

    value: Tensor  # (n,) in [0, 1]
    draws: int = 0  # of how many samples it is a share; 0: it is none
    claimed: Tensor | None = None  # (n,) bool, of what anything was claimed; None: of all


def joined(parts: Sequence[Signal]) -> Signal:
    """Signals of several sets of claims, read in the same way, as one."""
    spoken = [torch.ones(len(one.value), dtype=torch.bool) if one.claimed is None else one.claimed for one in parts]
    return Signal(torch.cat([one.value for one in parts]), min(one.draws for one in parts), torch.cat(spoken))


def chances(run: Run, name: str, signal: Signal, on_gold: Tensor | None, right: Tensor, kind: str) -> tuple[Tensor, Tensor]:
    """A signal (n,) and what it was on gold (g,), both as chances where they can be; the report shows both.

    Args:
        on_gold: (g,), None where no gold judges; right: (g,) 1 or 0, none without gold; kind: an option of `calibrate`.
    """
    (raw, draws, spoken), empty = signal, torch.zeros(0, dtype=torch.float64)
    claimed = torch.ones(len(raw), dtype=torch.bool) if spoken is None else spoken
    both = [one.double().clamp(0, 1) for one in (raw, empty if on_gold is None else on_gold)]
    for shown in (name, f"{name}, calibrated"):
        run.signals.pop(shown, None)  # of an earlier student
    judged = quality(both[1], right)
    if judged is not None:
        run.signals[name] = judged
    if kind == "agreement":
        found = _by_agreement(run, name, both, draws, claimed)
    elif kind == "none" or judged is None or judged.items < FEW:
        found = None
    else:
        fitted = calibrated(torch.cat(both), torch.cat([torch.full((len(raw),), -1), right]), kind)  # type: ignore[arg-type]
        found = [fitted[: len(raw)], fitted[len(raw) :]]
    if found is None:
        return both[0], both[1]
    after = quality(found[1], right)
    if after is not None:
        run.signals[f"{name}, calibrated"] = after
    return found[0], found[1]


def _by_agreement(run: Run, name: str, both: list[Tensor], draws: int, claimed: Tensor) -> list[Tensor] | None:
    """Shares of agreeing samples of what is judged (n,), and of gold (g,), as chances; None where they tell none.

    claimed: (n,) bool. What was not said nobody agrees with, which tells nothing of what was.
    """
    if name == NAMES["s1"]:
        return None  # a student that agrees with itself may be wrong throughout: there are no two kinds to tell apart
    known = both[0][claimed & both[0].isfinite()]
    if draws < LEAST or len(known) < FEW:
        run.note(
            f"{name} is left as it is: chances by agreement take {LEAST} samples of the assistant, of {FEW} claims, or "
            f"more; there were {draws}, of {len(known)}."
        )
        return None
    found = two_kinds(known, draws)
    run.note(
        f"{name}, by agreement: {100 * found.right:.0f} % of {len(known)} claims are taken to be right, with which "
        f"{100 * found.agree:.0f} % of the assistant's samples agree, and {100 * found.echo:.0f} % with the others."
    )
    told, of_gold = (found(one, draws) for one in both)
    return [told.where(claimed, 0.0), of_gold]
