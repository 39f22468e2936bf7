"""Trust brought to what gold says it is worth: from a signal to the chance that a claim is right.

Knows a signal and, for some items, whether the claim was right. Does not know what the signal was read off, and never turns
it around: what gold finds worthless becomes one chance for all, not its opposite.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from distrust.errors import DataError, nearest

Kind = Literal["isotonic", "platt"]
KINDS = ("isotonic", "platt")


@dataclass(frozen=True)
class Isotonic:
    """A rising broken line from signal to chance, level beyond its ends."""

    at: Tensor  # (K,) rising
    chance: Tensor  # (K,) rising

    def __call__(self, signal: Tensor) -> Tensor:
        """(N,) to (N,) in (0, 1); NaN stays NaN."""
        read = np.interp(signal.double().cpu().numpy(), self.at.numpy(), self.chance.numpy())
        return torch.from_numpy(read).where(signal.cpu().isfinite(), torch.nan)


@dataclass(frozen=True)
class Platt:
    """A rising sigmoid of the signal; of slope 0 it is one chance for all."""

    slope: float
    intercept: float

    def __call__(self, signal: Tensor) -> Tensor:
        """(N,) to (N,) in (0, 1); NaN stays NaN."""
        return (signal.double().cpu() * self.slope + self.intercept).sigmoid()


Calibration = Isotonic | Platt


def fit_calibration(signal: Tensor, right: Tensor, kind: Kind = "isotonic") -> Calibration:
    """Fit chances to a signal on gold.

    Args:
        signal: (N,) higher means believe more; NaN where it has no say.
        right: (N,) 1 where gold says that the claim is right, 0 where wrong, -1 where there is no gold.
        kind: `isotonic` regression, or `platt`'s sigmoid.

    Returns:
        A rising function, never 0 or 1: n right ones among them aim at (n + 1) / (n + 2), n wrong ones at 1 / (n + 2). Where
        gold is all right or all wrong, or the signal is the same for all, or lower for right claims: (r + 1) / (n + 2) for
        all, r right ones of n; a half without any gold.

    Raises:
        DataError: another kind, or shapes that differ.

    Source: Platt 1999, section 2.2 (the targets, for both kinds); Zadrozny and Elkan 2002.
    """
    if kind not in KINDS:
        raise DataError(f"There is no calibration {kind!r}; {nearest(kind, KINDS)}.")
    known = _judged(signal, right)
    score, good = signal[known].double().cpu(), right[known].cpu() == 1
    hits, misses = int(good.sum()), int((~good).sum())
    base = (hits + 1) / (hits + misses + 2)
    level = Platt(0.0, math.log(base / (1 - base)))
    if not hits or not misses or bool((score == score[0]).all()):
        return level
    aims = torch.where(good, (hits + 1) / (hits + 2), 1 / (misses + 2)).double()
    return _isotonic(score, aims) if kind == "isotonic" else _platt(score, aims) or level


def calibrated(signal: Tensor, right: Tensor, kind: Kind = "isotonic", folds: int = 5) -> Tensor:
    """The signal as chances, cross-fitted: (N,) to (N,) double; a gold item's own label never tells its chance.

    Items without gold get the chance fitted on all gold, gold items that fitted on the other folds. Folds are dealt from
    gold in order of outcome and signal, so that the items' order changes nothing but who of several alike is in which.

    Args: as for `fit_calibration`; folds: at most so many, and no more than there is gold.

    Raises:
        DataError: as `fit_calibration`; no gold on which the signal has a say; fewer than two folds.
    """
    if folds < 2:
        raise DataError(f"{folds} folds cannot be crossed; legal is 2 or more.")
    known = _judged(signal, right)
    rows = known.nonzero().squeeze(-1)
    if not len(rows):
        raise DataError("A signal is calibrated on gold, and there is none on which it has a say.")
    values = fit_calibration(signal, right, kind)(signal)
    order = rows[np.lexsort((signal[rows].cpu().numpy(), right[rows].cpu().numpy()))]
    for fold in range(min(folds, len(rows))):
        held = order[fold :: min(folds, len(rows))]
        shown = right.clone()
        shown[held] = -1
        values[held] = fit_calibration(signal, shown, kind)(signal[held])
    return values


def _isotonic(score: Tensor, aims: Tensor) -> Isotonic:
    from sklearn.isotonic import IsotonicRegression

    fitted = IsotonicRegression(increasing=True, out_of_bounds="clip").fit(score.numpy(), aims.numpy())
    return Isotonic(torch.as_tensor(fitted.X_thresholds_), torch.as_tensor(fitted.y_thresholds_))


def _platt(score: Tensor, aims: Tensor) -> Platt | None:
    """The likeliest sigmoid; None where it falls."""
    from sklearn.linear_model import LogisticRegression

    mean, scale = float(score.mean()), float(score.std(correction=0))
    column = ((score - mean) / scale).unsqueeze(-1).numpy()  # (n, 1)
    outcomes = np.repeat([1, 0], len(aims))  # each item is both, by its aim
    weights = torch.cat([aims, 1 - aims]).numpy()
    fitted = LogisticRegression(C=1e6, max_iter=1000).fit(np.concatenate([column, column]), outcomes, sample_weight=weights)
    slope = float(fitted.coef_[0, 0]) / scale
    return Platt(slope, float(fitted.intercept_[0]) - slope * mean) if slope > 0 else None


def _judged(signal: Tensor, right: Tensor) -> Tensor:
    if signal.shape != right.shape or signal.dim() != 1:
        raise DataError(f"A signal {tuple(signal.shape)} and outcomes {tuple(right.shape)} do not fit; legal is (N,) twice.")
    return (right >= 0) & signal.isfinite()
