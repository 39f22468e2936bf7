"""What a frozen language model says of each token of given texts, on disk: its likeliest tokens, or draws from it.

A text goes by the tokens that are read of it, and is asked about once, ever. Knows blocks of tokens and who was asked. Knows
nothing of losses, or of what is learned from them.

    FOLDER/NAME-tokens-1a2b3c4d/source.json, shards/*.json, ids.bin, ...       one folder for each teacher and way of keeping
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from distrust.data import Items
from distrust.errors import TeacherError
from distrust.files import file_name, fingerprint, write_json
from distrust.logits import TopK, top
from distrust.losses import Sampled, sampled
from distrust.losses.surprise import logits, measured
from distrust.mapped import Mapped
from distrust.modules import best_device, device_of, frozen
from distrust.processes import rank, wait
from distrust.recipe import Strict
from distrust.sharding import bare
from distrust.shards import Shards
from distrust.students.causal import CausalStudent
from distrust.students.completions import IGNORED, Exchanges

BLOCK = 16  # tokens, what a text's are filled up to: a key for each would weigh as much as what is kept
TEXTS = 64  # asked at once, and a shard's size


class Kept(Strict):
    """How much of a teacher's probabilities of tokens is kept: its likeliest, or draws; neither: it is asked each time."""

    top: int | None = Field(None, gt=0, description="so many of its likeliest tokens, and the mass of all others")
    samples: int | None = Field(None, gt=0, description="so many draws from it, unbiased (RS-KD, Anshumann et al. 2025)")

    @model_validator(mode="after")
    def _one_of_them(self) -> Kept:
        if self.top and self.samples:
            raise ValueError("`top` and `samples` are two ways of keeping; give one of them")
        return self

    def __bool__(self) -> bool:
        return bool(self.top or self.samples)


class Spoken(NamedTuple):
    """What was kept of a batch's tokens."""

    target: TopK | Sampled  # (n, T, k)
    surprise: Tensor  # (n, T) cross-entropy with the text's tokens
    entropy: Tensor  # (n, T)


