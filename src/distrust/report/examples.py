"""Items worth a look: where the student was told something other than its teachers said, and where they disagree.

Knows how to choose a few items and what to show of each. Does not know how it is laid out.
"""

from __future__ import annotations

import base64
import struct
import zlib
from dataclasses import dataclass

import torch
from torch import Tensor

from distrust.evidence import Evidence, votes
from distrust.report.facts import Facts
from distrust.trust import entropy

SHOWN = 6
LARGEST_IMAGE = 64  # pixels a side; a larger input is described rather than drawn


@dataclass(frozen=True)
class Said:
    """One teacher's answer to one item."""

    teacher: str
    claim: str | None  # None: abstained
    text: str | None  # its raw text, if it is not the claim itself


@dataclass(frozen=True)
class Example:
    """One item, who said what, and what the student was told."""

    id: str
    text: str
    image: str | None  # a data URI
    said: tuple[Said, ...]
    told: str | None
    share: float | None  # of the target's mass
    gold: str | None


def doubted(facts: Facts, claims: Tensor) -> list[Example]:
    """Items whose target is furthest from what the teachers claim there, gold items aside: claims (M, B) long."""
    if facts.targets is None:
        return []
    told = facts.targets.sum(-1)  # (B,)
    mass = facts.targets.gather(-1, claims.clamp(min=0).T).T / told.clamp(min=1e-12)  # (M, B)
    gold = set(facts.gold.ids) if facts.gold else set()
    free = torch.tensor([item not in gold for item in facts.pool.ids])
    spoke = (claims >= 0) & (told > 0) & free
    distance = ((1 - mass) * spoke).sum(0) / spoke.sum(0).clamp(min=1)
    return _examples(facts, claims, distance, least=0.05)


def disputed(facts: Facts, claims: Tensor) -> list[Example]:
    """Items on which the teachers' votes are most spread: claims (M, B) long."""
    counts = votes(claims, len(facts.space))  # (B, C)
    spread = entropy(counts / counts.sum(-1, keepdim=True).clamp(min=1))
    score = spread * counts.sum(-1).sqrt()  # of equal spreads, more voters first
    if facts.targets is not None:
        score = score - 1e-3 * facts.targets.amax(-1) * (score > 0)  # and then what the student was told least surely
    return _examples(facts, claims, score, least=0.05)


def _examples(facts: Facts, claims: Tensor, score: Tensor, least: float) -> list[Example]:
    rows = score.argsort(descending=True, stable=True)[:SHOWN].tolist()
    gold = dict(zip(facts.gold.ids, facts.gold.labels.tolist(), strict=True)) if facts.gold else {}
    row_of = [{item: row for row, item in enumerate(one.ids)} for one in facts.evidence]
    return [_example(facts, claims[:, row], row, row_of, gold) for row in rows if score[row] > least]


def _example(facts: Facts, claims: Tensor, row: int, row_of: list[dict[str, int]], gold: dict[str, int]) -> Example:
    item, names = facts.pool.ids[row], facts.space.names
    said = tuple(
        _said(one, names[claim] if claim >= 0 else None, rows.get(item))
        for one, claim, rows in zip(facts.evidence, claims.tolist(), row_of, strict=True)
    )
    target = None if facts.targets is None or not facts.targets[row].sum() else facts.targets[row] / facts.targets[row].sum()
    return Example(
        id=item,
        text=facts.pool.text(row),
        image=_image(facts.pool.inputs[row]),
        said=said,
        told=None if target is None else names[int(target.argmax())],
        share=None if target is None else float(target.max()),
        gold=names[gold[item]] if item in gold else None,
    )


def _said(one: Evidence, claim: str | None, row: int | None) -> Said:
    texts = one.texts[row] if one.texts is not None and row is not None else ()
    text = next((text for text in texts if text.strip() != claim), None)
    return Said(one.source, claim, text)


def _image(item: object) -> str | None:
    """A small grey picture of an input that is one, (H, W) or (1, H, W), as a PNG data URI."""
    if not isinstance(item, Tensor):
        return None
    grey = item[0] if item.dim() == 3 and item.shape[0] == 1 else item
    if grey.dim() != 2 or not 2 < min(grey.shape) <= max(grey.shape) <= LARGEST_IMAGE:
        return None
    values = torch.nan_to_num(grey.detach().cpu().float())
    low, high = float(values.min()), float(values.max())
    pixels = ((values - low) / max(high - low, 1e-12) * 255).to(torch.uint8)
    rows = b"".join(b"\0" + bytes(line) for line in pixels.tolist())
    height, width = pixels.shape
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(rows)) + _chunk(b"IEND", b"")
    return "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + chunks).decode()


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
