"""Small real worlds for tests of the loop: tensors with structure, texts with topics, a recipe over files."""

from __future__ import annotations

import csv
import random
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor, nn

from distrust.data import Items
from distrust.labelled import Labelled
from distrust.labels import LabelSpace
from distrust.students.module import ModuleStudent

SPACE = LabelSpace(("a", "b", "c"))
WORDS = {
    "sport": "match goal team player league coach season score win cup",
    "money": "bank market share price profit loan rate trade fund tax",
    "weather": "rain storm sun cloud wind snow cold heat forecast sky",
}
NOISE = ("the", "of", "in", "on", "and", "to", "it", "was", "for", "with", "at", "by", "from", "that")


def points(count: int = 40, seed: int = 0) -> tuple[Items, Tensor]:
    """Three clusters in the plane (count, 2) and their labels (count,)."""
    draw = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 3
    inputs = torch.randn(count, 2, generator=draw) + 2 * torch.stack([labels.cos(), labels.sin()], 1)
    return Items(tuple(f"p{row}" for row in range(count)), inputs), labels


def told(count: int = 40, seed: int = 0, gold: int = 10) -> Labelled:
    """Soft targets for all points, gold labels for the first few, uneven weights."""
    items, labels = points(count, seed)
    draw = torch.Generator().manual_seed(seed + 1)
    targets = torch.rand(count, 3, generator=draw)
    known = torch.where(torch.arange(count) < gold, labels, -1)
    return Labelled(items, targets / targets.sum(-1, keepdim=True), known, 0.5 + torch.rand(count, generator=draw))


def network(seed: int = 0, dropout: float = 0.0) -> nn.Sequential:
    """A small network whose weights are a function of the seed."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Dropout(dropout), nn.Linear(8, 3))


def student(seed: int = 0, dropout: float = 0.0) -> ModuleStudent:
    """A student of points."""
    return ModuleStudent(network(seed, dropout), SPACE)


def texts(count: int, seed: int = 0) -> list[dict[str, str]]:
    """Rows with text, gold label and the label of a teacher that says money for half of the weather."""
    draw = random.Random(seed)
    rows = []
    for number in range(count):
        label = sorted(WORDS)[number % 3]
        words = draw.choices(WORDS[label].split(), k=4) + draw.choices(NOISE, k=6)
        draw.shuffle(words)
        teacher = "money" if label == "weather" and draw.random() < 0.5 else label
        rows.append({"text": " ".join(words), "label": label, "teacher": teacher})
    return rows


def write_csv(path: Path, rows: list[dict[str, str]]) -> Path:
    """A CSV file of rows."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def recipe(folder: Path, **changes: Any) -> Path:
    """A recipe over files in `folder`: 150 texts to learn from, 60 to test on, 12 gold, one recorded teacher."""
    write_csv(folder / "pool.csv", texts(150))
    write_csv(folder / "test.csv", texts(60, seed=1))
    raw: dict[str, Any] = {
        "data": {
            "pool": {"path": str(folder / "pool.csv"), "label": "label"},
            "test": {"path": str(folder / "test.csv"), "label": "label"},
        },
        "gold": {"size": 12},
        "teachers": [{"kind": "recorded", "name": "teacher", "column": "teacher"}],
        "student": {"kind": "ngram", "buckets": 4096, "dimension": 8, "characters": None, "dropout": 0.2},
        "train": {"num_train_epochs": 6, "save_seconds": 0},
        "output_dir": str(folder / "run"),
    }
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(raw | changes))
    return path
