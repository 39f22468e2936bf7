"""Items: what is asked about, with an id each, what a model reads of it, and every other column as it was.

Knows ids and their mistakes. Knows nothing of files, labels' meaning, teachers or students.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from torch import Tensor

from distrust.errors import DataError
from distrust.files import fingerprint

Inputs = tuple[Any, ...] | Tensor  # texts, pairs of texts, conversations, or a tensor (B, ...)
REFERENCE = "reference"  # column of the texts that a person vouches for, where answers are open


@dataclass(frozen=True)
class Items:
    """Some items: ids, what a model reads of them, and every other column as it was.

    Args:
        ids: (B,) unique.
        inputs: B texts, B text pairs, B conversations (`Turns`), or a tensor (B, ...) for any torch module.
        columns: other columns by name, B values each.

    Raises:
        DataError: ids that are not unique, or lengths that differ.
    """

    ids: tuple[str, ...]
    inputs: Inputs
    columns: dict[str, list[Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.inputs) != len(self.ids):
            raise DataError(f"There are {len(self.ids)} ids but {len(self.inputs)} inputs; each item has one of both.")
        for name, values in self.columns.items():
            if len(values) != len(self.ids):
                raise DataError(f"The column {name!r} has {len(values)} values for {len(self.ids)} items.")
        if len(set(self.ids)) < len(self.ids):
            twice = next(item for item, count in Counter(self.ids).items() if count > 1)
            raise DataError(f"The id {twice!r} stands for two items; ids are unique.")

    def __len__(self) -> int:
        return len(self.ids)

    def select(self, rows: Sequence[int] | Tensor) -> Items:
        """Some items by row, in the order given. Raises DataError for a mask, which would be read as rows 0 and 1."""
        index = row_numbers(rows)
        inputs: Inputs = self.inputs[index] if isinstance(self.inputs, Tensor) else tuple(self.inputs[row] for row in index)
        columns = {name: [values[row] for row in index] for name, values in self.columns.items()}
        return Items(tuple(self.ids[row] for row in index), inputs, columns)

    def rows(self, ids: Sequence[str]) -> list[int]:
        """Rows of these ids. Raises DataError naming the first id that is no item here."""
        row_of = {item: row for row, item in enumerate(self.ids)}
        missing = next((item for item in ids if item not in row_of), None)
        if missing is not None:
            raise DataError(f"The id {missing!r} is none of the {len(self)} items.")
        return [row_of[item] for item in ids]

    @cached_property
    def key(self) -> str:
        """Fingerprint of ids and inputs: what a stage that read these items depends on."""
        inputs = self.inputs if isinstance(self.inputs, Tensor) else [joined(one) for one in self.inputs]
        return fingerprint(list(self.ids), inputs)

    def text(self, row: int) -> str:
        """What a person may read of an item: its text, or a note of its shape."""
        if isinstance(self.inputs, Tensor):
            return f"tensor of shape {tuple(self.inputs[row].shape)}"
        return joined(self.inputs[row])


def row_numbers(rows: Sequence[int] | Tensor) -> list[int]:
    """Rows as plain numbers. Raises DataError for a mask: True and False are no rows."""
    numbers: list[int] = rows.tolist() if isinstance(rows, Tensor) else list(rows)
    if any(isinstance(row, bool) for row in numbers[:1]) or "bool" in str(getattr(rows, "dtype", "")):
        raise DataError("Items are selected by their rows, not by a mask; give mask.nonzero().squeeze(-1).")
    return [int(row) for row in numbers]


def concatenate(first: Items, second: Items) -> Items:
    """Both, in order; columns that only one of them has are left out."""
    if isinstance(first.inputs, Tensor) and isinstance(second.inputs, Tensor):
        import torch

        inputs: Inputs = torch.cat([first.inputs, second.inputs])
    elif isinstance(first.inputs, tuple) and isinstance(second.inputs, tuple):
        inputs = (*first.inputs, *second.inputs)
    else:
        raise DataError("Texts and tensors cannot be mixed in one set of items.")
    shared = [name for name in first.columns if name in second.columns]
    return Items((*first.ids, *second.ids), inputs, {name: first.columns[name] + second.columns[name] for name in shared})


def content_id(text: str) -> str:
    """The id of an item that was given none: sixteen digits of its content's hash."""
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:16]


def joined(one: Any) -> str:
    """All that is read of one item, as one text: its own, both of a pair, or each turn of a conversation."""
    return one if isinstance(one, str) else "\n".join(part if isinstance(part, str) else ": ".join(part) for part in one)
