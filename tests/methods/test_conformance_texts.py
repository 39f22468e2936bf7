"""What every method that learns from a language model must be: as test_conformance, where answers are open."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from distrust.finish import gather, write
from distrust.methods import METHODS
from distrust.recipe import Price
from distrust.students import Student
from tests.methods import tutored
from tests.methods.test_conformance import OF_TEXTS, equal, weights

EACH = pytest.mark.parametrize("name", OF_TEXTS)


@EACH
def test_it_is_repeatable_durable_and_leaves_everything_as_it_was(name: str, tmp_path: Path) -> None:
    asked = tutored.teacher()
    before, seen = state(asked.model.module), asked.fingerprint
    torch.manual_seed(5)
    drawn = torch.random.get_rng_state()
    with tutored.opened(tmp_path / "a", asked, gold=8) as run:
        first = weights(METHODS[name].run(run, METHODS[name].options()))
    assert torch.equal(torch.random.get_rng_state(), drawn), "the global random state is the caller's"
    assert equal(before, state(asked.model.module)) and asked.fingerprint == seen
    assert all(one.requires_grad and one.grad is None for one in asked.model.module.parameters())
    stages = {path: path.stat().st_mtime_ns for path in (tmp_path / "a" / "stages").rglob("done.json")}
    torch.manual_seed(77)
    with tutored.opened(tmp_path / "a", asked, gold=8) as run:
        assert equal(first, weights(METHODS[name].run(run, METHODS[name].options())))
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "a" / "stages").rglob("done.json")} == stages
    with tutored.opened(tmp_path / "b", tutored.teacher(), gold=8) as run:
        assert equal(first, weights(METHODS[name].run(run, METHODS[name].options()))), "another folder changes nothing"


@EACH
def test_its_report_is_complete(name: str, tmp_path: Path) -> None:
    with tutored.opened(tmp_path, tutored.teacher(), gold=8) as run:
        student: Student = METHODS[name].run(run, METHODS[name].options())
        facts = gather(
            run,
            {"student": student},
            (tutored.judged(), torch.zeros(24, dtype=torch.long)),
            method=name,
            options=METHODS[name].options().model_dump(),
            recipe={},
            kinds={"texts": "recorded", "big": "causal"},
            prices={"texts": Price(per_call=0), "big": Price(per_call=0)},
        )
        text = write(facts, student, tmp_path).read_text()
    assert facts.history and {row["fit"] for row in facts.history} >= {"student"}
    assert name in text and len(text) < 2_000_000


@EACH
def test_without_gold_and_without_texts_the_teacher_writes_them(name: str, tmp_path: Path) -> None:
    with tutored.opened(tmp_path, tutored.teacher(), recorded=False) as run:
        student = METHODS[name].run(run, METHODS[name].options())
        assert any("big wrote those that the student learns from" in said for said in run.notes)
    assert all(bool(value.isfinite().all()) for value in weights(student).values())


def state(module: torch.nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}
