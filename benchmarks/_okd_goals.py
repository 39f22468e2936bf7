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
    """Figures of the goals over the widths of students that are measured, and how many these are (`gaps`)."""
    wins: dict[str, float] = {}
    widths = [cell for cell in WIDTHS if f"{cell}.okd.kl" in of]
    for other, called in (("gkd", "gkd"), ("reverse", "reverse_kl")):
        for end, name in QUALITIES.items():
            signs = [sign(dict(of), cell, "okd", other, name) for cell in widths]
            wins |= {f"gaps_won_over_{called}{end}": signs.count("+")} if all(signs) and signs else {}
    both = [cell for cell in widths if f"{cell}.gkd.seconds" in of]
    if both:
        wins["gaps"] = len(both)
        wins["time_over_gkd"] = mean(of[f"{cell}.okd.seconds"] / of[f"{cell}.gkd.seconds"] for cell in both)
    pairs = [
        (found[task]["kl"], one["kl"])
        for task in found
        if (task.method, task.search) == ("okd", False) and task.cell.name in WIDTHS
        if (one := _beside(found, task, "forward_longer")) is not None
    ]
    gains = [longer - own for own, longer in pairs]
    if gains:
        name = "gain_over_forward_kl.equal_cost"  # nats a token of KL on held-out texts, student by student
        wins |= {name: mean(gains), f"{name}.low": min(gains), f"{name}.high": max(gains)}
    return wins


def _beside(found: Found, task: Task, method: str) -> Mapping[str, float] | None:
    """The student of another method, of the same cell and seed; None where it is not measured."""
    same = (task.cell, method, task.seed, False)
    return next((one for own, one in found.items() if (own.cell, own.method, own.seed, own.search) == same), None)
