"""Accuracy against items, calls and money: the figures, and what a point of accuracy cost.

Knows which test items each stage's student is right about. Does not know how a stage was chosen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from distrust.evaluate import paired_difference, wilson
from distrust.report.charts import lines
from distrust.report.facts import Facts


def buying(facts: Facts) -> dict[str, Any] | None:
    """The points of the curve, and what was gained from each to the next; None where nothing was bought in stages."""
    if facts.buying is None:
        return None
    told: Sequence[int | None] = facts.buying.calls or [None] * len(facts.buying.items)
    items, money, right = facts.buying.items, facts.buying.money, facts.buying.right.double()  # (K, N)
    points = [
        {"items": count, "calls": calls, "money": spent, "accuracy": wilson(int(row.sum()), len(row))}
        for count, calls, spent, row in zip(items, told, money, right, strict=True)
    ]
    steps = []
    for place in range(1, len(items)):
        gained = paired_difference(right[place], right[place - 1])
        more, before = money[place], money[place - 1]
        spent = None if more is None or before is None else more - before
        real = gained.low > 0  # else nobody knows that anything was gained
        steps.append(
            {
                "from": items[place - 1],
                "to": items[place],
                "gained": gained,
                "money": spent,
                "items_per_point": (items[place] - items[place - 1]) / (100 * gained.value) if real else None,
                "money_per_point": spent / (100 * gained.value) if real and spent is not None else None,
            }
        )
    return {"points": points, "steps": steps}


def charts(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Accuracy against items and calls and, where every price is known and there is one, against money."""
    if found["buying"] is None:
        return []
    points = found["buying"]["points"]
    drawn = [("items", "items asked of each teacher", [one["items"] for one in points])]
    for name, label in (("calls", "answers of teachers and assistant by then"), ("money", "money spent by then")):
        if all(one[name] is not None for one in points) and points[-1][name]:
            drawn.append((name, label, [one[name] for one in points]))
    heights = [100 * one["accuracy"]["value"] for one in points]
    return [
        {"name": name, "chart": _chart(list(zip(across, heights, strict=True)), label)}
        for name, label, across in drawn
        if len(set(across)) > 1
    ]


def _chart(points: list[tuple[float, float]], label: str) -> Markup:
    return lines({"student": points}, label)