@dataclass(frozen=True)
class Stored:
    """Exchanges of whose completions a teacher has spoken."""

    read: Exchanges
    columns: Mapping[str, Mapped]  # (blocks, BLOCK, ...) of all texts, one after the other
    starts: Tensor  # (R,) long, each text's first block among them

    @property
    def notes(self) -> tuple[str, ...]:
        return self.read.notes

    def __len__(self) -> int:
        return len(self.read)

    def batch(self, rows: Tensor) -> dict[str, Tensor]:
        """What was said of the tokens of rows (n,), columns as (n, T, ...), beyond a text's end anything; and `labels`."""
        lengths = self.read.completions.lengths[rows]
        longest = int(lengths.max())
        blocks = torch.arange(-(-longest // BLOCK)).expand(len(rows), -1)  # (n, b)
        blocks = torch.minimum(blocks, (lengths.unsqueeze(-1) - 1) // BLOCK)
        chosen = (self.starts[rows].unsqueeze(-1) + blocks).flatten()
        said = {
            name: column[chosen].reshape(len(rows), -1, *column.shape[2:])[:, :longest]
            for name, column in self.columns.items()
        }
        return said | {"labels": self.read.completions.padded(rows, IGNORED, left=False)[0]}


@dataclass
class StoredTeacher(CausalStudent):
    """A language model that is asked about each text once, and stands in a loop for what it then said."""

    asked: nn.Module  # who is asked; `module`, which goes along with the loop, is nothing
    folder: Path
    kept: Kept
    vocabulary: int

    def encode_told(self, items: Items, completions: Sequence[str], whose: Tensor | None = None) -> Any:
        """As a causal student's, with what the teacher says of each completion's tokens.

        Raises:
            TeacherError: logits that are not finite, by the item's id.
            RunError: a damaged file of the store, or a full disk.
        """
        read = super().encode_told(items, completions, whose)
        keys, shards = _keys(read), Shards(self.folder)
        if rank() == 0:
            with shards.locked():
                if not len(shards):
                    write_json(self.folder / "source.json", {"kept": self.kept.model_dump(), "vocabulary": self.vocabulary})
                self._ask(read, items.ids, keys, shards)
        wait()
        shards.look()
        counts = _blocks(read.completions.lengths)
        names = [f"{key}/{block}" for key, count in zip(keys, counts.tolist(), strict=True) for block in range(count)]
        rows = shards.rows(names)
        columns = {name: shards.column(name, rows) for name in shards.layouts}
        return Stored(read, columns, counts.cumsum(0) - counts)

    def hidden(self, inputs: dict[str, Tensor]) -> Any:
        """What was kept, of a batch of `Stored`: `Spoken`."""
        ids = inputs["ids"].long()
        if self.kept.top:
            target: TopK | Sampled = TopK(ids, inputs["logp"], inputs["tail"], self.vocabulary)
        else:
            target = Sampled(ids, torch.full_like(ids, 1 / ids.shape[-1], dtype=torch.float32), self.vocabulary)
        return Spoken(target, inputs["surprise"], inputs["entropy"])

    def _ask(self, read: Exchanges, names: Sequence[str], keys: Sequence[str], shards: Shards) -> None:
        """Ask about the texts that are not there yet, some at a time; a kill loses at most so many."""
        first = {key: row for row, key in reversed(list(enumerate(keys)))}  # the same text may be told twice
        known = shards.rows([f"{key}/0" for key in first]) >= 0
        absent = torch.tensor([row for row, there in zip(first.values(), known.tolist(), strict=True) if not there]).long()
        if not len(absent):
            return
        live, was = _live(self), device_of(self.asked)
        self.asked.to(best_device())
        for rows in torch.split(absent, TEXTS):
            with frozen(self.asked):
                inputs = {name: value.to(best_device()) for name, value in read.batch(rows).items()}
                said, parts = live.hidden(inputs), []  # (n, T, d)
                for at, row in enumerate(rows.tolist()):
                    length = int(read.completions.lengths[row])
                    z = logits(replace(said, hidden=said.hidden[at, :length]), self.vocabulary).cpu()  # (L, V)
                    if not bool(z.isfinite().all()):
                        item = names[int(read.whose[row])]
                        raise TeacherError(f"The teacher's logits of item {item} are not finite; look at its weights.")
                    parts.append(self._columns(z, inputs["labels"][at, :length].cpu(), keys[row]))
            told = zip(rows.tolist(), parts, strict=True)
            blocks = [f"{keys[row]}/{block}" for row, own in told for block in range(len(own["ids"]))]
            shards.append(blocks, {name: torch.cat([one[name] for one in parts]) for name in parts[0]}, {})
        self.asked.to(was)

    def _columns(self, z: Tensor, labels: Tensor, key: str) -> dict[str, Tensor]:
        """What is kept of one text's logits (L, V): columns (blocks, BLOCK, ...)."""
        columns = dict(zip(("surprise", "entropy"), measured(z, labels), strict=True))
        if self.kept.top:
            most = top(z, min(self.kept.top, self.vocabulary))
            columns |= {"ids": most.ids, "logp": most.logp, "tail": most.tail}
        else:
            assert self.kept.samples is not None
            columns["ids"] = sampled(z, self.kept.samples, torch.Generator().manual_seed(int(key[:15], 16))).ids
        columns["ids"] = columns["ids"].to(torch.int16 if self.vocabulary <= 2**15 else torch.int32)
        return {name: _filled(value) for name, value in columns.items()}


def stored(name: str, model: CausalStudent, vocabulary: int, kept: Kept, folder: Path) -> StoredTeacher:
    """A language model's stand-in that keeps what it says in a folder, which runs may share."""
    own = {one.name: getattr(model, one.name) for one in fields(model)}
    kind = str(next(model.module.parameters()).dtype)
    who = fingerprint("tokens", model.key, kind, model.reader.template, vocabulary, kept.model_dump())
    where = folder / f"{file_name(name)}-tokens-{who[:16]}"
    asked = own.pop("module")
    return StoredTeacher(**own, module=nn.Identity(), asked=asked, folder=where, kept=kept, vocabulary=vocabulary)


def _live(teacher: StoredTeacher) -> CausalStudent:
    """The language model itself."""
    own = {one.name: getattr(teacher, one.name) for one in fields(CausalStudent)}
    return CausalStudent(**{**own, "module": bare(teacher.asked)})


def _blocks(lengths: Tensor) -> Tensor:
    """How many blocks texts of so many tokens take: (R,) to (R,)."""
    return (lengths + BLOCK - 1) // BLOCK


def _filled(value: Tensor) -> Tensor:
    """Tokens (L, ...) filled up with zeros to blocks: (blocks, BLOCK, ...)."""
    whole = value.new_zeros(-(-len(value) // BLOCK) * BLOCK, *value.shape[1:])
    whole[: len(value)] = value
    return whole.reshape(-1, BLOCK, *value.shape[1:])


def _keys(read: Exchanges) -> list[str]:
    """What each text goes by: 32 digits of a hash of the tokens that are read of it."""
    found = []
    for row, whose in enumerate(read.whose.tolist()):
        parts = [
            side.flat[int(side.starts[place]) : int(side.starts[place] + side.lengths[place])].numpy().tobytes()
            for side, place in ((read.prompts, whose), (read.completions, row))
        ]
        found.append(hashlib.blake2b(len(parts[0]).to_bytes(8, "big") + b"".join(parts), digest_size=16).hexdigest())
    return found
