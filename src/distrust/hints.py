"""Hints: a student's feature held to several teachers' features, each through a projection of its own.

Knows projections, sizes and teachers' heads. Knows nothing of how much a teacher is believed, of what is learned besides, or
of how a teacher was asked.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from distrust import losses
from distrust.errors import RunError
from distrust.mapped import Column
from distrust.modules import seeded
from distrust.processes import mix


class Projection(nn.Module):
    """From a student's feature (n, ...) to the size of a teacher's: r_k of CA-MKD, equation 4.

    To a map (C, H, W): the student's map at the teacher's height and width, then a 1 x 1 convolution. To a vector (D,): a
    linear map, of the mean over a map's places where the student has a map. `rectified` adds batch normalisation and ReLU,
    as the official code does: right where the teacher's feature is never negative, and wrong for pooled or normalised ones.

    Args:
        source, target: sizes without the items.
        rectified: None: for maps alone.

    Raises:
        RunError: sizes between which no projection leads.
    """

    def __init__(self, source: Sequence[int], target: Sequence[int], rectified: bool | None = None) -> None:
        super().__init__()
        self.target = tuple(target)
        if len(source) not in (1, 3) or len(target) not in (1, 3) or (len(source), len(target)) == (1, 3):
            raise RunError(
                f"No projection leads from a student's feature {tuple(source)} to a teacher's {tuple(target)}; legal are "
                "a vector to a vector, and a map (channels, height, width) to a map or a vector."
            )
        is_map = len(target) == 3
        self.linear = nn.Conv2d(source[0], target[0], 1, bias=False) if is_map else nn.Linear(source[0], target[0])
        wanted = is_map if rectified is None else rectified
        self.norm = (nn.BatchNorm2d if is_map else nn.BatchNorm1d)(target[0]) if wanted else None

    def forward(self, feature: Tensor) -> Tensor:
        """(n, ...) to (n, *target)."""
        if len(self.target) == 3:
            made = self.linear(losses.resized(feature, (self.target[1], self.target[2])))
        else:
            made = self.linear(feature.flatten(2).mean(-1) if feature.dim() == 4 else feature)
        return made if self.norm is None else self._normalised(self.norm, made).relu()

    def _normalised(self, norm: nn.Module, made: Tensor) -> Tensor:
        """Of one value a channel there is no variance: the running one serves, as in eval mode."""
        if made.numel() > made.shape[1]:
            return norm(made)  # type: ignore[no-any-return]
        return nn.functional.batch_norm(made, norm.running_mean, norm.running_var, norm.weight, norm.bias)  # type: ignore[arg-type]


class InTask(nn.Module):
    """A teacher's head whose logits stand at the task's classes.

    Args:
        head: (n, ...) to (n, C_own).
        classes: (C_own,) where its classes stand among the task's, -1 where the task lacks one.
        count: C of the task.
    """

    own: Tensor
    stand: Tensor

    def __init__(self, head: nn.Module, classes: Tensor, count: int) -> None:
        super().__init__()
        self.head, self.count = head, count
        own = (classes >= 0).nonzero().squeeze(-1)
        self.register_buffer("own", own)
        self.register_buffer("stand", classes[own])

    def forward(self, feature: Tensor) -> Tensor:
        """(n, ...) to logits (n, C), -inf at classes that the teacher does not know."""
        said: Tensor = self.head(feature)[:, self.own]
        return said.new_full((len(said), self.count), -torch.inf).index_copy(-1, self.stand, said)


@dataclass(frozen=True)
class Hinting:
    """A teacher whose feature the student is held to.

    Args:
        name: the teacher's.
        feature: (N, ...) what it made of the items, in memory or on disk.
        head: from such a feature (n, ...) to logits (n, C) of the task; None where nobody asks what the student's is worth.
    """

    name: str
    feature: Column
    head: nn.Module | None = None


class Hints:
    """Trainable projections into several teachers' features, and what they show of a batch.

    A batch holds the student's feature as ``taps.feature`` and teacher k's as ``feature.k``.

    Args:
        source: the size of the student's feature.
        teachers: whose features.
        seed: of the projections' initial weights; the teacher's name tells one's from another's, not its place.
        rectified: as for `Projection`.

    Raises:
        RunError: sizes that do not fit, or a feature that is not finite, naming the teacher.
    """

    def __init__(self, source: Sequence[int], teachers: Sequence[Hinting], seed: int, rectified: bool | None = None) -> None:
        self.extra = {f"feature.{place}": teacher.feature for place, teacher in enumerate(teachers)}
        self.projections, self.heads = nn.ModuleDict(), nn.ModuleDict()
        for place, teacher in enumerate(teachers):
            if not _finite(teacher.feature):
                raise RunError(f"The teacher {teacher.name} has a feature that is not finite; NaN and inf are refused.")
            try:
                with seeded(mix(seed, zlib.crc32(teacher.name.encode()))):
                    self.projections[str(place)] = Projection(source, teacher.feature.shape[1:], rectified)
            except RunError as error:
                raise RunError(f"The teacher {teacher.name}: {error}") from None
            if teacher.head is not None:
                self.heads[str(place)] = teacher.head

    def projected(self, batch: dict[str, Tensor]) -> list[Tensor]:
        """The student's feature in each teacher's space, each from the same original: M of (n, ...)."""
        return [projection(batch["taps.feature"]) for projection in self.projections.values()]

    def errors(self, projected: Sequence[Tensor], batch: dict[str, Tensor]) -> Tensor:
        """Mean squared errors: (M, n)."""
        return torch.stack([losses.hint(made, batch[f"feature.{place}"]) for place, made in enumerate(projected)])

    def judged(self, projected: Sequence[Tensor]) -> Tensor:
        """What each teacher's head says of the student's projected feature: logits (M, n, C), -inf at classes it lacks."""
        return torch.stack([self.heads[str(place)](made) for place, made in enumerate(projected)])


def _finite(feature: Column) -> bool:
    """Whether all of a feature (N, ...) is finite, read in parts."""
    return all(bool(feature[rows].isfinite().all()) for rows in torch.split(torch.arange(len(feature)), 4096))
