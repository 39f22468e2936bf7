"""Columns of rows in a folder, written a shard at a time: whole or not at all, read back, and mapped into memory.

Knows bytes, digests and who may write. Knows nothing of evidence or teachers: a row is a row of every column, and goes by a
key. A column is a flat file of its rows' bytes. A shard is a range of rows of all of them and counts once its JSON file is
there, which is written last; what a kill leaves behind the last shard is written over by the next one.
"""

from __future__ import annotations

import fcntl
import hashlib
import math
import mmap
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import torch
from torch import Tensor

from distrust.errors import RunError
from distrust.files import fingerprint, read_json, refusing, sync_folder, write_json
from distrust.mapped import Mapped

DTYPES = {str(one).removeprefix("torch."): one for one in vars(torch).values() if isinstance(one, torch.dtype)}
CHUNK = 2**20  # bytes read at once when a digest is taken


@dataclass(frozen=True)
class Layout:
    """What a row of a column is."""

    dtype: torch.dtype
    size: tuple[int, ...]

    @property
    def bytes(self) -> int:
        return self.dtype.itemsize * math.prod(self.size)


@dataclass(frozen=True)
class Shard:
    """Rows `start` to `start + len(keys)` of every column."""

    path: Path  # its JSON file
    start: int
    keys: tuple[str, ...]
    layouts: Mapping[str, Layout]
    digests: Mapping[str, str]  # SHA-256 of its bytes in each column
    told: Mapping[str, Any]  # plain values that its writer keeps with it

    @property
    def stop(self) -> int:
        return self.start + len(self.keys)


class Shards:
    """The shards of a folder, as of when they were last looked for.

    Raises:
        RunError: a shard's JSON file is damaged.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._shards: dict[Path, Shard] = {}
        self._row_of: dict[str, int] = {}
        self._verified: set[tuple[Path, str]] = set()  # a shard and a column of it
        self.look()

    def __len__(self) -> int:
        return len(self._row_of)

    def __iter__(self) -> Iterator[Shard]:
        return iter(sorted(self._shards.values(), key=lambda shard: shard.start))

    def look(self) -> None:
        """Read the shards that other processes have written since, and forget all where a person has deleted one."""
        paths = sorted((self.folder / "shards").glob("[0-9]*.json"))
        if not self._shards.keys() <= set(paths):
            self._shards, self._row_of, self._verified = {}, {}, set()
        for path in paths:
            if path not in self._shards:
                self._add(_read(path))

    def rows(self, keys: Sequence[str]) -> Tensor:
        """The row of each key (n,) long, -1 where there is none."""
        return torch.tensor([self._row_of.get(key, -1) for key in keys], dtype=torch.long)

    @property
    def layouts(self) -> Mapping[str, Layout]:
        """What a row of each column is; nothing as long as there is no shard."""
        return next(iter(self._shards.values())).layouts if self._shards else {}

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Inside: no other process writes here, and what others wrote before is known. Waits until it is so."""
        with refusing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.folder / "lock", os.O_CREAT | os.O_RDWR, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            self.look()
            yield
        finally:
            os.close(handle)

    def append(self, keys: Sequence[str], columns: Mapping[str, Tensor], told: Mapping[str, Any]) -> None:
        """Write a shard, inside `locked`: columns (n, ...) of n new keys, the same columns as in every shard before.

        Raises:
            RunError: the disk is full, the folder cannot be written, or what was written cannot be read back.
        """
        start = max((shard.stop for shard in self._shards.values()), default=0)
        digests = {name: self._write(name, start, value) for name, value in columns.items()}
        layouts = {name: Layout(value.dtype, tuple(value.shape[1:])) for name, value in columns.items()}
        path = self.folder / "shards" / f"{start:09d}.json"
        shard = Shard(path, start, tuple(keys), layouts, digests, told)
        plain = _plain(shard)
        write_json(path, plain | {"digest": fingerprint(plain)})
        if _read(path) != shard:
            raise RunError(f"{path} does not hold what was written to it; the disk may be failing.")
        self._add(shard)
        self._verified.update((path, name) for name in columns)

    def column(self, name: str, rows: Tensor) -> Mapped:
        """Rows (n,) of a column. Raises RunError naming a shard among them that is damaged."""
        shards = list(self)
        starts = torch.tensor([shard.start for shard in shards], dtype=torch.long)
        for shard in self.touched(rows):
            self._verify(shard, name)
        layout, path = self.layouts[name], self._path(name)
        whole = _map(path, layout, max(shard.stop for shard in shards))
        return Mapped(path, whole, rows, starts, tuple(shard.digests[name] for shard in shards))

    def touched(self, rows: Tensor) -> list[Shard]:
        """The shards that hold any of these rows (n,)."""
        shards = list(self)
        starts = torch.tensor([shard.start for shard in shards], dtype=torch.long)
        count = torch.bincount(torch.bucketize(rows, starts, right=True) - 1)
        return [shards[number] for number in count.nonzero().squeeze(-1).tolist()]

    def _path(self, name: str) -> Path:
        return self.folder / f"{quote(name, safe='')}.bin"

    def _add(self, shard: Shard) -> None:
        self._shards[shard.path] = shard
        self._row_of.update(zip(shard.keys, range(shard.start, shard.stop), strict=True))

    def _write(self, name: str, start: int, value: Tensor) -> str:
        """Write rows of a column, durably, and read them back; returns their digest."""
        path = self._path(name)
        data = value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data
        at = start * Layout(value.dtype, tuple(value.shape[1:])).bytes
        with refusing(path):
            new = not path.exists()
            with path.open("wb" if new else "r+b") as file:
                file.seek(at)
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            if new:
                sync_folder(self.folder)
        digest = hashlib.sha256(data).hexdigest()
        if _digest(path, at, len(data)) != digest:
            raise RunError(f"{path} does not hold what was written to it; the disk may be failing.")
        return digest

    def _verify(self, shard: Shard, name: str) -> None:
        """Read a shard's part of a column, once in this process, and compare it with its digest."""
        if (shard.path, name) in self._verified:
            return
        path, size = self._path(name), shard.layouts[name].bytes
        if not path.is_file() or _digest(path, shard.start * size, len(shard.keys) * size) != shard.digests[name]:
            raise RunError(
                f"{path} is damaged in rows {shard.start} to {shard.stop - 1}; delete {shard.path} and run again: its "
                f"{len(shard.keys)} items are then asked again."
            )
        self._verified.add((shard.path, name))


