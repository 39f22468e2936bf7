"""From which test items each student is right about to the figures of the benchmark ta_in_the_loop.

Knows outcomes by family, budget, method and seed. Knows nothing of how a student came about.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import torch
from torch import Tensor

from benchmarks.harness import RESULTS
from distrust.evaluate import paired_difference
from distrust.files import read_json

REFERENCE = "random"
LEAST = 0.1  # a reference below this is no measure for a relative gain
DRAWS = 2000  # of seeds and items, for an interval
Key = tuple[str, float, str, int]  # family, budget, method, seed
Pairs = dict[tuple[str, float], tuple[Tensor, Tensor]]  # family, budget: the chosen options and the reference, (S, N) each


def figures(right: Mapping[Key, Sequence[int]], chosen: str, screening: Collection[int]) -> dict[str, float | bool]:
    """Accuracy and gain over fine-tuning without signals, of screening and of reported seeds apart."""
    found: dict[str, float | bool] = {}
    rows: Pairs = {}
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
            pair = tuple(torch.tensor([one[seed] for seed in both], dtype=torch.float64) for one in (mine, other))
            if (base := float(pair[1].mean())) >= LEAST:
                found[f"{name}.relative_gain"] = float(gain[f"{name}.gain"]) / base
            if method == chosen and not screened:
                rows[family, budget] = (pair[0], pair[1])
                what = "below" if gain[f"{name}.gain.high"] < 0 else "above" if gain[f"{name}.gain.low"] > 0 else "level"
                found[f"cells_{what}_random"] = found.get(f"cells_{what}_random", 0) + 1
    return found | _headline(rows) | _speed()


def _with_interval(name: str, rows: list[Sequence[int]], other: list[Sequence[int]] | None) -> dict[str, float | bool]:
    """A mean over seeds and items, or of a paired difference; seeds and items are drawn anew together."""
    ours = torch.tensor(rows, dtype=torch.float64)
    gap = paired_difference(ours, torch.zeros_like(ours) if other is None else torch.tensor(other, dtype=torch.float64))
    return {name: gap.value, f"{name}.low": gap.low, f"{name}.high": gap.high}


def _headline(rows: Pairs) -> dict[str, float | bool]:
    """Of the chosen options: means over families at each place of the budgets, the best of them, the worst gain in points.

    The first place is each family's smallest budget. A family whose reference is below `LEAST` has no relative gain there.
    """
    if not rows:
        return {}
    drawn = {key: _drawn(*pair) for key, pair in rows.items()}  # the first of each is as measured
    relative = {key: gain / base for key, (gain, base) in drawn.items() if float(base[0]) >= LEAST}
    found: dict[str, float | bool] = {}
    for family in dict.fromkeys(one for one, _ in relative):
        found[f"relative_gain.{family}"] = max(float(one[0]) for key, one in relative.items() if key[0] == family)
    places = {family: sorted(budget for one, budget in rows if one == family) for family in {one for one, _ in rows}}
    for what, values in (("relative_gain", relative), ("gain", {key: gain for key, (gain, _) in drawn.items()})):
        means = []
        for place in range(max(map(len, places.values()))):
            there = [
                values[family, some[place]]
                for family, some in places.items()
                if place < len(some) and (family, some[place]) in values
            ]
            if there:
                mean = torch.stack(there).mean(0)
                means.append(float(mean[0]))
                low, high = mean[1:].quantile(torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
                name = f"{what}.budget_{place + 1}"
                found |= {name: means[-1], f"{name}.low": low, f"{name}.high": high}
        found |= {f"{what}.best_budget": max(means)} if means else {}
    return found | {"worst_family_gain": 100 * min(float(gain[0]) for gain, _ in drawn.values())}


def _drawn(ours: Tensor, reference: Tensor) -> tuple[Tensor, Tensor]:
    """A gain and its base, of outcomes (S, N): as measured, then of seeds and items drawn anew together, (1 + DRAWS,)."""
    draw = torch.Generator().manual_seed(0)
    gain, base = [(ours - reference).mean()], [reference.mean()]
    for _ in range(DRAWS):
        seeds, items = (torch.randint(size, (size,), generator=draw) for size in ours.shape)
        one, other = ours[seeds][:, items].mean(), reference[seeds][:, items].mean()
        gain.append(one - other)
        base.append(other)
    return torch.stack(gain), torch.stack(base)


def _speed() -> dict[str, float | bool]:
    """Of the benchmark sampling, where it has been run."""
    path = RESULTS / "sampling.json"
    return {"speedup.self_consistency": read_json(path)["figures"]["speedup"]} if path.is_file() else {}
