"""How well a signal tells right claims from wrong ones: AUROC, reliability, precision against coverage.

Pure functions. Knows a number an item and whether the item's claim was right. Does not know what the number was read off.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from distrust.errors import DataError
from distrust.evaluate.judging import Bin, reliability
from distrust.evaluate.scores import Interval, _chunks, _counts, calibration_error, wilson

COVERAGES = (0.5, 0.63, 0.8)  # at which precision is reported with an interval
STEPS = 50  # points of the drawn curve


@dataclass(frozen=True)
class Quality:
    """What gold says of a signal."""

    items: int  # judged: gold is known and the signal has a say
    silent: int  # gold is known, and the signal has no say
    base: Interval  # share of the judged claims that are right
    auroc: Interval | None  # chance that a right claim has the higher signal, ties half; None where all are right, or wrong
    ece: Interval  # of the signal taken as the chance to be right
    bins: tuple[Bin, ...]
    precision: dict[float, Interval]  # by coverage: how many are right of the share that is believed most
    curve: tuple[tuple[float, float], ...]  # (coverage, precision)


def quality(
    signal: Tensor, right: Tensor, coverages: Sequence[float] = COVERAGES, bootstrap: int = 1000, seed: int = 0
) -> Quality | None:
    """Judge a signal where gold is known and it has a say; None where that is nowhere.

    Among items of the same signal the believed ones are drawn at random: precision is the mean over such draws, so that the
    items' order changes nothing.

    Args:
        signal: (N,) in [0, 1], NaN where it has no say; raw, or calibrated.
        right: (N,) 1 right, 0 wrong, -1 no gold.
        coverages: shares of the judged items, each above 0 and up to 1.
        bootstrap, seed: items are resampled for each interval, as for `scores.score`; `base` has Wilson's.

    Raises:
        DataError: shapes that differ, a signal outside [0, 1], a coverage that is no share.
    """
    if signal.shape != right.shape or signal.dim() != 1:
        raise DataError(f"A signal {tuple(signal.shape)} and outcomes {tuple(right.shape)} do not fit; legal is (N,) twice.")
    if any(not 0 < one <= 1 for one in coverages):
        raise DataError(f"Coverages are {list(coverages)}; legal are shares above 0 and up to 1.")
    if bool(((signal < 0) | (signal > 1)).any()):
        raise DataError("A signal is below 0 or above 1; legal is a share, or NaN where it has no say.")
    counted = (right >= 0) & signal.isfinite()
    if not bool(counted.any()):
        return None
    score, good = signal[counted].detach().cpu().double(), (right[counted] == 1).cpu()
    levels, place = torch.unique(score.neg(), return_inverse=True)  # the highest signal first
    whole = _by_level(torch.ones(1, len(good), dtype=torch.float64), good, place, len(levels))
    generator = torch.Generator().manual_seed(seed)
    drawn = [_counts(rows, len(good), generator) for rows in _chunks(bootstrap, len(good))]
    again = [_by_level(weights, good, place, len(levels)) for weights in drawn]
    base = wilson(int(good.sum()), len(good))
    assert base is not None
    steps = [step / STEPS for step in range(1, STEPS + 1)]
    return Quality(
        items=len(good),
        silent=int(((right >= 0) & ~signal.isfinite()).sum()),
        base=base,
        auroc=_interval(_auroc(whole), [_auroc(one) for one in again]) if bool(good.any() and not good.all()) else None,
        ece=calibration_error(score, good, bootstrap, seed),
        bins=reliability(score, good),
        precision={
            share: _interval(_precision(whole, share), [_precision(one, share) for one in again]) for share in coverages
        },
        curve=tuple((share, float(_precision(whole, share))) for share in steps),
    )


def _by_level(weights: Tensor, good: Tensor, place: Tensor, levels: int) -> Tensor:
    """Right and wrong items at each level of the signal, the highest first: weights (R, N) to (2, R, G)."""
    found = torch.zeros(2, len(weights), levels, dtype=torch.float64)
    found[0].index_add_(1, place[good], weights[:, good])
    found[1].index_add_(1, place[~good], weights[:, ~good])
    return found


def _auroc(counts: Tensor) -> Tensor:
    """Mann and Whitney's statistic over pairs: (2, R, G) to (R,); NaN where all are right, or wrong."""
    good, bad = counts
    below = bad.sum(-1, keepdim=True) - bad.cumsum(-1)
    auroc: Tensor = (good * (below + bad / 2)).sum(-1) / (good.sum(-1) * bad.sum(-1))
    return auroc


def _precision(counts: Tensor, coverage: float) -> Tensor:
    """Share of right ones among the `coverage` that is believed most: (2, R, G) to (R,)."""
    good, items = counts[0], counts.sum(0)
    ends = items.cumsum(-1)  # (R, G)
    wanted = coverage * ends[:, -1:]  # (R, 1)
    last = torch.searchsorted(ends, wanted - 1e-9).clamp(max=ends.shape[-1] - 1)  # the level in which the share ends
    inside, before = items.gather(-1, last), (ends - items).gather(-1, last)
    share = ((wanted - before) / inside.clamp(min=1e-12)).clamp(0, 1)
    hits = (good.cumsum(-1) - good).gather(-1, last) + share * good.gather(-1, last)
    return (hits / wanted).squeeze(-1)


def _interval(plain: Tensor, resampled: Sequence[Tensor]) -> Interval:
    low, high = torch.cat(list(resampled)).nanquantile(torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
    return Interval(float(plain), low, high)
