"""Items as students read them, tokenised once for all students that read alike.

Knows which items a run may train on and which rows of them a set of items is. Knows nothing of how anything is tokenised.
"""

from __future__ import annotations

import torch
from torch import Tensor

from distrust.data import Items, concatenate
from distrust.students import Chosen, Encoded, Student

FEW = 0.1  # a smaller share of the items is tokenised alone, as long as nobody has read them all


class Readings:
    """What a run's students read.

    Args:
        pool, gold: the items that are read again and again: whole, in parts, and by one student after another.
    """

    def __init__(self, pool: Items, gold: Items) -> None:
        known = set(pool.ids)
        outside = [row for row, item in enumerate(gold.ids) if item not in known]
        self._items = concatenate(pool, gold.select(outside)) if outside else pool
        self._row_of = {item: row for row, item in enumerate(self._items.ids)}
        self._kept: dict[str, Encoded] = {}  # by how a student reads
        self._last: tuple[str, str, Encoded] | None = None  # what else was read last: a validation set, at every epoch

    def of(self, student: Student, items: Items) -> Encoded:
        """Items as this student reads them."""
        rows = self._rows(items)
        if rows is None or (student.reads not in self._kept and len(rows) < FEW * len(self._items)):
            if self._last is None or self._last[:2] != (student.reads, items.key):
                self._last = (student.reads, items.key, student.encode(items))
            return self._last[2]
        if student.reads not in self._kept:
            self._kept[student.reads] = student.encode(self._items)
        return Chosen(self._kept[student.reads], rows)

    def _rows(self, items: Items) -> Tensor | None:
        """Rows (n,) of items among the known ones; None unless every one is known, under its id and with its content."""
        rows = [self._row_of.get(item, -1) for item in items.ids]
        if -1 in rows:
            return None
        index = torch.tensor(rows, dtype=torch.long)
        if isinstance(items.inputs, Tensor):
            known = self._items.inputs
            return index if isinstance(known, Tensor) and torch.equal(known[index], items.inputs) else None
        same = all(self._items.inputs[row] == one for row, one in zip(rows, items.inputs, strict=True))
        return index if same else None
