"""Scores of a predictor on gold, with intervals, and fair comparisons of two.

Knows probabilities and gold labels on the same items. Does not know who predicted. Every interval covers 95 %.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from distrust.errors import DataError

BINS = 15  # equal-width confidence bins of the calibration error (Guo et al. 2017)
FLOOR = torch.finfo(torch.float32).eps  # of a probability inside a log: a certain mistake costs 15.9 nats, not infinity
LEAST = 6  # fewer paired differences than this cannot exclude zero at 95 %, whatever their size (sign test)
Verdict = Literal["above", "below", "within noise"]


@dataclass(frozen=True)
class Interval:
    """A figure and its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Difference(Interval):
    """A difference a - b, in the unit of what was compared."""

    verdict: Verdict
    items: int | None  # that both were measured on; None where they were measured on different ones


def score(probabilities: Tensor, labels: Tensor, bootstrap: int = 1000, seed: int = 0) -> dict[str, Interval]:
    """Score a predictor on gold labels.

    Args:
        probabilities: (N, C), rows that sum to one.
        labels: (N,) long gold classes.
        bootstrap: resamples of the items behind each interval (percentiles 2.5 and 97.5).
        seed: of the resampling; the global random state is neither read nor changed.

    Returns:
        ``accuracy``; ``macro_f1``, over the classes that are gold or predicted in the (re)sample, as scikit-learn's;
        ``nll`` in nats, a probability below 1.2e-7 counted as that; ``brier``, summed over classes, in [0, 2];
        ``ece`` of the top class over 15 equal bins. Resampling adds noise to every bin, so the interval of a very
        small ``ece`` lies above it.

    Raises:
        DataError: no items, shapes that do not fit, labels outside the classes, rows that are no distributions.
    """
    _check(probabilities, labels)
    chance = probabilities.detach().to("cpu", torch.float64)
    gold, classes = labels.detach().cpu(), probabilities.shape[-1]
    confidence, predicted = chance.max(-1)
    right = (predicted == gold).double()
    truth = torch.nn.functional.one_hot(gold, classes).double()  # (N, C)
    claimed = torch.nn.functional.one_hot(predicted, classes).double()
    nll = -chance[torch.arange(len(gold)), gold].clamp(min=FLOOR).log()
    brier = (chance - truth).square().sum(-1)
    columns = torch.cat(
        [torch.stack([right, nll, brier], 1), _bin_gaps(confidence, right), truth * claimed, truth, claimed], 1
    )

    def figures(sums: Tensor) -> dict[str, Tensor]:  # (R, K) to (R,) each
        means, gaps, both, true, said = torch.split(sums, [3, BINS, classes, classes, classes], -1)
        seen = true + said  # (R, C)
        f1 = torch.where(seen > 0, 2 * both / seen.clamp(min=1), 0.0).sum(-1) / (seen > 0).sum(-1)
        accuracy, log_loss, square = (means / len(gold)).unbind(-1)
        ece = gaps.abs().sum(-1) / len(gold)
        return {"accuracy": accuracy, "macro_f1": f1, "nll": log_loss, "brier": square, "ece": ece}

    return _intervals(figures(columns.sum(0, keepdim=True)), figures(_resampled(columns, bootstrap, seed)))


def paired_difference(a: Tensor, b: Tensor, bootstrap: int = 1000, seed: int = 0) -> Difference:
    """Compare two predictors item by item.

    Args:
        a, b: (N,) values on the same items, such as 1 for right and 0 for wrong, or (S, N) over S seeds.
        bootstrap, seed: as for `score`; with several seeds, seeds and items are resampled together.

    Returns:
        The mean of a - b. The verdict is "above" or "below" where the interval excludes zero and at least six pairs
        differ, else "within noise". Source: Owen 2007, the pigeonhole bootstrap, for seeds crossed with items.

    Raises:
        DataError: shapes that differ or hold no items.
    """
    return paired_test(a, b, bootstrap, seed)[0]


def paired_test(a: Tensor, b: Tensor, bootstrap: int = 1000, seed: int = 0) -> tuple[Difference, float]:
    """`paired_difference`, and the p-value of no difference; arguments and errors as there.

    The p-value is twice the share of resampled means beyond zero, at least 2 / (bootstrap + 1); 1 where few pairs differ.
    """
    if a.shape != b.shape or a.dim() not in (1, 2) or not a.numel():
        raise DataError(f"Paired values are {tuple(a.shape)} and {tuple(b.shape)}; legal is (N,) or (seeds, N), twice.")
    gaps = (a.detach().cpu().double() - b.detach().cpu().double()).reshape(-1, a.shape[-1])  # (S, N)
    seeds, items = gaps.shape
    generator = torch.Generator().manual_seed(seed)
    parts = []
    for rows in _chunks(bootstrap, items):
        over_seeds = _counts(rows, seeds, generator) @ gaps / seeds  # (R, N)
        parts.append((over_seeds * _counts(rows, items, generator)).sum(-1) / items)
    means = torch.cat(parts)
    low, high = _percentiles(means)
    clear = int((gaps != 0).sum()) >= LEAST
    found = Difference(float(gaps.mean()), low, high, _verdict(low, high) if clear else "within noise", items)
    beyond = min(int((means <= 0).sum()), int((means >= 0).sum()))
    return found, min(1.0, 2 * (beyond + 1) / (bootstrap + 1)) if clear else 1.0


