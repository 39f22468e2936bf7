"""Who was believed where: how much each teacher counted, class by class, and what would have come of believing otherwise.

Knows the weights or the targets of a run's facts. Does not know how they came about.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from distrust.evaluate import paired_difference, wilson
from distrust.report.facts import Facts
from distrust.report.panel import Panel
from distrust.whatif import AS_IT_WAS

WHOLE = 12  # classes up to which a table shows all; of more, those in which teachers counted most differently


def by_class(facts: Facts, pool: Panel | None) -> dict[str, Any] | None:
    """Mean weight of each teacher over the items told each class; the share of the targets' mass, without weights.

    None without targets, with fewer than two teachers, and where answers are open.
    """
    if facts.targets is None or facts.open_answers or pool is None or len(pool.names) < 2:
        return None
    told = facts.targets.sum(-1)  # (B,)
    counted = (told > 0) & (torch.ones_like(told) if facts.target_weight is None else facts.target_weight).gt(0)
    if facts.weights is None:
        mass = facts.targets.gather(-1, pool.claims.clamp(min=0).T).T / told.clamp(min=1e-12)  # (M, B)
        values, spoke = mass, (pool.claims >= 0) & counted
    else:
        values, spoke = facts.weights, counted & (facts.weights.sum(0) > 0)
    among = torch.nn.functional.one_hot(facts.targets.argmax(-1), len(facts.space)).double()  # (B, C)
    sums, items = (values * spoke).double() @ among, spoke.expand(len(values), -1).double() @ among  # (M, C)
    means = torch.where(items > 0, sums / items.clamp(min=1), torch.nan)
    shown = _shown(means, among[counted].sum(0))
    return {
        "kind": "share" if facts.weights is None else "weight",
        "teachers": pool.names,
        "classes": [facts.space.names[one] for one in shown],
        "items": [int(among[counted, one].sum()) for one in shown],
        "values": means[:, shown],
        "of": len(facts.space),
    }


def _shown(means: Tensor, items: Tensor) -> list[int]:
    """Classes (C,) with items, in the task's order; of many, those in which most items' teachers counted differently."""
    there = items > 0
    if int(there.sum()) <= WHOLE:
        return [int(one) for one in there.nonzero().squeeze(-1)]
    low, high = means.nan_to_num(nan=torch.inf).amin(0), means.nan_to_num(nan=-torch.inf).amax(0)
    spread = torch.where(there, (high - low).clamp(min=0) * items.sqrt(), -1)
    return sorted(int(one) for one in spread.argsort(descending=True, stable=True)[:WHOLE])


def what_if(facts: Facts) -> list[dict[str, Any]] | None:
    """What each other way of believing would have given, by `distrust.whatif`; None where nothing of it is known.

    By name its accuracy on the test items, and how far that is above the last layer fitted again as it was.
    """
    if facts.test_labels is None or AS_IT_WAS not in facts.what_if:
        return None
    right = {name: (chance.argmax(-1) == facts.test_labels).double() for name, chance in facts.what_if.items()}
    was = right[AS_IT_WAS]
    return [
        {
            "name": name,
            "accuracy": wilson(float(mine.sum()), len(mine)),
            "difference": None if name == AS_IT_WAS else paired_difference(mine, was),
        }
        for name, mine in right.items()
    ]
