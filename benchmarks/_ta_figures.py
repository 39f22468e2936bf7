"""From which test items each student is right about to the figures of the benchmark ta_in_the_loop.

Knows outcomes by family, budget, method and seed. Knows nothing of how a student came about.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import torch

from benchmarks.harness import RESULTS
from distrust.evaluate import paired_difference
from distrust.files import read_json

REFERENCE = "random"
LEAST = 0.1  # a reference below this is no measure for a relative gain
Key = tuple[str, float, str, int]  # family, budget, method, seed


def figures(right: Mapping[Key, Sequence[int]], chosen: str, screening: Collection[int]) -> dict[str, float | bool]:
    """Accuracy and gain over fine-tuning without signals, of screening and of reported seeds apart."""
    found: dict[str, float | bool] = {}
    rows: dict[str, dict[tuple[str, float], float]] = {}  # of the chosen options: absolute and relative gain
    for screened in (True, False):
        part = {key: one for key, one in right.items() if (key[3] in screening) == screened}
        for family, budget, method in dict.fromkeys(key[:3] for key in part):
            name = f"{'screening.' if screened else ''}{family}.{budget:g}.{method}"
            mine = {key[3]: one for key, one in part.items() if key[:3] == (family, budget, method)}
            found |= _with_interval(name, list(mine.values()), None)
            other = {key[3]: one for key, one in part.items() if key[:3] == (family, budget, REFERENCE)}
            both = sorted(mine.keys() & other.keys())
            if method == REFERENCE or not both:
                continue
            gain = _with_interval(f"{name}.gain", [mine[seed] for seed in both], [other[seed] for seed in both])
            found |= gain
            base = sum(sum(other[seed]) / len(other[seed]) for seed in both) / len(both)
            relative = float(gain[f"{name}.gain"]) / base if base >= LEAST else float("nan")
            if base >= LEAST:
                found[f"{name}.relative_gain"] = relative
            if method == chosen and not screened:
                rows.setdefault("gain", {})[family, budget] = float(gain[f"{name}.gain"])
                rows.setdefault("relative", {})[family, budget] = relative
    return found | _headline(rows) | _speed()


def _with_interval(name: str, rows: list[Sequence[int]], other: list[Sequence[int]] | None) -> dict[str, float | bool]:
    """A mean over seeds and items, or of a paired difference; seeds and items are drawn anew together."""
    ours = torch.tensor(rows, dtype=torch.float64)
    gap = paired_difference(ours, torch.zeros_like(ours) if other is None else torch.tensor(other, dtype=torch.float64))
    return {name: gap.value, f"{name}.low": gap.low, f"{name}.high": gap.high}


def _headline(rows: dict[str, dict[tuple[str, float], float]]) -> dict[str, float | bool]:
    """Of the chosen options: means over families at each place of the budgets, the best of them, the worst gain in points.

    The first place is each family's smallest budget. A family whose reference is below `LEAST` has no relative gain there.
    """
    relative, gain = rows.get("relative", {}), rows.get("gain", {})
    known = {key: one for key, one in relative.items() if one == one}
    found: dict[str, float | bool] = {}
    for family in dict.fromkeys(one for one, _ in known):
        found[f"relative_gain.{family}"] = max(one for key, one in known.items() if key[0] == family)
    places = {family: sorted(budget for one, budget in gain if one == family) for family in {one for one, _ in gain}}
    for what, values in (("relative_gain", known), ("gain", gain)):
        means = []
        for place in range(max(map(len, places.values()), default=0)):
            keys = [(family, budgets[place]) for family, budgets in places.items() if place < len(budgets)]
            there = [values[key] for key in keys if key in values]
            if there:
                means.append(sum(there) / len(there))
                found[f"{what}.budget_{place + 1}"] = means[-1]
        found |= {f"{what}.best_budget": max(means)} if means else {}
    return found | ({"worst_family_gain": 100 * min(gain.values())} if gain else {})


def _speed() -> dict[str, float | bool]:
    """Of the benchmark sampling, where it has been run."""
    path = RESULTS / "sampling.json"
    return {"speedup.self_consistency": read_json(path)["figures"]["speedup"]} if path.is_file() else {}
