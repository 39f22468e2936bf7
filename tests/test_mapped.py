"""Columns on disk: any choice of rows is what plain tensors would give, and a key says which rows they are."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from distrust.mapped import Mapped, concatenate, in_memory, select

ROWS = 12
FILE = torch.arange(ROWS * 2, dtype=torch.float32).view(ROWS, 2)
STARTS = (0, 5, 6)  # of its parts
some = st.lists(st.integers(0, ROWS - 1), max_size=8)


def mapped(rows: list[int], file: Tensor = FILE, starts: tuple[int, ...] = STARTS, path: str = "one") -> Mapped:
    """Rows of a file, its parts' digests taken from what is in them."""
    ends = [*starts[1:], len(file)]
    digests = [
        hashlib.sha256(file[a:b].contiguous().numpy().tobytes()).hexdigest() for a, b in zip(starts, ends, strict=True)
    ]
    return Mapped(Path(path), file, torch.tensor(rows, dtype=torch.long), torch.tensor(starts), tuple(digests))


@given(some, st.data())
def test_rows_of_rows_are_those_of_a_tensor(rows: list[int], data: st.DataObject) -> None:
    column, plain = mapped(rows), FILE[rows]
    assert torch.equal(column.whole(), plain) and len(column) == len(rows)
    assert (column.shape, column.dtype, column.dim()) == (plain.shape, plain.dtype, plain.dim())
    chosen = data.draw(st.lists(st.integers(-len(rows), len(rows) - 1), max_size=5)) if rows else []
    index = torch.tensor(chosen, dtype=torch.long)
    for value in (column[index], column.select(chosen).whole(), column.select(index)[:], in_memory(select(column, index))):
        assert torch.equal(value, plain[index]) and torch.equal(value, select(plain, index))
    assert torch.equal(column[1:-1], plain[1:-1])
    with pytest.raises(IndexError):
        column[torch.tensor([len(rows)])]


def test_what_is_read_is_a_copy() -> None:
    column = mapped([3, 3])
    column[:][:] = -1
    column[torch.tensor([0])].zero_()
    assert torch.equal(column.whole(), FILE[[3, 3]])


@given(some, some)
def test_equal_keys_are_equal_rows(first: list[int], second: list[int]) -> None:
    one, other = mapped(first), mapped(second)
    assert (one.key == other.key) == (first == second), "no two rows of this file are alike"
    assert one.key == mapped(list(first)).key and one.select(range(len(first))).key == one.key


@given(some)
def test_a_key_does_not_know_where_in_a_file_a_part_lies(rows: list[int]) -> None:
    order = [*range(6, 12), *range(5), 5]  # the last part first
    moved = mapped([order.index(row) for row in rows], FILE[order], (0, 6, 11), "two")
    assert moved.key == mapped(rows).key and torch.equal(moved.whole(), FILE[rows])


def test_a_key_knows_content_kind_and_shape() -> None:
    other = FILE.clone()
    other[4] = 7
    keys = [mapped([0]).key, mapped([0], other).key, mapped([0], FILE.int()).key, mapped([0], FILE.view(ROWS, 2, 1)).key]
    assert len(set(keys)) == 4
    assert mapped([7], other).key == mapped([7]).key, "another part's change is none of its"
    assert mapped([0, 5, 0]).key != mapped([0, 5, 5]).key, "which part a row is of, where it stands as far from the start"
    assert mapped([], other).key == mapped([]).key != mapped([], FILE.int()).key


@given(st.lists(some, min_size=1, max_size=4))
def test_rows_of_one_file_stay_there_when_joined(parts: list[list[int]]) -> None:
    joined = concatenate([mapped(rows) for rows in parts])
    assert isinstance(joined, Mapped) and joined.key == mapped([row for rows in parts for row in rows]).key
    for mixed in ([mapped(parts[0]), mapped(parts[-1], path="two")], [mapped(parts[0]), FILE[parts[-1]]]):
        both = concatenate(mixed)
        assert isinstance(both, Tensor) and torch.equal(both, FILE[[*parts[0], *parts[-1]]])


def test_a_file_that_has_grown_since_serves_both() -> None:
    before = mapped([4, 0], FILE[:6], (0, 5))
    for parts in ([before, mapped([11, 4])], [mapped([11, 4]), before]):
        joined = concatenate(parts)
        assert isinstance(joined, Mapped) and torch.equal(joined.whole(), torch.cat([part.whole() for part in parts]))
        assert len(joined.digests) == 3
