"""Whether doubted answers are dropped: where they teach what is wrong, and not where they are too few to lose."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from distrust.data import Items
from distrust.students import Student
from tests import worlds
from tests.methods.loop_worlds import LABELS, POOL, SIZE, TRUTH, Watched, carried, equal, opened

NAMES = worlds.SPACE.names
DRAWN = torch.rand(SIZE, generator=torch.Generator().manual_seed(5)).tolist()
MISLED = [NAMES[(label + (one < 0.6)) % 3] for label, one in zip(LABELS.tolist(), DRAWN, strict=True)]
HARD = [name if one < 0.45 else NAMES[(NAMES.index(name) + 1) % 3] for name, one in zip(TRUTH, DRAWN, strict=True)]
ITEMS = Items(POOL.ids, POOL.inputs, {"misled": MISLED, "truth": TRUTH, "second": TRUTH, "hard": HARD})
TRIED = {"budget": 120, "stages": 1, "signals": ["s3"], "threshold": "tried", "gold_weight": 0, "min_steps": 150}


def learned(folder: Path, teacher: str, assistant: str | None, **options: Any) -> tuple[set[str], list[str], Student]:
    """Ids of what the last student learned, notes, and the student."""
    other = None if assistant is None else Watched(assistant, ITEMS)
    with opened(folder, [Watched(teacher, ITEMS)], other, ITEMS, gold=0) as run:
        student = carried(run, **{**TRIED, **options})
        return set(run.fits["student"].labelled.items.ids), run.notes, student


def test_answers_that_teach_what_is_wrong_are_dropped(tmp_path: Path) -> None:
    ids, notes, _ = learned(tmp_path, "misled", "truth")
    wrong = {item for item, said, right in zip(ITEMS.ids, MISLED, TRUTH, strict=True) if said != right}
    assert 20 < len(ids) < 120 and not ids & wrong, notes
    assert any("they are dropped" in one for one in notes)


def test_right_answers_that_an_assistant_doubts_are_kept_and_the_student_is_that_of_no_filter(tmp_path: Path) -> None:
    ids, notes, student = learned(tmp_path / "tried", "truth", "hard")
    assert len(ids) == 120 and any("they are kept" in one for one in notes)
    _, _, plain = learned(tmp_path / "plain", "truth", "hard", threshold=0.0)
    assert equal(student, plain)


@pytest.mark.parametrize(("assistant", "options"), [(None, {}), ("truth", {"budget": 39}), ("truth", {"signals": []})])
def test_where_nothing_can_be_tried_nothing_is_dropped_and_nobody_is_trained_for_it(
    tmp_path: Path, assistant: str | None, options: dict[str, Any]
) -> None:
    ids, notes, _ = learned(tmp_path, "misled", assistant, **options)
    assert len(ids) == options.get("budget", 120) and any("Nothing says whether doubted answers" in one for one in notes)
    assert not list(tmp_path.rglob("tried-*"))


def test_both_stages_answers_are_held_out(tmp_path: Path) -> None:
    teacher = Watched("misled", ITEMS)
    with opened(tmp_path, [teacher], Watched("truth", ITEMS), ITEMS, gold=0) as run:
        carried(run, **{**TRIED, "budget": 110, "stages": 2, "signals": ["s1", "s2", "s3"], "conflict": False})
        learned_from = set(run.fits["tried-all"].labelled.items.ids)
    for part in (teacher.asked[:33], teacher.asked[33:]):
        assert 0 < len(set(part) - learned_from) < len(part) / 2


def test_an_assistant_that_doubts_everything_leaves_nothing_to_try(tmp_path: Path) -> None:
    liar = Items(ITEMS.ids, ITEMS.inputs, {**ITEMS.columns, "never": [NAMES[(NAMES.index(one) + 1) % 3] for one in TRUTH]})
    with opened(tmp_path, [Watched("truth", liar)], Watched("never", liar), liar, gold=0) as run:
        carried(run, **TRIED)
        assert len(run.fits["student"].labelled) == 120
        assert any("Nothing says whether doubted answers" in one for one in run.notes)
