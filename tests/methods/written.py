"""Teachers whose logits or claims are written down, and what a student was told of them."""

from __future__ import annotations

import math
from contextlib import closing
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from distrust.data import Items
from distrust.evidence import Dense, Evidence
from distrust.labelled import Labelled
from distrust.labels import LabelSpace
from distrust.methods import find
from tests.methods import several_worlds as worlds
from tests.methods.several_worlds import SPACE, pictures

ITEMS, LABELS = pictures()
LOGITS = 2 * torch.randn(3, 48, 3, generator=torch.Generator().manual_seed(5))


class Said:
    """A teacher whose logits (N, C), or claims (N,) alone, are written down here."""

    keeps_answers = True

    def __init__(self, name: str, logits: Tensor | None, claims: Tensor | None = None, space: LabelSpace = SPACE) -> None:
        self.name, self.space, self.fingerprint, self.logits, self.claims = name, space, name, logits, claims

    def ask(self, items: Items) -> Evidence:
        rows = ITEMS.rows(items.ids)
        if self.logits is None:
            assert self.claims is not None
            return Evidence(self.name, items.ids, self.space, self.claims[rows][None])
        logits = self.logits[rows]
        spoke = (logits > -math.inf).any(-1)
        return Evidence(self.name, items.ids, self.space, torch.where(spoke, logits.argmax(-1), -1)[None], Dense(logits))


def said() -> list[Said]:
    return [Said(f"t{place}", logits) for place, logits in enumerate(LOGITS)]


def told(
    folder: Path, name: str, teachers: list[Any], gold: int | None = None, **options: Any
) -> tuple[Labelled, list[str]]:
    method, checked = find(name, options)
    with closing(worlds.run(folder, teachers, gold)) as work:
        method.run(work, checked)
        return work.fits["student"].labelled, work.notes
