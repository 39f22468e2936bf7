"""Out-of-fold students: nobody is asked about a claim it was told, early learning stops, and a stage is never done twice."""

from __future__ import annotations

import random
from contextlib import closing
from pathlib import Path

import pytest
import torch

from distrust.data import Items
from distrust.errors import DataError, RunError
from distrust.labels import LabelSpace
from distrust.noise import audit_run, out_of_fold
from tests.cli.world import LABELS, news

SPACE = LabelSpace(LABELS)


def texts(count: int) -> tuple[Items, torch.Tensor]:
    rows = news(count)
    items = Items(tuple(row["id"] for row in rows), tuple(row["text"] for row in rows))
    return items, torch.tensor([SPACE.index(row["gpt_label"]) for row in rows])


def test_nobody_is_asked_about_what_it_was_told(tmp_path: Path) -> None:
    """Each text is one word of its own among random claims: whoever was told could know, whoever was not cannot."""
    rng = random.Random(0)
    items = Items(tuple(f"i{row}" for row in range(120)), tuple(f"word{row} word{row} common" for row in range(120)))
    claims = torch.tensor([rng.randrange(3) for _ in range(120)])
    with closing(audit_run(tmp_path, SPACE, items)) as run:
        chances = out_of_fold(run, items, claims)
    assert float((chances.argmax(-1) == claims).double().mean()) < 0.5
    assert torch.allclose(chances.sum(-1), torch.ones(120), atol=1e-5)


def test_nobody_is_asked_about_a_copy_of_what_it_was_told(tmp_path: Path) -> None:
    """Each text stands there three times: told of one copy, a student would know the others."""
    rng = random.Random(0)
    items = Items(
        tuple(f"i{row}" for row in range(120)), tuple(f"word{row % 40} word{row % 40} common" for row in range(120))
    )
    claims = torch.tensor([rng.randrange(3) for _ in range(40)]).repeat(3)
    with closing(audit_run(tmp_path, SPACE, items)) as run:
        chances = out_of_fold(run, items, claims)
        assert torch.equal(chances[:40], chances[40:80]) and torch.equal(chances[:40], chances[80:])
        assert float((chances.argmax(-1) == claims).double().mean()) < 0.5
        with pytest.raises(DataError, match="9 different texts for 5 folds"):
            out_of_fold(run, items.select([row for row in range(120) if row % 40 < 9]), claims[:27])


def test_the_same_again_trains_nothing_and_says_the_same(tmp_path: Path) -> None:
    items, claims = texts(120)
    said = []
    for _ in range(2):
        with closing(audit_run(tmp_path, SPACE, items)) as run:
            said.append(out_of_fold(run, items, claims, folds=3))
        stages = {path: path.stat().st_mtime_ns for path in tmp_path.glob("stages/*/done.json")}
        said.append(torch.tensor(sorted(stages.values())))
    assert torch.equal(said[0], said[2]) and torch.equal(said[1], said[3])
    with closing(audit_run(tmp_path / "new", SPACE, items)) as run:
        assert torch.equal(out_of_fold(run, items, claims, folds=3), said[0])
    with closing(audit_run(tmp_path / "other", SPACE, items, seed=1)) as run:
        assert not torch.equal(out_of_fold(run, items, claims, folds=3), said[0])


def test_too_few_items_are_refused(tmp_path: Path) -> None:
    items, claims = texts(9)
    with closing(audit_run(tmp_path, SPACE, items)) as run:
        with pytest.raises(DataError, match="9 different texts for 5 folds; an audit needs two a fold"):
            out_of_fold(run, items, claims)
        with pytest.raises(DataError, match="and two folds"):
            out_of_fold(run, items, claims, folds=1)
        with pytest.raises(RunError, match="Another process is at work"):
            audit_run(tmp_path, SPACE, items)


def test_tensors_are_no_texts(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="reads texts"):
        audit_run(tmp_path, SPACE, Items(("a", "b"), torch.zeros(2, 3)))
