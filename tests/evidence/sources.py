"""A source that said something, in one line."""

from __future__ import annotations

import math

import torch

from distrust.evidence import Evidence
from distrust.labels import LabelSpace

ABC = LabelSpace(("a", "b", "c"))
INF = math.inf


def source(claims: list[list[int]], space: LabelSpace = ABC, name: str = "t", **more: object) -> Evidence:
    rows = torch.tensor(claims)
    return Evidence(name, tuple(f"i{row}" for row in range(rows.shape[1])), space, rows, **more)  # type: ignore[arg-type]
