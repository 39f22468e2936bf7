"""The three signals: what each is, which gold judges, and which assistants are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from distrust.errors import RunError
from distrust.labels import LabelSpace
from distrust.methods.assisted import Signals, check_assistant, judges, outcomes, read
from tests import worlds
from tests.methods.loop_worlds import ANSWERS, LABELS, POOL, Watched, opened
from tests.runs import make


def raw(**more: Any) -> Signals:
    return Signals.model_validate({"calibrate": "none", **more})


def test_s1_is_the_students_likeliest_class_at_the_temperature(tmp_path: Path) -> None:
    student = worlds.student(5)
    with opened(tmp_path, [Watched("teacher")], gold=0) as run:
        items = run.pool.select(range(6))
        found = read(run, student, items, raw(signals=["s1"], temperature=0.5))
        logits = student.module(items.inputs).detach().double()
    for row in range(6):
        powers = [float(one) ** 2 for one in logits[row].softmax(-1)]  # at half the temperature
        assert found.consistency is not None and float(found.consistency[row]) == pytest.approx(max(powers) / sum(powers))
    assert found.in_student is None and len(found.right) == 0, "no assistant, and no gold that judges"


def test_s2_is_the_assistants_agreement_and_rows_follow_ids(tmp_path: Path) -> None:
    with opened(tmp_path, [Watched("teacher")], Watched("assistant"), gold=0) as run:
        items = run.pool.select(range(8))
        found = read(run, worlds.student(5), items, raw())
        theirs = run.ask(run.assistant, items).claims[0]  # type: ignore[arg-type]
        agreed = (found.said.claims[0] == theirs).double()
        assert found.in_student is not None and 0 < float(agreed.sum()) < 8
        assert torch.equal(found.in_student, agreed)
        some = found.on(items.select([6, 1]))
        assert some.in_student is not None and some.in_student.tolist() == agreed[[6, 1]].tolist()
        assert some.said.ids == some.items.ids == (items.ids[6], items.ids[1])


def test_a_right_claim_is_golds_label(tmp_path: Path) -> None:
    with opened(tmp_path, [Watched("teacher")]) as run:
        gold = judges(run)
        assert gold.ids == run.gold.part("calibrate").ids and len(gold)
        said = run.ask(run.teachers[0], gold)
        rows = POOL.rows(gold.ids)
        wanted = [int(ANSWERS[row] == worlds.SPACE.names[LABELS[row]]) for row in rows]
        assert outcomes(run, said, gold).tolist() == wanted and 0 < sum(wanted) < len(wanted)


def test_assistants_that_could_say_nothing_are_refused(tmp_path: Path) -> None:
    with opened(tmp_path / "a", [Watched("teacher")]) as run:
        check_assistant(run, Signals())
        assert "no assistant, so the signals s2 and s3 are off" in run.notes[0]
        assert Signals().reads(run, "s1") and not Signals().reads(run, "s2")
    with (
        opened(tmp_path / "b", [Watched("teacher")], Watched("teacher")) as run,
        pytest.raises(RunError, match="both named 'teacher'"),
    ):
        check_assistant(run, Signals())
    with opened(tmp_path / "c", [Watched("teacher")], Watched("assistant")) as run:
        check_assistant(run, Signals())
        assert Signals().reads(run, "s3") and not Signals(signals=["s1"]).reads(run, "s3")
        with pytest.raises(RunError, match="language model of this process: give the assistant the kind causal"):
            check_assistant(run, Signals(confidence="likelihood"))
        with pytest.raises(RunError, match="give the assistant the kind endpoint"):
            check_assistant(run, Signals(confidence="stated"))

    class Stranger:
        name, fingerprint, space, keeps_answers = "stranger", "s", LabelSpace(("x", "y")), True

    with pytest.raises(RunError, match="stranger knows none of the task's classes: it says x, y, the task has a, b, c"):
        check_assistant(make(tmp_path / "d", assistant=Stranger()), Signals())