def holm(chances: Sequence[float]) -> list[float]:
    """p-values corrected for being many, so that one false alarm among all is as rare as one alone. Source: Holm 1979."""
    order = sorted(range(len(chances)), key=lambda place: chances[place])
    corrected, most = [0.0] * len(chances), 0.0
    for rank, place in enumerate(order):
        most = max(most, min(1.0, (len(chances) - rank) * chances[place]))
        corrected[place] = most
    return corrected


def unpaired_difference(a: Interval, b: Interval) -> Difference:
    """Compare two figures that were measured on different items, from their intervals alone.

    Source: Newcombe 1998 (statistics in medicine 17:873), method 10, for shares with Wilson's intervals.
    """
    value = a.value - b.value
    low = value - math.hypot(a.value - a.low, b.high - b.value)
    high = value + math.hypot(a.high - a.value, b.value - b.low)
    return Difference(value, low, high, _verdict(low, high), None)


def wilson(right: float, items: int) -> Interval | None:
    """Share of `right` among `items` with Wilson's score interval; None without items. Source: Wilson 1927."""
    if not items:
        return None
    z, share = 1.959963984540054, right / items
    scale = 1 + z * z / items
    centre = (share + z * z / (2 * items)) / scale
    half = z / scale * math.sqrt(share * (1 - share) / items + z * z / (4 * items * items))
    return Interval(share, max(0.0, min(centre - half, share)), min(1.0, max(centre + half, share)))


def calibration_error(confidence: Tensor, right: Tensor, bootstrap: int = 1000, seed: int = 0) -> Interval:
    """Expected calibration error of stated confidences: (N,) in [0, 1] and (N,) bool. Source: Guo et al. 2017, eq. 3."""
    gaps = _bin_gaps(confidence.double(), right.double())
    sums = {"ece": gaps.sum(0, keepdim=True)}, {"ece": _resampled(gaps, bootstrap, seed)}
    plain, resampled = ({"ece": one["ece"].abs().sum(-1) / len(gaps)} for one in sums)
    return _intervals(plain, resampled)["ece"]


def bin_of(confidence: Tensor, bins: int) -> Tensor:
    """Which of `bins` equal bins (low, high] a confidence falls in: (N,) to (N,) long; 0 falls in the first."""
    return ((confidence.double() * bins).ceil().long() - 1).clamp(0, bins - 1)


def _bin_gaps(confidence: Tensor, right: Tensor) -> Tensor:
    """Confidence minus right, in the column of the item's bin: (N,) twice to (N, BINS)."""
    return torch.nn.functional.one_hot(bin_of(confidence, BINS), BINS) * (confidence - right).unsqueeze(-1)


def _resampled(columns: Tensor, bootstrap: int, seed: int) -> Tensor:
    """Sums of each column over resampled items: (N, K) to (bootstrap, K)."""
    generator = torch.Generator().manual_seed(seed)
    rows = len(columns)
    return torch.cat([_counts(part, rows, generator) @ columns for part in _chunks(bootstrap, rows)])


def _chunks(bootstrap: int, items: int) -> list[int]:
    """Resamples per turn, so that one turn stays near 64 MB whatever the number of items."""
    turn = max(1, 2**23 // items)
    return [min(turn, bootstrap - start) for start in range(0, bootstrap, turn)]


def _counts(resamples: int, items: int, generator: torch.Generator) -> Tensor:
    """How often each item was drawn: (resamples, items), each row summing to `items`."""
    drawn = torch.randint(items, (resamples, items), generator=generator)
    offset = torch.arange(resamples).unsqueeze(-1) * items
    return (drawn + offset).flatten().bincount(minlength=resamples * items).view(resamples, items).double()


def _intervals(plain: Mapping[str, Tensor], resampled: Mapping[str, Tensor]) -> dict[str, Interval]:
    return {name: Interval(float(plain[name]), *_percentiles(resampled[name])) for name in plain}


def _verdict(low: float, high: float) -> Verdict:
    return "above" if low > 0 else "below" if high < 0 else "within noise"


def _percentiles(values: Tensor) -> tuple[float, float]:
    low, high = values.quantile(torch.tensor([0.025, 0.975], dtype=values.dtype)).tolist()
    return low, high


def _check(probabilities: Tensor, labels: Tensor) -> None:
    if probabilities.dim() != 2 or not len(probabilities):
        raise DataError(f"Probabilities are {tuple(probabilities.shape)}; legal is (N, C) with at least one item.")
    check_labels(labels, len(probabilities), probabilities.shape[-1], least=0)
    sums = probabilities.double().sum(-1)
    if not bool(((sums - 1).abs() < 1e-3).all()) or bool((probabilities < 0).any()):
        raise DataError("Each row of probabilities is at least 0 and sums to 1; softmax turns logits into that.")


def check_labels(labels: Tensor, items: int, classes: int, least: int) -> None:
    """Refuse labels that are not (items,) or not between `least` and classes - 1. Raises DataError."""
    if labels.shape != (items,) or not bool(((labels >= least) & (labels < classes)).all()):
        raise DataError(
            f"Gold labels {tuple(labels.shape)} do not fit; legal is ({items},) with classes {least} to {classes - 1}."
        )
