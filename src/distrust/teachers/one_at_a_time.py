"""Classifiers that do not fit into memory together: each is loaded when it is asked, and released afterwards.

Knows how large checkpoints are and how much memory is free. Knows nothing of whom to believe or of training.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch

from distrust import recipe
from distrust.data import Items
from distrust.errors import TeacherError
from distrust.evidence import Evidence
from distrust.labels import LabelSpace
from distrust.modules import best_device
from distrust.secrets import expand
from distrust.teachers.classifier import ClassifierTeacher

SHARE = 0.5  # of the free memory, that teachers may take together: answers and a student need some too


class OneAtATime:
    """A `ClassifierTeacher` whose model is in memory only while it answers.

    Args:
        options: the recipe's part; space: the task's classes, or None.

    Raises:
        TeacherError: as `ClassifierTeacher`; or, when asked, a checkpoint that has changed since.
    """

    keeps_answers = False

    def __init__(self, options: recipe.Classifier, space: LabelSpace | None = None) -> None:
        self._options, self._task = options, space
        self.name, self.fingerprint = options.name, ""
        with self._loaded() as teacher:
            self.space, self.heads, self.fingerprint = teacher.space, teacher.heads, teacher.fingerprint

    def ask(self, items: Items) -> Evidence:
        """As `ClassifierTeacher.ask`."""
        with self._loaded() as teacher:
            return teacher.ask(items)

    def passes(self, items: Items, passes: int, seed: int = 0) -> Evidence:
        """As `ClassifierTeacher.passes`."""
        with self._loaded() as teacher:
            return teacher.passes(items, passes, seed)

    @contextmanager
    def _loaded(self) -> Iterator[ClassifierTeacher]:
        teacher = ClassifierTeacher(self._options, self._task)
        try:
            if self.fingerprint not in ("", teacher.fingerprint):
                raise TeacherError(f"The checkpoint of the teacher {self.name} has changed during the run; start again.")
            yield teacher
        finally:
            teacher.release()
            gc.collect()  # models hold themselves in cycles
            if torch.accelerator.is_available():
                torch.accelerator.empty_cache()


def crowded(asked: Sequence[object]) -> bool:
    """Whether the local classifiers among teachers of a recipe would take more memory together than there is for them."""
    models = [one for one in asked if isinstance(one, recipe.Classifier)]
    return len(models) > 1 and sum(_bytes(one) for one in models) > SHARE * free_memory()


def free_memory() -> int:
    """Bytes that are free where models lie."""
    if best_device().type == "cuda":
        return torch.cuda.mem_get_info()[0]
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return 1024 * int(next(line for line in lines if line.startswith("MemAvailable:")).split()[1])
    except (OSError, StopIteration):  # no Linux: half of what there is
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


def _bytes(options: recipe.Classifier) -> int:
    """Of a folder's weights; 0 of a hub id, whose files may not be here yet: hub ids are never taken for too large."""
    return sum(file.stat().st_size for file in Path(expand(options.model)).expanduser().glob("*.safetensors"))
