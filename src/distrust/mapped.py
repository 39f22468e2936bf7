"""Tensors that stay on disk: rows of a column, read when they are asked for.

Knows mapped files, rows of them and a key by their content. Knows nothing of what a row means.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from distrust.files import fingerprint


@dataclass(frozen=True, eq=False)
class Mapped:
    """Rows of a column on disk, (n, ...): `value[rows]` reads these rows and no others, and is an ordinary tensor.

    What is chosen (`select`) or put together (`concatenate`) stays on disk.

    Args:
        path: the column's file.
        column: the whole file as a tensor (R, ...), mapped and never read whole; it is not to be written to.
        rows: (n,) long, rows of the column.
        starts: (P,) long, rising: where each part of the file begins, whose digest is known.
        digests: of each part's bytes, verified; what `key` is made of.
    """

    path: Path
    column: Tensor
    rows: Tensor
    starts: Tensor
    digests: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def shape(self) -> torch.Size:
        return torch.Size((len(self.rows), *self.column.shape[1:]))

    @property
    def dtype(self) -> torch.dtype:
        return self.column.dtype

    def dim(self) -> int:
        return self.column.dim()

    def __getitem__(self, rows: Tensor | slice | Sequence[int]) -> Tensor:
        """Some rows, copied into memory: (m,) long to (m, ...)."""
        return self.column[self.rows[rows]]

    def select(self, rows: Tensor | Sequence[int]) -> Mapped:
        """Some rows, still on disk."""
        return replace(self, rows=self.rows[torch.as_tensor(rows, dtype=torch.long)])

    def whole(self) -> Tensor:
        """All rows, copied into memory."""
        return self[:]

    @cached_property
    def key(self) -> str:
        """Fingerprint of the content, without reading it again: digests of the parts, and which of their rows.

        Two equal keys mean equal rows. Where in the file a part lies changes nothing.
        """
        part = torch.bucketize(self.rows, self.starts, right=True) - 1  # (n,)
        turn = {one: number for number, one in enumerate(dict.fromkeys(part.tolist()))}  # by first appearance
        places = torch.tensor([turn[one] for one in part.tolist()], dtype=torch.long)
        what = f"{self.dtype}{tuple(self.column.shape[1:])}"
        return fingerprint("mapped", what, [self.digests[one] for one in turn], places, self.rows - self.starts[part])


Column = Tensor | Mapped  # (n, ...), in memory or on disk; both give rows by `value[rows]`


def select(value: Column, rows: Tensor) -> Column:
    """Some rows (m,) long of a column, which stays where it is."""
    return value.select(rows) if isinstance(value, Mapped) else value[rows]


def concatenate(values: Sequence[Column]) -> Column:
    """Columns one after the other; on disk where all of them are rows of one file, else in memory."""
    mapped = [value for value in values if isinstance(value, Mapped)]
    if len(mapped) == len(values) and len({value.path for value in mapped}) == 1:
        longest = max(mapped, key=lambda value: len(value.starts))  # a file that has grown since knows more parts
        return replace(longest, rows=torch.cat([value.rows for value in mapped]))
    return torch.cat([in_memory(value) for value in values])


def in_memory(value: Column) -> Tensor:
    """The whole column as an ordinary tensor."""
    return value.whole() if isinstance(value, Mapped) else value
