"""What a student is worth in human labels: where its accuracy lies on the learning curve of gold labels alone.

Knows who was right on the same test items: the student, and students of a few gold labels. Does not know how any of them
was trained, or who drew the labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from distrust.errors import DataError
from distrust.evaluate.scores import Interval, _chunks, _counts, _percentiles

ROUNDING = 1e-9  # of means of whole numbers: a level part at the very accuracy of the student reaches it


@dataclass(frozen=True)
class Worth(Interval):
    """So many human labels, and their 95 % interval, read off a curve between `least` and `most` labels.

    A number that equals `least` says "so many or fewer", one that equals `most` "so many or more": no curve is drawn on.
    """

    least: int
    most: int


def worth_in_labels(labels: Sequence[int], curve: Tensor, student: Tensor, bootstrap: int = 1000, seed: int = 0) -> Worth:
    """Read off a learning curve how many labels train a student as good as this one.

    Between its points the curve is straight over the logarithm of the number of labels; where more labels did worse it is
    levelled by isotonic regression. Where it is level at the student's accuracy, the fewest labels count.

    Args:
        labels: K numbers of human labels, two or more, rising.
        curve: (K, N) 1 where the student of so many labels was right about the test item, else 0; or (K, S, N) over seeds.
        student: (N,) or (S, N), the same of the student that is judged, on the same items.
        bootstrap, seed: as for `scores.paired_difference`: test items are resampled, the same ones for all, and seeds with
            them. With one seed the interval knows nothing of the luck of the draw of labels.

    Raises:
        DataError: shapes that do not fit, a curve of one point, numbers of labels that do not rise.
    """
    _check(labels, curve, student)
    points, items = len(labels), student.shape[-1]
    right = torch.cat([curve.reshape(points, -1, items), student.reshape(1, -1, items)]).cpu().double()  # (K + 1, S, N)
    seeds = right.shape[1]
    generator = torch.Generator().manual_seed(seed)
    means = []
    for rows in _chunks(bootstrap, items):
        over_seeds = _counts(rows, seeds, generator) / seeds  # (R, S)
        per_seed = torch.einsum("rn,ksn->rsk", _counts(rows, items, generator), right) / items
        means.append(torch.einsum("rs,rsk->rk", over_seeds, per_seed))
    accuracies = torch.cat([right.mean((1, 2)).unsqueeze(0), *means])  # the plain ones first: (1 + bootstrap, K + 1)
    read = read_off(labels, isotonic(accuracies[:, :-1]), accuracies[:, -1])
    return Worth(float(read[0]), *_percentiles(read[1:]), labels[0], labels[-1])


def isotonic(values: Tensor) -> Tensor:
    """The nearest rising curves, by least squares: (R, K) to (R, K).

    Source: Robertson, Wright and Dykstra 1988, theorem 1.4.4: the largest over starts of the least over ends of the mean.
    """
    points = values.shape[-1]
    sums = torch.nn.functional.pad(values.cumsum(-1), (1, 0))  # (R, K + 1)
    place = torch.arange(points)
    length = place + 1 - place.unsqueeze(-1)  # from start i to end j
    mean = (sums[:, None, 1:] - sums[:, :-1, None]) / length.clamp(min=1)  # (R, K starts, K ends)
    mean = mean.masked_fill(length < 1, torch.inf)
    least = mean.flip(-1).cummin(-1).values.flip(-1)  # over ends at or after each place
    return least.masked_fill(length < 1, -torch.inf).amax(1)


def read_off(labels: Sequence[int], levels: Tensor, accuracy: Tensor) -> Tensor:
    """The fewest labels at which rising curves (R, K) reach an accuracy (R,): (R,), never below or above the K numbers."""
    steps = torch.tensor(labels, dtype=torch.float64).log()
    after = (levels < accuracy.unsqueeze(-1) - ROUNDING).sum(-1)  # (R,) the first point that reaches it; K: none does
    place = after.clamp(1, len(labels) - 1)
    low, high = (levels.gather(-1, (place - back).unsqueeze(-1)).squeeze(-1) for back in (1, 0))
    share = ((accuracy - low) / (high - low)).clamp(0, 1)
    read = (steps[place - 1] + share * (steps[place] - steps[place - 1])).exp()
    read = torch.where(after == 0, float(labels[0]), read)
    return torch.where(after == len(labels), float(labels[-1]), read).clamp(labels[0], labels[-1])


def _check(labels: Sequence[int], curve: Tensor, student: Tensor) -> None:
    if len(labels) < 2 or labels[0] < 1 or any(more <= fewer for fewer, more in pairwise(labels)):
        raise DataError(f"The curve has {list(labels)} labels; legal are two numbers or more, above 0 and rising.")
    if student.dim() not in (1, 2) or curve.shape != (len(labels), *student.shape) or not student.numel():
        raise DataError(
            f"A curve {tuple(curve.shape)} does not fit a student {tuple(student.shape)}; legal is ({len(labels)}, N) and "
            f"(N,), or ({len(labels)}, seeds, N) and (seeds, N)."
        )
