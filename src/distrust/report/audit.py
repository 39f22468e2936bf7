"""What an audit found, for a person: figures as JSON, every item as CSV, and a page that needs nothing else.

Knows a question, its noise and the rows to label next. Knows nothing of how they were estimated.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from distrust.files import write_atomically, write_json
from distrust.noise.estimate import Noise
from distrust.noise.question import Question
from distrust.predictions import csv_text
from distrust.report.page import environment
from distrust.report.text import plain
from distrust.secrets import show

SHOWN = 200  # characters of a text in the tables
SEEN = 0.02  # share of a claimed class from which a cell of the matrix is listed
SUSPECTS, CELLS = 50, 40  # rows on the page
FEW = 30  # gold labels below which the rate is a rough one
BLIND = (
    "Without gold this counts what a student can see. Mistakes that are always made alike are learned and agreed with: the "
    "true rate may be far higher. Have a person label 50 items drawn at random, and give them as gold."
)


def findings(question: Question, noise: Noise, chances: Tensor, following: list[int]) -> dict[str, Any]:
    """Everything the audit says, as plain values.

    Args:
        question, noise: of the same N items.
        chances: (N, C) out-of-fold probabilities.
        following: rows to label next, best first.
    """
    names = question.space.names
    unknown = torch.ones_like(noise.wrong, dtype=torch.bool).index_fill(0, question.gold_rows, False)
    cells = [
        {
            "claimed": names[row],
            "true": names[column],
            "share": float(noise.matrix[row, column]),
            "low": float(noise.low[row, column]),
            "high": float(noise.high[row, column]),
            "claims": int(noise.claimed[row]),
        }
        for row, column in (noise.matrix >= SEEN).nonzero().tolist()
        if int(noise.claimed[row])
    ]
    found: dict[str, Any] = plain(
        {
            "column": question.column,
            "items": len(question.items),
            "classes": list(names),
            "gold": noise.gold,
            "rate": noise.rate,
            "rate_is": "estimated with gold, 95 % interval" if noise.gold else "what a student can see, a range",
            "unchecked": int(unknown.sum()),
            "suspects": int(((noise.wrong > 0.5) & unknown).sum()),
            "matrix": sorted(cells, key=lambda one: (-one["claims"], one["claimed"], -one["share"])),
            "next": _rows(question, noise, following),
            "notes": question.notes + _doubts(question, noise, chances),
        }
    )
    return found


def write(folder: Path, question: Question, noise: Noise, found: dict[str, Any]) -> list[Path]:
    """Write `audit.json`, `audit.csv` (every item, the most suspect first) and `audit.html`; returns their paths."""
    rows = _rows(question, noise, noise.wrong.argsort(descending=True, stable=True).tolist())
    suspects = [row for row in rows if row["gold"] == "" and row["wrong"] > 0.5][:SUSPECTS]
    mistakes = [one for one in found["matrix"] if one["claimed"] != one["true"]]
    mistakes.sort(key=lambda one: -one["share"] * one["claims"])
    page = environment().get_template("audit.html.j2")
    paths = [folder / "audit.json", folder / "audit.csv", folder / "audit.html"]
    write_json(paths[0], found)
    write_atomically(paths[1], csv_text(rows))
    write_atomically(paths[2], page.render(m=found, suspects=suspects, mistakes=mistakes[:CELLS]))
    return paths


def _rows(question: Question, noise: Noise, rows: list[int]) -> list[dict[str, Any]]:
    """Items as the tables say them, inert in a terminal; `suggested` is the most probable class, gold's where gold says."""
    names = [show(name) for name in question.space.names]
    gold = dict(zip(question.gold_rows.tolist(), question.gold_labels.tolist(), strict=True))
    claims, suggested, wrong = question.claims.tolist(), noise.suggested.tolist(), noise.wrong.tolist()
    return [
        {
            "id": show(question.items.ids[row]),
            "text": show(question.items.text(row), SHOWN),
            "claimed": names[claims[row]],
            "suggested": names[suggested[row]],
            "wrong": round(wrong[row], 4),
            "gold": names[gold[row]] if row in gold else "",
        }
        for row in rows
    ]


def _doubts(question: Question, noise: Noise, chances: Tensor) -> list[str]:
    """Sentences on what weakens the estimate."""
    doubts = [] if noise.gold else [BLIND]
    texts = len(set(question.texts[question.gold_rows].tolist()))
    if texts < noise.gold:
        doubts.append(f"The {noise.gold} gold labels are of {texts} texts; copies of one are no more than one gold label.")
    if 0 < texts < FEW:
        doubts.append(f"There are only {texts} gold labels; from 50 on the rate and the list are worth much more.")
    agreed = float((chances.argmax(-1) == question.claims).double().mean())
    common = float(noise.claimed.max()) / len(question.items)
    if agreed <= common:
        little = "list of suspects is" if noise.gold else "rate and the list of suspects are"
        doubts.append(
            f"Students guess {agreed:.0%} of the claims, no more than always saying the most frequent class ({common:.0%}): "
            f"the texts tell them nothing, and the {little} worth little."
        )
    return doubts
