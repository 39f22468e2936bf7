"""Which rows each step of an epoch looks at, and how fast it learns: functions of the seed, the epoch and the step alone.

Knows the loop's options. Knows nothing of rows themselves, of sides or of what is learned.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from distrust.processes import mix
from distrust.recipe import Train


def steps(items: int, options: Train, processes: int) -> int:
    """How many steps an epoch over so many items has."""
    return math.ceil(items / (options.per_device_train_batch_size * options.gradient_accumulation_steps * processes))


def order(items: int, start: int, epoch: int, options: Train, processes: int) -> Iterator[Tensor]:
    """Rows of each step of an epoch: a permutation that seed and epoch decide, the last step possibly smaller."""
    generator = torch.Generator().manual_seed(mix(start, epoch, 1))
    drawn = torch.randperm(items, generator=generator)
    size = options.per_device_train_batch_size * options.gradient_accumulation_steps * processes
    return (drawn[at : at + size] for at in range(0, items, size))


def rate(step: int, total: int, options: Train) -> float:
    """Factor on the learning rate at a step, as transformers' schedules of the same names."""
    warmup = math.ceil(options.warmup_ratio * total)
    if step < warmup:
        return step / max(warmup, 1)
    if options.lr_scheduler_type == "constant":
        return 1.0
    progress = (step - warmup) / max(total - warmup, 1)
    return 1 - progress if options.lr_scheduler_type == "linear" else 0.5 * (1 + math.cos(math.pi * progress))
