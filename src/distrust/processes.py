"""One process or several, whole students or sharded ones, full or mixed precision; plain torch where one process is enough.

Knows which rows a process takes and how gradients meet. Knows nothing of losses or students' insides.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from distrust import sharding
from distrust.errors import RunError
from distrust.modules import best_device
from distrust.recipe import Train

if TYPE_CHECKING:
    from distrust.sides import Side


def count() -> int:
    """How many processes `accelerate launch` or `torchrun` started; 1 without them."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def rank() -> int:
    """Which of them this is; only rank 0 asks teachers and writes."""
    return int(os.environ.get("RANK", "0"))


def wait() -> None:
    """Let every process come to this line."""
    if count() > 1:
        _state().wait_for_everyone()


def _state() -> Any:
    """accelerate's, which makes the processes know of each other."""
    from accelerate import PartialState

    # else transformers, under FSDP, loads weights on rank 0 alone; a stage's key is of the weights, in every process
    os.environ["FSDP_CPU_RAM_EFFICIENT_LOADING"] = "false"
    return PartialState(cpu=not torch.cuda.is_available())


class Processes:
    """The surroundings of a fit, entered for its length; the students' own modules are back afterwards.

    Inside, `student.module` is what trains: the student's own module, one with DistributedDataParallel around it, or a
    sharded copy, whose weights go into the own module at the end (and do not where the fit fails).

    Raises:
        RunError: several processes and an objective whose parts are trained too: gradients would not meet; or a student
            that cannot be sharded, where FSDP was asked for.
    """

    def __init__(self, sides: Sequence[Side], options: Train) -> None:
        self.sides, self.micro, self.bf16 = sides, options.per_device_train_batch_size, options.bf16
        self.count, self.rank = count(), rank()
        self.sharded = sharding.asked()
        self.accelerator: Any = None
        if self.count > 1 and any(True for side in sides for _ in side.objective.modules.parameters()):
            raise RunError(
                "An objective with trained parts of its own is trained in one process; start it without `accelerate launch`."
            )
        if self.sharded:
            if self.count == 1:
                raise RunError("FSDP shards a student over several processes; launch more than one, or without --use_fsdp.")
            for side in sides:
                if not side.steady:
                    sharding.check(side.student.module)
        elif self.count > 1 or options.bf16:
            from accelerate import Accelerator

            precision = "bf16" if options.bf16 else "no"
            self.accelerator = Accelerator(mixed_precision=precision, cpu=not torch.cuda.is_available())

    def __enter__(self) -> Processes:
        state = _state() if self.sharded else self.accelerator
        self.device = best_device() if state is None else state.device
        self.talk = distributed.new_group(backend="gloo") if self.count > 1 else None
        self.own = [side.student.module for side in self.sides]
        for side in self.sides:
            side.student.module = self._prepared(side)
            side.objective.modules.to(self.device)
            side.objective.frozen.to(self.device)
        return self

    def _prepared(self, side: Side) -> nn.Module:
        """What trains in place of a side's own module."""
        module = side.student.module
        if not side.every:
            return module.to(self.device)
        if self.sharded:
            parts = DistributedDataParallel(module.to(self.device)) if side.steady else sharding.shard(module, self.device)
            if self.bf16:  # as accelerate does it
                from accelerate.utils import convert_outputs_to_fp32

                parts.forward = convert_outputs_to_fp32(self._autocast()(parts.forward))
            return parts
        module.to(self.device)
        prepared: nn.Module = module if self.accelerator is None else self.accelerator.prepare(module)
        return prepared

    def __exit__(self, kind: object, *error: object) -> None:
        for side, own in zip(self.sides, self.own, strict=True):
            trained, side.student.module = side.student.module, own
            if self.accelerator is not None:
                self.accelerator.unwrap_model(trained, keep_fp32_wrapper=False)
            elif self.sharded and side.every and not side.steady and kind is None:
                own.load_state_dict({name: sharding.whole(value).cpu() for name, value in trained.state_dict().items()})
                own.to(self.device)
            if self.count > 1 and kind is None:
                sharding.share(own.buffers())
        if self.talk is not None:
            distributed.destroy_process_group(self.talk)

    def agreed(self, value: float) -> float:
        """Rank 0's value, in every process: clocks differ, and what follows from one must be done by all."""
        if self.talk is None:
            return value
        said = torch.tensor(value, dtype=torch.float64)  # on the CPU: nothing waits for an accelerator
        distributed.broadcast(said, 0, group=self.talk)
        return float(said)

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
        if self.sharded:
            return self._autocast() if self.bf16 else nullcontext()
        return nullcontext() if self.accelerator is None else self.accelerator.autocast()

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16)

    def backward(self, loss: Tensor) -> None:
        """Gradients of a loss, met across processes."""
        if self.accelerator is None:
            loss.backward()  # type: ignore[no-untyped-call]
        else:
            self.accelerator.backward(loss)


def mean(value: Tensor) -> Tensor:
    """The mean of a tensor over all processes, which all come to this line."""
    if count() == 1:
        return value
    summed = value.clone()
    distributed.all_reduce(summed)
    return summed / count()


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
