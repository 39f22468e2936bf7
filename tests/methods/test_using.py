"""What is learned of bought answers: which are dropped, how much they count, and what the student may tell itself."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from distrust.errors import RunError
from distrust.evidence import Evidence
from distrust.labelled import Labelled
from distrust.methods.assisted import Read
from distrust.methods.purchases import Purchase
from distrust.methods.using import Using, lesson
from distrust.run import Run
from tests import worlds
from tests.runs import make

S3 = torch.tensor([0.9, 0.2, 0.6, torch.nan, 0.4], dtype=torch.float64)  # of the items p0 ... p4
CLAIMS = torch.tensor([0, 1, 2, 0, 1])


def said(run: Run, ids: tuple[str, ...], claims: Tensor) -> Evidence:
    return Evidence("t", ids, worlds.SPACE, claims[None])


def bought(run: Run, read: Read | None = None, **more: Any) -> Purchase:
    items = run.pool.select(range(5))
    return Purchase(items, said(run, items.ids, CLAIMS), S3, read, **{"as_read": S3, **more})


def read(run: Run, rows: list[int], claims: Tensor, s1: Tensor, s2: Tensor) -> Read:
    items = run.pool.select(rows)
    return Read(items, said(run, items.ids, claims), s1, s2, torch.zeros(0, dtype=torch.long), s2)


def learned(folder: Path, one: Any = bought, **options: Any) -> tuple[Labelled, Run]:
    with closing(make(folder)) as run:
        return lesson(run, Using(**options), [one(run)]), run


def ids(told: Labelled, run: Run) -> list[int]:
    return run.pool.rows(told.items.ids)


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        ({"threshold": 0.5}, [0, 2, 3]),  # where s3 has no say, it drops nothing
        ({"drop": 0.4}, [0, 2, 3]),
        ({"drop": 0.0}, [0, 1, 2, 3, 4]),
        ({"threshold": "gold"}, [0, 1, 2, 3, 4]),  # no canary has shown that s3 knows anything
    ],
)
def test_what_s3_doubts_is_dropped(tmp_path: Path, options: dict[str, Any], kept: list[int]) -> None:
    told, run = learned(tmp_path, **options)
    assert ids(told, run) == kept
    assert told.targets.argmax(-1).tolist() == CLAIMS[kept].tolist()


def test_by_gold_the_purchases_own_threshold_holds(tmp_path: Path) -> None:
    told, run = learned(tmp_path, lambda run: bought(run, threshold=0.6), threshold="gold")
    assert ids(told, run) == [0, 2, 3]


def test_alike_doubts_drop_nothing_and_say_so(tmp_path: Path) -> None:
    told, run = learned(tmp_path, lambda run: Purchase(**{**vars(bought(run)), "in_teacher": torch.full((5,), 0.3)}))
    assert len(told) == 5 and "drops none" in run.notes[0]


def test_weights_are_equation_a5(tmp_path: Path) -> None:
    s1 = torch.tensor([1.0, 0.5, 0.0, 0.5, 0.5], dtype=torch.float64)

    def one(run: Run) -> Purchase:
        return bought(run, read(run, [0, 1, 2, 3, 4], CLAIMS, s1, torch.zeros(5)))

    told, run = learned(tmp_path, one, use="weigh", boost=1.0, most=1.1, conflict=False)
    wanted = [0.9 * 1, 0.2 * 1.5, 1.1, 1.1, 0.4 * 1.5]
    assert ids(told, run) == [0, 1, 2, 3, 4] and told.weight.tolist() == pytest.approx(wanted)


def test_an_answer_against_a_surer_student_is_dropped(tmp_path: Path) -> None:
    s2 = torch.tensor([0.1, 0.3, 0.7, 0.9, 0.3], dtype=torch.float64)
    own = torch.tensor([1, 1, 1, 1, 2])  # another answer of all but the second

    def one(run: Run) -> Purchase:
        return bought(run, read(run, [0, 1, 2, 3, 4], own, torch.ones(5), s2))

    told, run = learned(tmp_path, one, drop=0.0)
    assert ids(told, run) == [0, 1, 3, 4], "only the third contradicts, and is doubted more"
    told, run = learned(tmp_path / "all", one, drop=0.0, conflict=False)
    assert len(told) == 5


def test_contradictions_are_judged_as_the_assistant_said_them(tmp_path: Path) -> None:
    """Gold has calibrated s2 alone, to chances far below what s3 still is: beside those every answer would stand."""
    s2 = torch.tensor([0.1, 0.3, 0.7, 0.9, 0.3], dtype=torch.float64)

    def one(run: Run) -> Purchase:
        own = read(run, [0, 1, 2, 3, 4], torch.tensor([1, 1, 1, 1, 2]), torch.ones(5), s2)
        return bought(run, replace(own, in_student=s2 / 100))

    told, run = learned(tmp_path, one, drop=0.0)
    assert ids(told, run) == [0, 1, 3, 4]


def test_route_tells_what_is_sure_the_students_own_answer_for_nothing(tmp_path: Path) -> None:
    with closing(make(tmp_path)) as run:
        sure = torch.tensor([0.95, 0.95, 0.1])
        own = read(run, [4, 7, 9], torch.tensor([0, 2, 1]), sure, torch.tensor([0.95, 0.95, 0.95]))
        told = lesson(run, Using(use="route", threshold=0.5), [bought(run)], own)
        assert ids(told, run) == [0, 2, 3, 4, 7], "in the pool's order"
        assert told.targets.argmax(-1).tolist() == [0, 2, 0, 0, 2] and "2 items are told" in run.notes[0]


def test_nothing_left_is_a_sentence_with_the_highest_confidence(tmp_path: Path) -> None:
    def one(run: Run) -> Purchase:
        return bought(run).select(torch.tensor([0, 1, 2, 4]))

    with pytest.raises(RunError, match=r"None of the 4 bought answers is used: .* is 0\.9, the threshold is 0\.95"):
        learned(tmp_path, one, threshold=0.95)

    def mute(run: Run) -> Purchase:
        part = bought(run)
        return Purchase(part.items, said(run, part.items.ids, torch.full((5,), -1)), S3, None)

    with pytest.raises(RunError, match="no usable answer to the 5 items"):
        learned(tmp_path / "mute", mute)
