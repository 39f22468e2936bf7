"""Any torch module as a teacher: what it reads of items, the classes of its logits, and what it keeps beside them.

Knows how to ask one and leave it as it was. Knows nothing of checkpoints, of whom to believe or of training.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from distrust import taps
from distrust.data import Items
from distrust.errors import TeacherError
from distrust.evidence import Evidence
from distrust.files import fingerprint
from distrust.labels import LabelSpace
from distrust.modules import Inputs, device_of, read_tensor, weights_key
from distrust.teachers.asking import ask_module
from distrust.teachers.heads import Features, Heads, checked_top, frozen_heads, heads_key
from distrust.teachers.passes import ask_passes


class ModuleTeacher:
    """Any torch module that reads a tensor (B, ...) and gives logits (B, C).

    Args:
        name, module, space: who answers, with what, and what each logit stands for.
        inputs: what the module reads of items, when it is not `Items.inputs` itself; needs a `fingerprint`.
        features, heads: as for `ClassifierTeacher`; the paths of a head are read when it is asked for.
        batch_size: items at once.
        keep_top: keep only so many classes of the logits, the likeliest, and the mass of the rest; default all.
        fingerprint: what this teacher is; default: a hash of the module's classes and weights at the time of asking.

    The module stays the caller's: where it lies, its modes and its gradient flags are as before after every ask.
    """

    keeps_answers = False

    def __init__(
        self,
        name: str,
        module: nn.Module,
        space: LabelSpace,
        *,
        inputs: Inputs | None = None,
        features: Features | None = None,
        heads: Heads | None = None,
        batch_size: int = 256,
        keep_top: int | None = None,
        fingerprint: str | None = None,
    ) -> None:
        if inputs is not None and fingerprint is None:
            raise TeacherError(f"The teacher {name} has `inputs`, which no hash can see into; give it a `fingerprint` too.")
        self.name = name
        self.space = space
        self._module = module
        self._inputs = inputs
        self._features = taps.check(module, features or {}, name, TeacherError)
        self._heads = heads or {}
        frozen_heads(module, self._heads, self._features, name)  # refuses early what is no head
        self._batch_size, self._keep_top = batch_size, checked_top(keep_top, space, name)
        self._fingerprint = fingerprint

    @property
    def fingerprint(self) -> str:
        """What answers depend on; read it when asking, since the caller may train the module further."""
        own = self._fingerprint or weights_key(self._module)
        return fingerprint("module", self.space.names, self._features, self._keep_top, heads_key(self.heads), own)

    @property
    def heads(self) -> dict[str, nn.Module]:
        """By a feature's name what makes the logits of it: frozen copies as of now."""
        return frozen_heads(self._module, self._heads, self._features, self.name)

    def ask(self, items: Items) -> Evidence:
        """One claim and C logits per item, or the top ones; free of charge."""
        answer, batches = self._answering(items), _in_order(len(items), self._batch_size)
        kept = self._features, self.heads, self._keep_top
        return ask_module(self.name, self.space, self._module, answer, batches, items, *kept)

    def passes(self, items: Items, passes: int, seed: int = 0) -> Evidence:
        """The mean answer over passes with dropout on, as `teachers.passes.ask_passes` has it."""
        answer, batches = self._answering(items), partial(_in_order, len(items))
        return ask_passes(self.name, self.space, self._module, answer, batches, items, passes, seed, self._batch_size)

    def _answering(self, items: Items) -> Callable[[Tensor], Tensor]:
        """From rows (n,) long to logits (n, C)."""
        read = read_tensor(items, self._inputs, self.name)
        here = device_of(self._module)
        return lambda rows: self._module(read[rows].to(here))


def _in_order(count: int, size: int) -> list[Tensor]:
    """Rows in batches (n,) of one size, the last one smaller."""
    return [torch.arange(start, min(start + size, count)) for start in range(0, count, size)]
