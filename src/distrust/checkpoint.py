"""Where a fit is, and how it gets back there bit for bit.

Knows the state of a loop and its safetensors file, whose tensors are whole and plainly named however many processes train.
Knows nothing of what is learned.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from distrust.processes import rank
from distrust.sharding import bare, put, whole
from distrust.store import load_tensors, load_with_metadata, save_tensors

if TYPE_CHECKING:
    from distrust.sides import Side

FILE = "checkpoint.safetensors"


@dataclass
class State:
    """The position of a fit. Sums stay on the device until an epoch ends: no step waits for a number."""

    epoch: int = 0
    step: int = 0  # steps done in this epoch
    history: list[dict[str, Any]] = field(default_factory=list)
    sums: dict[str, Tensor] = field(default_factory=dict)
    seen: dict[str, int] = field(default_factory=dict)  # in how many steps each part was; a side may rest
    best: float | None = None
    since_best: int = 0
    stopped: bool = False
    best_weights: dict[str, Tensor] | None = None
    saved: float = field(default_factory=time.monotonic)  # when the last checkpoint was written
    seconds: list[float] = field(default_factory=lambda: [0.0])  # process time of each epoch's steps, the last one not over

    def add(self, parts: dict[str, Tensor], seconds: float = 0.0) -> None:
        """Count a step, the process time that it took, and add its parts to the epoch's sums."""
        self.step += 1
        self.seconds[-1] += seconds
        for name, value in parts.items():
            if name in self.sums:
                self.sums[name].add_(value)
            else:
                self.sums[name] = value.clone()
            self.seen[name] = self.seen.get(name, 0) + 1

    def means(self) -> dict[str, float]:
        """The epoch's mean of every part over the steps that had it."""
        return {name: float(value) / self.seen[name] for name, value in self.sums.items()}

    def judge(self, value: float, sides: Sequence[Side], patience: int | None) -> None:
        """Keep the weights of the best validation so far, and stop when it is `patience` epochs old."""
        if self.best is None or value < self.best:
            self.best, self.since_best = value, 0
            self.best_weights = {name: tensor.detach().clone() for name, tensor in _weights(sides).items()}
        else:
            self.since_best += 1
            self.stopped = patience is not None and self.since_best >= patience

    def end_epoch(self, row: dict[str, Any]) -> None:
        """Write the epoch's row and move to the next."""
        self.history.append(row)
        self.epoch, self.step, self.sums, self.seen = self.epoch + 1, 0, {}, {}
        self.seconds.append(0.0)


def save(folder: Path, sides: Sequence[Side], state: State) -> None:
    """Write weights, optimisers and position as one file, whole or not at all. All processes come, and rank 0 writes."""
    tensors = {f"model.{name}": value for name, value in _weights(sides).items()}
    for side in _learners(sides):
        tensors |= {f"optimiser.{side.name}.{name}": value for name, value in side.optimiser.tensors().items()}
    tensors |= {f"sum.{name}": value for name, value in state.sums.items()}
    tensors |= {f"best.{name}": value for name, value in (state.best_weights or {}).items()}
    plain = ("epoch", "step", "history", "seen", "seconds", "best", "since_best", "stopped")
    known = {name: getattr(state, name) for name in plain}
    kept = _gathered(tensors)
    if rank() == 0:
        save_tensors(folder / FILE, kept, {"state": json.dumps(known)})


def resume(folder: Path, sides: Sequence[Side]) -> State:
    """The state of the last checkpoint, its weights and optimisers put back; a fresh state where there is none."""
    if not (folder / FILE).is_file():
        return State()
    tensors, metadata = load_with_metadata(folder / FILE)
    parts: dict[str, dict[str, Tensor]] = {"model": {}, "optimiser": {}, "sum": {}, "best": {}}
    for name, value in tensors.items():
        room, _, rest = name.partition(".")
        parts[room][rest] = value
    _put(sides, parts["model"])
    for side in _learners(sides):
        side.optimiser.load(_under(f"{side.name}.", parts["optimiser"]))
    return State(**json.loads(metadata["state"]), sums=parts["sum"], best_weights=parts["best"] or None)


def keep_best(sides: Sequence[Side], state: State) -> None:
    """Put the best validated weights into the sides; without validation they keep their last."""
    if state.best_weights is not None:
        _put(sides, state.best_weights)


def load_weights(path: Path, module: nn.Module) -> None:
    """Weights of a finished fit into a module of the same shape."""
    module.load_state_dict(load_tensors(path))


def _modules(sides: Sequence[Side]) -> Iterator[tuple[str, nn.Module, dict[str, Tensor]]]:
    """Everything that may change, with the beginning of its tensors' names: of a steady side only what is trained."""
    for side in sides:
        own = bare(side.student.module)
        trained = {name for name, value in own.named_parameters() if value.requires_grad}
        tensors = own.state_dict()
        yield f"{side.name}.student.", own, {n: tensors[n] for n in tensors if n in trained or not side.steady}
        yield f"{side.name}.objective.", side.objective.modules, side.objective.modules.state_dict()


def _learners(sides: Sequence[Side]) -> list[Side]:
    return [side for side in sides if side.every]


def _weights(sides: Sequence[Side]) -> dict[str, Tensor]:
    return {start + name: value for start, _, tensors in _modules(sides) for name, value in tensors.items()}


def _put(sides: Sequence[Side], weights: dict[str, Tensor]) -> None:
    for start, module, tensors in _modules(sides):
        put(module, {name: weights[start + name] for name in tensors})


def _gathered(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Whole tensors on the CPU, gathered one after the other; only rank 0 keeps them."""
    kept = {}
    for name, value in tensors.items():
        full = whole(value)
        if rank() == 0:
            kept[name] = full.cpu()
    return kept


def _under(start: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(start): value for name, value in tensors.items() if name.startswith(start)}
