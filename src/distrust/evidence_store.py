"""The evidence store: what local teachers said, on disk by item and teacher, so that each is asked once.

Knows which items a teacher was asked, refuses a teacher that has changed, and asks in shards of bounded size. Knows nothing
of bytes (`shards`), of how a teacher answers, or of what is learned from it.

    FOLDER/NAME-1a2b3c4d/source.json      whose answers these are
                         shards/*.json    which items are in which rows, digests of the rows
                         logits.values.bin, features.pooled.bin, ...
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from distrust.data import Items
from distrust.errors import RunError, TeacherError
from distrust.evidence import Cost, Dense, Evidence, TopK
from distrust.files import file_name, fingerprint, read_json, write_json
from distrust.mapped import Mapped
from distrust.processes import rank, wait
from distrust.shards import Layout, Shards
from distrust.teachers import Teacher

SHARD_ITEMS = 1024  # a kill loses at most so many answers; a multiple of the usual batch sizes
COSTS = ("calls", "prompt_tokens", "completion_tokens", "money")


class EvidenceStore:
    """Evidence of local teachers in a folder, which runs may share.

    An item goes by its id and its content together: rows may move, sets may grow, overlap or be reordered. What a teacher
    said of an item is what it said in its shard, bit for bit; hidden states are kept as the logits they make.

    Args:
        folder: where the store is; made if it is not there.
        shard_items: how many items are asked, and written, at once.
    """

    def __init__(self, folder: Path, shard_items: int = SHARD_ITEMS) -> None:
        self.folder, self._shard_items = folder, shard_items
        self._opened: dict[str, Shards] = {}

    def ask(self, teacher: Teacher, items: Items) -> Evidence:
        """What a teacher says of items, asked by rank 0 alone and only about what it was never asked.

        Where another run asks the same teacher at this moment, it waits and takes what that one was told.

        Features stay on disk, as `Mapped`; all else is in memory. A damaged shard is found here, when it is first read.

        Raises:
            TeacherError: the store holds answers of another teacher of this name; or answers that cannot be kept.
            DataError: NaN or +inf logits, by the item's id.
            RunError: a damaged shard, or too little free disk.
        """
        who = teacher.fingerprint
        if not len(items):
            return teacher.ask(items)
        keys = item_keys(items)
        if rank() == 0:
            self._fill(teacher, who, items, keys)
        wait()
        return self._read(teacher, who, items, keys)

    def missing(self, teacher: Teacher, items: Items) -> list[int]:
        """Rows of the items that the teacher was never asked. Raises TeacherError as `ask` does."""
        shards = self._shards(teacher, teacher.fingerprint)
        return _absent(shards, item_keys(items))

    def column(self, teacher: Teacher, items: Items, name: str) -> Mapped:
        """One column of what a teacher was asked before, on disk: `logits.values`, `features.NAME`, (B, ...).

        Raises:
            RunError: items that were not asked, a column that is not there, or a damaged shard.
        """
        shards = self._shards(teacher, teacher.fingerprint)
        rows = shards.rows(item_keys(items))
        if name not in shards.layouts or bool((rows < 0).any()):
            raise RunError(f"{shards.folder} lacks {name!r} of some items; ask first, it has {', '.join(shards.layouts)}.")
        return shards.column(name, rows)

    def _shards(self, teacher: Teacher, who: str) -> Shards:
        """The teacher's shards. Raises TeacherError where they are those of another teacher of its name."""
        folder = self.folder / f"{file_name(teacher.name)}-{fingerprint(teacher.name)[:8]}"
        shards = self._opened.get(teacher.name)
        if shards is None:
            shards = self._opened[teacher.name] = Shards(folder)
        shards.look()
        if len(shards):
            _check_same(teacher, who, folder)
        return shards

    def _fill(self, teacher: Teacher, who: str, items: Items, keys: Sequence[str]) -> None:
        """Ask what is missing, a shard at a time."""
        shards = self._shards(teacher, who)
        if not _absent(shards, keys):
            return
        with shards.locked():  # another run may be asking the same; what it was told is then known here
            if len(shards):
                _check_same(teacher, who, shards.folder)
            else:
                write_json(shards.folder / "source.json", _source(teacher, who))
            absent = _absent(shards, keys)
            for start in range(0, len(absent), self._shard_items):
                rows = absent[start : start + self._shard_items]
                _check_disk(teacher, shards, len(absent) - start)
                said = teacher.ask(items.select(rows))
                columns = _columns(teacher, said, [items.ids[row] for row in rows])
                _check_layout(teacher, shards, columns)
                told = {
                    "texts": None if said.texts is None else [list(one) for one in said.texts],
                    "notes": dict(said.notes),
                }
                shards.append([keys[row] for row in rows], columns, told)

    def _read(self, teacher: Teacher, who: str, items: Items, keys: Sequence[str]) -> Evidence:
        shards = self._shards(teacher, who)
        rows = shards.rows(keys)
        columns = {name: shards.column(name, rows) for name in shards.layouts}
        told = shards.touched(rows)
        texts = {shard.start + at: text for shard in told for at, text in enumerate(shard.told["texts"] or ())}
        return Evidence(
            source=teacher.name,
            ids=items.ids,
            space=teacher.space,
            claims=columns["claims"].whole().movedim(0, 1),
            logits=_logits(columns, len(teacher.space)),
            features={name.removeprefix("features."): one for name, one in columns.items() if name.startswith("features.")},
            texts=[texts.get(row, []) for row in rows.tolist()] if texts else None,
            cost=Cost(*columns["cost"].whole().unbind(-1)) if "cost" in columns else None,
            notes=_notes([shard.told["notes"] for shard in told]),
        )


