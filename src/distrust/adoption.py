"""Which bought answers to learn from, and how much: by threshold, by weight, against the student's own answer, or by route.

Knows signals of the same items. A signal that is NaN has no say, and drops nothing. Knows nothing of texts, training or
prices: an answer that is dropped was paid for all the same. `select.most_trusted` keeps a share instead of what is above a
threshold, which is what a signal of a few values needs.
"""

from __future__ import annotations

import torch
from torch import Tensor

from distrust.errors import DataError

DISCARD, TEACHER, STUDENT = 0, 1, 2  # routes


def youden(signal: Tensor, right: Tensor) -> float:
    """The threshold at which "at least so much" tells right from wrong best: largest share of right kept less wrong kept.

    Args:
        signal: (N,), NaN where it has no say; right: (N,) 1 right, 0 wrong, -1 no gold.

    Returns:
        One of the signal's values; the lowest of equally good ones, which keeps most.

    Raises:
        DataError: shapes that differ, or gold without a right and a wrong one on which the signal has a say.

    Source: Youden 1950; TA-in-the-loop card, equation A4 (τ on gold; a reconstruction, not the paper's text).
    """
    if signal.shape != right.shape or signal.dim() != 1:
        raise DataError(f"A signal {tuple(signal.shape)} and outcomes {tuple(right.shape)} do not fit; legal is (N,) twice.")
    known = (right >= 0) & signal.isfinite()
    value, good = signal[known].double(), right[known] == 1
    if not bool(good.any()) or bool(good.all()):
        raise DataError("A threshold on gold needs a right and a wrong answer there; give more gold, or a threshold.")
    cuts = torch.unique(value)  # rising
    kept = value >= cuts.unsqueeze(-1)  # (K, n)
    index = (
        kept[:, good].sum(-1) * (~good).sum() - kept[:, ~good].sum(-1) * good.sum()
    )  # whole numbers, so that ties are ties
    return float(cuts[index.argmax()])


def believed(signal: Tensor, threshold: float) -> Tensor:
    """Which bought answers are used: (N,) to (N,) bool, those at the threshold or above, and those without a say.

    Raises:
        DataError: nothing is left to learn from.

    Source: TA-in-the-loop card, equation A4.
    """
    kept = ~(signal < threshold)
    if len(kept) and not bool(kept.any()):
        best = float(signal.max())
        raise DataError(
            f"No answer is believed: the highest confidence is {best:.3g}, below the threshold of {threshold:.3g}."
        )
    return kept


def soft_weight(teacher: Tensor, consistency: Tensor | None = None, boost: float = 1.0, most: float = 2.0) -> Tensor:
    """How much a bought answer counts: s3 · (1 + γ · (1 - s1)), up to `most`: (N,) twice to (N,) double.

    Args:
        teacher: s3, the assistant's confidence in the bought answer; where it has no say, 1.
        consistency: s1, the student's; where it has no say, or is switched off, nothing is added.
        boost: γ, 0 or more; most: above 0.

    Raises:
        DataError: a γ below 0 or a `most` that is not above it, or weights that are all 0.

    Source: TA-in-the-loop card, equation A5, soft variant R2.
    """
    if boost < 0 or most <= 0:
        raise DataError(f"A weight's boost is {boost} and its most {most}; legal are 0 or more, and above 0.")
    doubt = 0.0 if consistency is None else 1 - consistency.double().nan_to_num(1.0)
    weight = (teacher.double().nan_to_num(1.0) * (1 + boost * doubt)).clamp(0, most)
    if len(weight) and not bool((weight > 0).any()):
        raise DataError("Every bought answer has the weight 0, so nothing is left to learn from.")
    return weight


def stands(same: Tensor, in_teacher: Tensor, in_student: Tensor) -> Tensor:
    """Which bought answers stand against the student's majority: (N,) bool.

    Args:
        same: (N,) bool, the student's majority answer is the teacher's: nothing to decide.
        in_teacher, in_student: s3 and s2. A contradicted answer stands where s3 is at least s2, or either has no say.

    Source: TA-in-the-loop card, rule for a bought item that contradicts the student's majority.
    """
    return same | ~(in_teacher < in_student)


def route(
    consistency: Tensor, in_student: Tensor, in_teacher: Tensor | None, sure: float, agreed: float, trusted: float
) -> Tensor:
    """Where an item's label comes from: (N,) long of DISCARD, TEACHER, STUDENT.

    The student's own where s1 is `sure` at least and s2 `agreed` at least, which is free; else the teacher's where it was
    bought and s3 is `trusted` at least; else nobody's. A signal without a say reaches no threshold here: a free label needs
    both signals, and so does a bought one that is to be told apart from them.

    Args:
        consistency, in_student: s1 and s2, (N,).
        in_teacher: s3, (N,), NaN where nothing was bought; None: nothing was bought at all.

    Source: TA-in-the-loop card, "free labels" and `use="route"` (R3).
    """
    free = (consistency >= sure) & (in_student >= agreed)
    found = torch.full(consistency.shape, DISCARD)
    if in_teacher is not None:
        found[in_teacher >= trusted] = TEACHER
    found[free] = STUDENT
    return found
