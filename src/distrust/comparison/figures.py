"""From what cells measured to what a comparison states, as plain JSON.

Knows which test items each cell is right about, seconds and money. Knows nothing of how a cell was carried out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from statistics import mean, median
from typing import Any

import torch
from torch import Tensor

from distrust.evaluate import Difference, Interval, holm, paired_difference, paired_test

PRICES = ("calls", "prompt_tokens", "completion_tokens", "money")
MEASURES = ("validation", "loss")  # of an epoch
RESAMPLES = 4000  # more than an interval needs: p-values are multiplied by the number of tests


@dataclass(frozen=True)
class Outcome:
    """What one cell came to."""

    method: str
    setting: str
    seed: int
    right: Tensor  # (T,) bool: the test items its student is right about, at the end of its training
    nll: float | None  # None where answers are open
    seconds: float  # process time of its own stages
    calls: int
    money: float | None  # None is "unknown", never 0
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    learned: Mapping[str, Sequence[float]] = field(default_factory=dict)  # of MEASURES, an epoch each


def compared(
    outcomes: Sequence[Outcome], failed: Mapping[str, str], settings: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """Figures of a comparison.

    Args:
        outcomes: of the cells that were carried out; every cell judged on the same T test items.
        failed: a sentence for each cell that could not be, by its words.
        settings: each setting's values by what it is called, in order.

    Returns:
        Per setting a row for each method, best first: accuracy over seeds and items with its interval, the difference from
        the first row with an interval and a p-value corrected over all pairs of the setting (Holm), whether it is best or
        tied, its mean rank over the seeds that every method has, seconds, calls, tokens and money (mean, and of each seed),
        how it learned, and whether it lies on the fronts of accuracy against money and seconds. Seeds that a method lacks
        are left out of its pairs.
    """
    return {
        "settings": [
            _setting(name, values, [one for one in outcomes if one.setting == name]) for name, values in settings.items()
        ],
        "ranks": _ranks(outcomes),
        "failed": [{"cell": cell, "why": why} for cell, why in failed.items()],
    }


def _setting(name: str, values: Mapping[str, Any], outcomes: Sequence[Outcome]) -> dict[str, Any]:
    by_method: dict[str, dict[int, Outcome]] = {}
    for one in outcomes:
        by_method.setdefault(one.method, {})[one.seed] = one
    rows = sorted((_row(method, seeds) for method, seeds in by_method.items()), key=lambda row: -row["accuracy"].value)
    pairs = {
        (a["method"], b["method"]): _pair(by_method[a["method"]], by_method[b["method"]]) for a, b in combinations(rows, 2)
    }
    tested = {pair: found for pair, found in pairs.items() if found is not None}
    corrected = dict(zip(tested, holm([chance for _, chance in tested.values()]), strict=True))
    ranks = {one["method"]: one["rank"] for one in _ranks(outcomes)}
    for row in rows:
        pair = (rows[0]["method"], row["method"])
        row["rank"] = ranks.get(row["method"])
        row["behind"] = tested[pair][0] if pair in tested else None
        row["p"] = corrected.get(pair)
        row["best_or_tied"] = pair not in tested or corrected[pair] >= 0.05
    for price in ("money", "seconds"):
        front = _front([(row["accuracy"].value, row[price]) for row in rows])
        for row, on_it in zip(rows, front, strict=True):
            row[f"on_front_{price}"] = on_it
    return {
        "name": name,
        "values": dict(values),
        "rows": rows,
        "pairs": [
            {"better": a, "worse": b, "difference": tested[a, b][0], "p": tested[a, b][1], "p_corrected": corrected[a, b]}
            for a, b in tested
        ],
    }


def _row(method: str, seeds: Mapping[int, Outcome]) -> dict[str, Any]:
    order = sorted(seeds)
    right = torch.stack([seeds[seed].right for seed in order]).double()  # (S, T)
    whole = paired_difference(right, torch.zeros_like(right))
    return {
        "method": method,
        "seeds": order,
        "accuracy": Interval(whole.value, whole.low, whole.high),
        "accuracy_by_seed": right.mean(-1).tolist(),
        "nll": _known([seeds[seed].nll for seed in order]),
        "seconds": median(seeds[seed].seconds for seed in order),
        **{price: _known([getattr(seeds[seed], price) for seed in order]) for price in PRICES},
        "learned": _learned([seeds[seed].learned for seed in order]),
        "spent_by_seed": [{price: getattr(seeds[seed], price) for price in PRICES} for seed in order],
    }


def _learned(histories: Sequence[Mapping[str, Sequence[float]]]) -> dict[str, list[dict[str, float]]]:
    """By measure that all seeds have: mean, least and most of them in each epoch that all came to."""
    found = {}
    for name in MEASURES:
        if all(name in one for one in histories):
            epochs = zip(*(one[name] for one in histories), strict=False)
            found[name] = [{"value": mean(values), "low": min(values), "high": max(values)} for values in epochs]
    return found


def _known(values: Sequence[float | None]) -> float | None:
    """The mean of values, unknown where one of them is."""
    known = [value for value in values if value is not None]
    return mean(known) if len(known) == len(values) else None


def _pair(one: Mapping[int, Outcome], other: Mapping[int, Outcome]) -> tuple[Difference, float] | None:
    """How far one method is above another on the seeds that both have, and how likely that is chance."""
    shared = sorted(one.keys() & other.keys())
    if not shared:
        return None
    a, b = (torch.stack([each[seed].right for seed in shared]).double() for each in (one, other))
    return paired_test(a, b, RESAMPLES)


def _front(points: Sequence[tuple[float, float | None]]) -> list[bool]:
    """Which points (accuracy, price) no other beats: as accurate and cheaper, or as cheap and more accurate."""

    def beaten(value: float, price: float) -> bool:
        others = ((other, cost) for other, cost in points if cost is not None)
        return any((other >= value and cost < price) or (other > value and cost <= price) for other, cost in others)

    return [price is not None and not beaten(value, price) for value, price in points]


def _ranks(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """Each method's mean rank over settings and seeds, ties sharing theirs; only where every method has an outcome."""
    methods = list(dict.fromkeys(one.method for one in outcomes))
    groups: dict[tuple[str, int], dict[str, float]] = {}
    for one in outcomes:
        groups.setdefault((one.setting, one.seed), {})[one.method] = float(one.right.double().mean())
    whole = [group for group in groups.values() if len(group) == len(methods)]
    found = []
    for method in methods if whole else ():
        places = [
            1
            + sum(value > group[method] for value in group.values())
            + (sum(value == group[method] for value in group.values()) - 1) / 2
            for group in whole
        ]
        found.append({"method": method, "rank": mean(places), "of": len(methods), "over": len(whole)})
    return sorted(found, key=lambda row: float(row["rank"]))