def _map(path: Path, layout: Layout, rows: int) -> Tensor:
    """A column's file as a tensor (R, ...), of which only what is read comes into memory."""
    known = min(rows, path.stat().st_size // layout.bytes) if layout.bytes else rows
    size = known * math.prod(layout.size)
    if not size:
        return torch.empty(known, *layout.size, dtype=layout.dtype)
    with path.open("rb") as file:
        memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)  # one to be written to might not be larger than memory
    memory.madvise(mmap.MADV_RANDOM)  # batches jump: reading ahead would fetch what nobody wants
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given buffer is not writable")  # nobody writes: `Mapped` hands out copies
        return torch.frombuffer(memory, dtype=layout.dtype, count=size).view(known, *layout.size)


def _digest(path: Path, start: int, size: int) -> str:
    """SHA-256 of a range of a file, read piece by piece so that memory stays small."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        file.seek(start)
        while size and (piece := file.read(min(CHUNK, size))):
            digest.update(piece)
            size -= len(piece)
    return digest.hexdigest()


def _plain(shard: Shard) -> dict[str, Any]:
    layouts = {name: [str(one.dtype).removeprefix("torch."), *one.size] for name, one in shard.layouts.items()}
    return {
        "start": shard.start,
        "keys": list(shard.keys),
        "columns": layouts,
        "digests": dict(shard.digests),
        "told": dict(shard.told),
    }


def _read(path: Path) -> Shard:
    """A shard from its JSON file. Raises RunError naming a damaged one."""
    known = read_json(path)
    digest = known.pop("digest", None) if isinstance(known, dict) else None
    if digest is None or digest != fingerprint(known):
        raise RunError(f"{path} is damaged; delete it and run again: its items are then asked again.")
    layouts = {name: Layout(DTYPES[kind], tuple(size)) for name, (kind, *size) in known["columns"].items()}
    return Shard(path, known["start"], tuple(known["keys"]), layouts, known["digests"], known["told"])
