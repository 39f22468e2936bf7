"""What the student would have been, had it been told something else: its last layer alone, fitted again.

Knows a trained student's features and other training sets for them. Does not know why somebody would tell it those. The
features stay as they became, so this is a cheap guess, and errs towards what really happened.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from distrust import modules, taps
from distrust.data import Items
from distrust.labelled import Labelled
from distrust.losses import cross_entropy
from distrust.modules import frozen
from distrust.students import Encoded, Student

AS_IT_WAS = "as it was"  # the last layer fitted again on what the student was really told: what the others compare with
MOST_ITEMS = 5000  # of a training set: more of them change a linear layer little
RIDGE = 1e-4
ROUNDS = 100


def refits(student: Student, told: Labelled, others: Mapping[str, Labelled], test: Items, batch: int) -> dict[str, Tensor]:
    """Predictions on the test items (T, C) of the student with its last layer fitted again on each training set.

    Args:
        student: trained; told: what it was told.
        others: by name, what it might have been told.
        test: T items; batch: items at once.

    Returns:
        By name, with `AS_IT_WAS` first; empty where no single layer makes the student's logits, or it is no linear one.
    """
    encoded = student.encode(test)
    path = _last(student, encoded) if len(test) and others else None
    if path is None:
        return {}
    sets = {name: _sample(one.told()) for name, one in {AS_IT_WAS: told, **others}.items()}
    row_of: dict[str, int] = {}
    parts = []
    for one in sets.values():  # the same items, most of them: each is read once
        fresh = one.items.select([row for row, item in enumerate(one.items.ids) if item not in row_of])
        row_of |= {item: len(row_of) + place for place, item in enumerate(fresh.ids)}
        if len(fresh):
            parts.append(_features(student, path, student.encode(fresh), batch))
    learned, asked = torch.cat(parts), _features(student, path, encoded, batch)
    rows = {name: torch.tensor([row_of[item] for item in one.items.ids], dtype=torch.long) for name, one in sets.items()}
    return {name: _fitted(learned[rows[name]], one)(asked).softmax(-1) for name, one in sets.items() if len(one)}


def _last(student: Student, encoded: Encoded) -> str | None:
    """Path of the linear layer that makes the student's logits (n, C)."""
    device = modules.device_of(student.module)
    inputs = {name: value.to(device) for name, value in encoded.batch(torch.arange(1)).items()}
    path = taps.last_layer(student.module, lambda: student.logits(inputs))
    return path if path is not None and isinstance(student.module.get_submodule(path), nn.Linear) else None


def _features(student: Student, path: str, encoded: Encoded, batch: int) -> Tensor:
    """What goes into the last layer, of encoded items: (B, d), on the CPU."""
    module, parts = student.module, []
    device = modules.device_of(module)
    with frozen(module), taps.tapped(module, {"feature": path + taps.INPUT}) as latest:
        for rows in torch.split(torch.arange(len(encoded)), batch):
            student.logits({name: value.to(device) for name, value in encoded.batch(rows).items()})
            parts.append(latest["feature"].float().cpu())
    return torch.cat(parts)


def _sample(labelled: Labelled) -> Labelled:
    """Gold, and as many others as there is room for, spread evenly over the set."""
    if len(labelled) <= MOST_ITEMS:
        return labelled
    gold = (labelled.labels >= 0).nonzero().squeeze(-1)[:MOST_ITEMS]
    rest = (labelled.labels < 0).nonzero().squeeze(-1)
    spread = torch.linspace(0, len(rest) - 1, min(MOST_ITEMS - len(gold), len(rest))).long()
    return labelled.select(torch.cat([gold, rest[spread]]).sort().values)


def _fitted(features: Tensor, labelled: Labelled) -> Callable[[Tensor], Tensor]:
    """Softmax regression on features (B, d) with a small ridge, features brought to one scale; from (n, d) to (n, C)."""
    mean = features.mean(0)
    scale = features.std(0, correction=0).clamp(min=1e-6) * math.sqrt(features.shape[1])
    gold = functional.one_hot(labelled.labels.clamp(min=0), labelled.targets.shape[-1])
    targets = torch.where((labelled.labels >= 0).unsqueeze(-1), gold, labelled.targets).float()  # (B, C)
    share = labelled.weight / labelled.weight.sum()  # (B,)
    weights = torch.zeros(features.shape[1] + 1, targets.shape[1], requires_grad=True)  # the last row is the bias
    optimiser = torch.optim.LBFGS([weights], max_iter=ROUNDS, line_search_fn="strong_wolfe")
    scaled = (features - mean) / scale

    def loss() -> Tensor:
        optimiser.zero_grad()
        fit = (share * cross_entropy(scaled @ weights[:-1] + weights[-1], targets)).sum()
        value: Tensor = fit + RIDGE * weights[:-1].square().sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimiser.step(loss)  # type: ignore[no-untyped-call]
    found = weights.detach()
    return lambda asked: (asked - mean) / scale @ found[:-1] + found[-1]
