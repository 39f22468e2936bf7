"""What okd's benchmark is to show: time to quality, and the goals' figures under the names that the design fixes.

Knows students' figures by cell, method and seed. Trains nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from statistics import mean

from benchmarks._okd_page import WIDTHS, sign
from benchmarks._okd_student import Task, path

Found = Mapping[Task, Mapping[str, float]]
QUALITIES = {"": "kl", ".kl_own": "kl_own", ".rouge_l": "rouge_l"}  # how a gap is won: by KL on held-out texts, and others


def to_forward(found: Found, task: Task) -> float | None:
    """Seconds of steps until a student is as near to the teacher as forward KL ends, of its cell and seed; None: never.

    On validation items, by epoch, straight between two; at an epoch it has at once what was kept before the steps.
    """
    forward, own = _beside(found, task, "forward"), path(found[task])
    if forward is None or not own:
        return None
    wanted = path(forward)[-1][1]
    if own[0][1] <= wanted:
        return own[0][0]
    for (began, before), (ended, after) in pairwise(own):
        if after <= wanted:
            return began + (ended - began) * (before - wanted) / (before - after)
    return None


def goals(of: Mapping[str, float | bool], found: Found) -> dict[str, float]:
    """Figures of the goals over the widths of students that are measured, and how many these are (`gaps`).

    `okd.last`, the last layer alone over a stored trunk, has its own, under its name; at its cost the plain forward
    divergence makes as many steps, so that one is its control.
    """
    wins = _over_others(of, "okd", "")
    both = [cell for cell in WIDTHS if f"{cell}.okd.kl" in of and f"{cell}.gkd.seconds" in of]
    wins |= {"gaps": len(both)} if both else {}
    wins |= _gains(found, "okd", "forward_longer", "gain_over_forward_kl.equal_cost")
    if any(f"{cell}.okd.last.kl" in of for cell in WIDTHS):
        wins |= _over_others(of, "okd.last", "okd.last.")
        wins |= _gains(found, "okd.last", "forward", "okd.last.gain_over_forward_kl.equal_steps")
        wins |= _times(of, "okd.last", "forward", "okd.last.time_over_forward")
    return wins


def _over_others(of: Mapping[str, float | bool], method: str, start: str) -> dict[str, float]:
    """On how many widths a method beats gkd and the reverse divergence, and what it costs beside the first."""
    wins: dict[str, float] = {}
    widths = [cell for cell in WIDTHS if f"{cell}.{method}.kl" in of]
    for other, called in (("gkd", "gkd"), ("reverse", "reverse_kl")):
        for end, name in QUALITIES.items():
            signs = [sign(dict(of), cell, method, other, name) for cell in widths]
            wins |= {f"{start}gaps_won_over_{called}{end}": signs.count("+")} if all(signs) and signs else {}
    return wins | _times(of, method, "gkd", f"{start}time_over_gkd")


def _times(of: Mapping[str, float | bool], method: str, other: str, name: str) -> dict[str, float]:
    """The mean over widths of what a method takes beside another."""
    pairs = [(f"{cell}.{method}.seconds", f"{cell}.{other}.seconds") for cell in WIDTHS]
    ratios = [of[own] / of[its] for own, its in pairs if own in of and its in of]
    return {name: mean(ratios)} if ratios else {}


def _gains(found: Found, method: str, control: str, name: str) -> dict[str, float]:
    """By how many nats a token on held-out texts each student is nearer to the teacher than its control: mean and ends."""
    gains = [
        one["kl"] - found[task]["kl"]
        for task in found
        if (task.method, task.search) == (method, False) and task.cell.name in WIDTHS
        if (one := _beside(found, task, control)) is not None
    ]
    return {name: mean(gains), f"{name}.low": min(gains), f"{name}.high": max(gains)} if gains else {}


def _beside(found: Found, task: Task, method: str) -> Mapping[str, float] | None:
    """The student of another method, of the same cell and seed; None where it is not measured."""
    same = (task.cell, method, task.seed, False)
    return next((one for own, one in found.items() if (own.cell, own.method, own.seed, own.search) == same), None)
