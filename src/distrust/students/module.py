"""Any torch module as a student, through the Python API.

Knows tensors, weights and labels. Does not know the module's code: whoever loads the student brings the module again.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from distrust.data import Items
from distrust.errors import DataError
from distrust.files import fingerprint, write_json
from distrust.labels import LabelSpace
from distrust.modules import Inputs, read_tensor, weights_key
from distrust.secrets import show
from distrust.store import load_tensors, save_tensors
from distrust.students.saving import ABOUT, read_about

WEIGHTS = "model.safetensors"


@dataclass(frozen=True)
class Rows:
    """Items as one tensor (B, ...), cut by row under the name by which the model takes it."""

    name: str
    values: Tensor

    def __len__(self) -> int:
        return len(self.values)

    def batch(self, rows: Tensor) -> dict[str, Tensor]:
        """The values of some rows (n,) long: (n, ...)."""
        return {self.name: self.values[rows]}


class ModuleStudent:
    """A module that reads a tensor (n, ...) and gives logits (n, C). It is trained in place: the caller handed it over.

    Args:
        module, space: what is trained, and what each logit stands for.
        key: what it is before training; default: a hash of its classes and initial weights.
        inputs: what the module reads of items, when it is not `Items.inputs` itself; needs a `key`.
        default_learning_rate: used where the recipe gives none.
    """

    def __init__(
        self,
        module: nn.Module,
        space: LabelSpace,
        key: str | None = None,
        *,
        inputs: Inputs | None = None,
        default_learning_rate: float = 1e-3,
    ) -> None:
        if inputs is not None and key is None:
            raise DataError("A student with `inputs`, which no hash can see into, needs a `key` too.")
        self.module = module
        self.space = space
        self.key = fingerprint("module", space.names, key or weights_key(module))
        self.reads = "inputs" if inputs is None else self.key  # a function's code has no name of its own
        self.default_learning_rate = default_learning_rate
        self.notes: tuple[str, ...] = ()
        self._inputs = inputs

    def encode(self, items: Items) -> Rows:
        """The items' tensor. Raises DataError for texts without `inputs`."""
        return Rows("inputs", read_tensor(items, self._inputs, "The student"))

    def logits(self, inputs: dict[str, Tensor]) -> Tensor:
        """(n, ...) to (n, C)."""
        return self.module(inputs["inputs"])  # type: ignore[no-any-return]

    def save(self, folder: Path) -> None:
        """Write `model.safetensors` and `student.json`."""
        save_tensors(folder / WEIGHTS, self.module.state_dict())
        write_json(folder / ABOUT, {"kind": "module", "labels": list(self.space.names), "key": self.key})


def load(folder: Path, module: nn.Module) -> ModuleStudent:
    """Read a saved student's weights into `module`, built by the same code.

    Raises:
        DataError: no student there, or weights that do not fit the module.
        RunError: a damaged file.
    """
    about = read_about(folder, "module")
    try:
        module.load_state_dict(load_tensors(folder / WEIGHTS))
    except RuntimeError as error:
        raise DataError(f"The weights in {folder} do not fit this {type(module).__name__}: {show(str(error))}.") from error
    student = ModuleStudent(module, LabelSpace(tuple(about["labels"])))
    student.key = about["key"]
    return student
