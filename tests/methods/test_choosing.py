"""Which items to buy answers for: by need, by a baseline, and the same again after a kill."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import torch

from distrust.evidence import Dense, Evidence
from distrust.labelled import Labelled, from_targets
from distrust.methods.assisted import Read
from distrust.methods.choosing import Choosing, chosen
from distrust.run import Run
from tests import worlds
from tests.runs import make

LEFT = list(range(20, 30))
S1 = torch.tensor([0.9, 0.1, 0.8, 0.7, 0.6, 0.5, 0.9, 0.95, 0.3, 0.99], dtype=torch.float64)
S2 = S1.flip(0)
LOGITS = torch.randn(10, 3, generator=torch.Generator().manual_seed(0))


def taught(run: Run) -> Labelled:
    told = from_targets(run.pool, torch.eye(3)[torch.arange(len(run.pool)) % 3]).select(range(10))
    run.fit("warm-up-1", told, epochs=1)
    return told


def choice(run: Run, count: int = 3, signals: tuple[Any, Any] = (S1, S2), **options: Any) -> list[int]:
    items = run.pool.select(LEFT)
    said = Evidence("student", items.ids, worlds.SPACE, LOGITS.argmax(-1)[None], Dense(LOGITS))
    read = Read(items, said, *signals, torch.zeros(0, dtype=torch.long))
    bought = run.pool.ids[:10]
    return run.pool.rows(chosen(run, Choosing(**options), taught(run), "warm-up-1", read, bought, count).ids)


@pytest.mark.parametrize(
    ("options", "score"),
    [
        ({"lam": 1.0}, 1 - S1),
        ({"lam": 0.0}, 1 - S2),
        ({"lam": 0.25}, 0.25 * (1 - S1) + 0.75 * (1 - S2)),
        ({"select": "entropy"}, -(LOGITS.log_softmax(-1) * LOGITS.softmax(-1)).sum(-1)),
        ({"select": "margin"}, -(LOGITS.softmax(-1).topk(2).values @ torch.tensor([1.0, -1.0]))),
    ],
)
def test_what_needs_an_answer_most_is_bought_first(tmp_path: Path, options: dict[str, Any], score: torch.Tensor) -> None:
    with closing(make(tmp_path)) as run:
        assert choice(run, **options) == [LEFT[row] for row in score.argsort(descending=True)[:3].tolist()]


def test_one_signal_alone_has_all_the_say_and_none_buys_at_random(tmp_path: Path) -> None:
    with closing(make(tmp_path)) as run:
        assert choice(run, signals=(S1, None), lam=0.1)[0] == LEFT[1]
        assert choice(run, signals=(None, S2), lam=0.9)[0] == LEFT[8]
        assert not run.notes
        drawn = choice(run, signals=(None, None))
        assert "bought at random" in run.notes[0] and drawn == choice(run, select="random")


def test_a_choice_is_kept_and_made_again_by_nobody(tmp_path: Path) -> None:
    with closing(make(tmp_path)) as run:
        first = choice(run)
    with closing(make(tmp_path)) as run:
        other = S1.roll(1)  # a student that was asked again, after a kill, may differ in the last bit
        assert choice(run, signals=(other, None)) == first
        assert choice(run, signals=(other, None), lam=0.25) != first, "another question is another choice"


@pytest.mark.parametrize("select", ["committee", "k_centre"])
def test_baselines_choose_as_many_as_asked_and_nothing_twice(tmp_path: Path, select: str) -> None:
    with closing(make(tmp_path)) as run:
        found = choice(run, 4, select=select)
    assert len(set(found)) == 4 and set(found) <= set(LEFT)
