"""One process or several, full or mixed precision: accelerate where it is needed, plain torch where not.

Knows which rows a process takes and how gradients meet. Knows nothing of losses or students' insides.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from distrust.errors import RunError
from distrust.modules import best_device
from distrust.recipe import Train

if TYPE_CHECKING:
    from distrust.train import Side


def count() -> int:
    """How many processes `accelerate launch` or `torchrun` started; 1 without them."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def rank() -> int:
    """Which of them this is; only rank 0 asks teachers and writes."""
    return int(os.environ.get("RANK", "0"))


def wait() -> None:
    """Let every process come to this line."""
    if count() > 1:
        from accelerate import PartialState

        PartialState(cpu=not torch.cuda.is_available()).wait_for_everyone()


class Processes:
    """The surroundings of a fit, entered for its length; the students' own modules are back afterwards.

    Raises:
        RunError: FSDP, or several processes and an objective that is trained too: its gradients would not meet.
    """

    def __init__(self, sides: Sequence[Side], options: Train) -> None:
        self.sides, self.micro = sides, options.per_device_train_batch_size
        self.count, self.rank = count(), rank()
        self.accelerator: Any = None
        if self.count > 1 and any(len(side.objective.modules) for side in sides):
            raise RunError(
                "An objective with parts of its own is trained in one process; start it without `accelerate launch`."
            )
        if os.environ.get("ACCELERATE_USE_FSDP", "false").lower() == "true":
            raise RunError("Sharded students (FSDP) cannot be trained yet; launch with --multi_gpu, or in one process.")
        if self.count > 1 or options.bf16:
            from accelerate import Accelerator

            precision = "bf16" if options.bf16 else "no"
            self.accelerator = Accelerator(mixed_precision=precision, cpu=not torch.cuda.is_available())

    def __enter__(self) -> Processes:
        self.device = best_device() if self.accelerator is None else self.accelerator.device
        for side in self.sides:
            side.student.module.to(self.device)
            side.objective.modules.to(self.device)
            if self.accelerator is not None:
                side.student.module = self.accelerator.prepare(side.student.module)
        return self

    def __exit__(self, *error: object) -> None:
        if self.accelerator is not None:
            for side in self.sides:
                side.student.module = self.accelerator.unwrap_model(side.student.module, keep_fp32_wrapper=False)

    def share(self, rows: Tensor) -> list[Tensor]:
        """This process's part of a step's rows (n,), in as many micro-batches as every other process has."""
        if self.count == 1 and len(rows) <= self.micro:
            return [rows]
        batches = math.ceil(math.ceil(len(rows) / self.count) / self.micro)
        return list(rows[self.rank :: self.count].tensor_split(batches))

    def total(self, weight: Tensor) -> Tensor:
        """What a micro-batch's sum is divided by: the step's weight, less the mean that several processes take."""
        return weight / self.count

    def place(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        """Tensors on the device where the sides are."""
        if self.device.type == "cpu":
            return tensors
        return {name: value.to(self.device, non_blocking=True) for name, value in tensors.items()}

    def precision(self) -> AbstractContextManager[Any]:
        """Mixed precision where it was asked for."""
        return nullcontext() if self.accelerator is None else self.accelerator.autocast()

    def backward(self, loss: Tensor) -> None:
        """Gradients of a loss, met across processes."""
        if self.accelerator is None:
            loss.backward()  # type: ignore[no-untyped-call]
        else:
            self.accelerator.backward(loss)


def mix(*parts: int) -> int:
    """One seed from several numbers; splitmix64's multiplier spreads neighbouring seeds and steps apart."""
    mixed = 0
    for part in parts:
        mixed = (mixed ^ part) * 0xBF58476D1CE4E5B9 % 2**63
        mixed ^= mixed >> 31
    return mixed


def seed(*parts: int) -> None:
    """Make torch's generators a function of `parts`: a resumed fit then needs no generator state of its own."""
    torch.default_generator.manual_seed(mix(*parts))
    for generator in torch.cuda.default_generators:  # none before a device is in use
        generator.manual_seed(mix(*parts))