def item_keys(items: Items) -> list[str]:
    """What each item goes by: 32 digits of a hash of its id and its content."""
    if isinstance(items.inputs, Tensor):
        kind = f"{items.inputs.dtype}{tuple(items.inputs.shape[1:])}"
        rows = items.inputs.detach().cpu().reshape(len(items), -1).contiguous().view(torch.uint8).numpy()
        contents = (kind.encode() + row.tobytes() for row in rows)
    else:
        contents = (json.dumps(one).encode() for one in items.inputs)
    told = zip(items.ids, contents, strict=True)
    return [hashlib.blake2b(json.dumps(item).encode() + one, digest_size=16).hexdigest() for item, one in told]


def _absent(shards: Shards, keys: Sequence[str]) -> list[int]:
    return (shards.rows(keys) < 0).nonzero().squeeze(-1).tolist()


def _notes(told: Sequence[Mapping[str, int]]) -> dict[str, int]:
    return {name: sum(one.get(name, 0) for one in told) for notes in told for name in notes}


def _source(teacher: Teacher, who: str) -> dict[str, Any]:
    return {"name": teacher.name, "fingerprint": who, "classes": list(teacher.space.names)}


def _check_same(teacher: Teacher, who: str, folder: Path) -> None:
    """Refuse a teacher that has changed: answers of two teachers must not be mixed, nor the earlier ones be lost."""
    if not (folder / "source.json").is_file():
        raise RunError(f"{folder} has lost its source.json, so nobody knows whose answers it keeps; delete that folder.")
    known = read_json(folder / "source.json")
    if known["fingerprint"] != who:
        same = known["classes"] == list(teacher.space.names)
        changed = "its weights, its options or what it reads" if same else "its classes"
        raise TeacherError(
            f"The teacher {teacher.name} is not the one whose answers {folder} keeps: {changed} changed. Give it another "
            "name, or choose another output_dir (evidence_dir, where runs share one); to do without the earlier answers, "
            "delete that folder."
        )


def _check_disk(teacher: Teacher, shards: Shards, items: int) -> None:
    """Refuse before anybody is asked what would not fit; known from the first shard on."""
    need = items * sum(layout.bytes for layout in shards.layouts.values())
    free = shutil.disk_usage(shards.folder).free
    if need > free:
        raise RunError(
            f"What {teacher.name} says of {items} more items takes about {need / 1e9:.1f} GB and {shards.folder} has "
            f"{free / 1e9:.1f} GB left; free some space, keep fewer features, or only the top classes."
        )


def _check_layout(teacher: Teacher, shards: Shards, columns: Mapping[str, Tensor]) -> None:
    """Refuse answers whose sizes differ from those kept before."""
    now = {name: Layout(value.dtype, tuple(value.shape[1:])) for name, value in columns.items()}
    before = shards.layouts or now
    for name in sorted({*now, *before}):
        if now.get(name) != before.get(name):
            raise TeacherError(
                f"{teacher.name} gave {_size(now.get(name))} an item as {name} and {_size(before.get(name))} for earlier "
                "items; the store keeps one size."
            )


def _size(layout: Layout | None) -> str:
    return "nothing" if layout is None else f"{layout.size} {layout.dtype}"


def _columns(teacher: Teacher, said: Evidence, ids: Sequence[str]) -> dict[str, Tensor]:
    """Evidence as tensors (B, ...) by name. Raises TeacherError for what is no answer to these items."""
    if said.source != teacher.name or said.space != teacher.space or list(said.ids) != list(ids):
        raise TeacherError(
            f"{teacher.name} answered under another name, in other classes or about other items than it was asked."
        )
    logits = said.logits
    if isinstance(logits, TopK):
        rooms = {"logits.ids": logits.ids, "logits.logp": logits.logp, "logits.tail": logits.tail}
    else:
        rooms = {} if logits is None else {"logits.values": logits.dense()}
    if said.cost is not None:
        rooms["cost"] = torch.stack([getattr(said.cost, name).double() for name in COSTS], -1)  # (B, 4)
    features = {f"features.{name}": value[:] for name, value in said.features.items()}
    return {"claims": said.claims.movedim(0, 1)} | rooms | features


def _logits(columns: Mapping[str, Mapped], classes: int) -> Dense | TopK | None:
    if "logits.values" in columns:
        return Dense(columns["logits.values"].whole())
    if "logits.ids" in columns:
        ids, logp, tail = (columns[f"logits.{name}"].whole() for name in ("ids", "logp", "tail"))
        return TopK(ids, logp, tail, classes)
    return None
