"""When to stop buying: what the next block of answers is likely to gain, read off the learning curve so far.

Knows who was right on the same validation items after each number of answers. Does not know what answers cost, or whether a
gain is worth it: a person compares the interval with the price of the block.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from distrust.errors import DataError
from distrust.evaluate.scores import Interval, _chunks, _counts, _percentiles

EXPONENTS = torch.logspace(math.log10(0.05), math.log10(2), 33, dtype=torch.float64)
USUAL, SPREAD = 0.5, 0.7  # a power law's exponent before anything is seen, and the spread of its logarithm
SWING = 1e-6  # least variance of a point


@dataclass(frozen=True)
class Tested:
    """A forecast made from the points before, and what came."""

    bought: int  # answers when it was made
    then: int  # answers that it is about
    predicted: Interval
    gained: float

    @property
    def held(self) -> bool:
        """Whether the interval held what came."""
        return self.predicted.low <= self.gained <= self.predicted.high


def next_gain(bought: Sequence[int], right: Tensor, block: int, bootstrap: int = 500, seed: int = 0) -> Interval:
    """What `block` more answers are likely to gain in accuracy, as it will be measured on the same validation items.

    A power law, accuracy = a - b · answers^-c with b at least 0, is fitted to the points by least squares, over exponents c
    from .05 to 2 that are drawn towards one half where points do not say; with two points it is one half. The interval is
    of 95 %, and that of a measurement: validation items are resampled, each resample fitted, and the swing added by which
    items change between one student and the next; it is no narrower than so many items can measure. Points of one kind of
    buying are meant: a curve that was bought at random says nothing of choosing.

    Args:
        bought: K numbers of answers, two or more, rising; the last is where one stands.
        right: (K, N) 1 where the student of so many answers was right about the validation item, else 0.
        block: how many answers more, above 0.

    Raises:
        DataError: shapes that do not fit, one point alone, numbers that do not rise.

    Source: a power law of learning curves as in Hestness et al. 2017; the prior and the interval are ours, and back-tested
    (`python -m benchmarks stopping`).
    """
    _check(bought, right, block)
    curve = right.detach().cpu().double()
    items = curve.shape[-1]
    changed = (curve[1:] - curve[:-1]).square().mean()  # share of items whose outcome changes from one student to the next
    variance = float(changed.clamp(min=SWING)) / items
    generator = torch.Generator().manual_seed(seed)
    means = [curve.mean(-1).unsqueeze(0)]
    means += [_counts(rows, items, generator) @ curve.T / items for rows in _chunks(bootstrap, items)]
    gains = _fitted_gains(bought, torch.cat(means), block, variance)
    swing = torch.randn(len(gains) - 1, generator=generator, dtype=torch.float64) * math.sqrt(variance)
    return Interval(float(gains[0]), *_percentiles(gains[1:] + swing))


def back_test(bought: Sequence[int], right: Tensor, bootstrap: int = 500, seed: int = 0) -> list[Tested]:
    """Forecast each point from those before it, from the third on. Arguments as for `next_gain`."""
    found = []
    for place in range(2, len(bought)):
        block = bought[place] - bought[place - 1]
        predicted = next_gain(bought[:place], right[:place], block, bootstrap, seed)
        gained = float(right[place].double().mean() - right[place - 1].double().mean())
        found.append(Tested(bought[place - 1], bought[place], predicted, gained))
    return found


def _fitted_gains(bought: Sequence[int], accuracy: Tensor, block: int, variance: float) -> Tensor:
    """Gain of a block by the likeliest power law through each row of accuracies: (R, K) to (R,)."""
    exponents = EXPONENTS if len(bought) > 2 else torch.tensor([USUAL], dtype=torch.float64)
    numbers = torch.tensor([*bought, bought[-1] + block], dtype=torch.float64)
    powers = numbers ** -exponents.unsqueeze(-1)  # (E, K + 1), falling
    seen = powers[:, :-1]
    centred = seen - seen.mean(-1, keepdim=True)  # (E, K)
    away = accuracy - accuracy.mean(-1, keepdim=True)  # (R, K)
    fall = -(away @ centred.T) / centred.square().sum(-1)  # b, (R, E)
    fall = fall.clamp(min=0)
    missed = (away.unsqueeze(1) + fall.unsqueeze(-1) * centred).square().sum(-1)  # (R, E)
    best = (missed / variance + ((exponents / USUAL).log() / SPREAD).square()).argmin(-1, keepdim=True)
    ahead = powers[:, -2] - powers[:, -1]  # (E,)
    return (fall * ahead).gather(-1, best).squeeze(-1)


def _check(bought: Sequence[int], right: Tensor, block: int) -> None:
    if len(bought) < 2 or bought[0] < 1 or any(more <= fewer for fewer, more in pairwise(bought)):
        raise DataError(f"The curve has {list(bought)} answers; legal are two numbers or more, above 0 and rising.")
    if right.dim() != 2 or len(right) != len(bought) or not right.numel():
        raise DataError(f"Outcomes {tuple(right.shape)} do not fit; legal is ({len(bought)}, items).")
    if block < 1:
        raise DataError(f"A block of {block} answers gains nothing; legal is 1 or more.")
