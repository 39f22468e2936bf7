"""Everybody's texts in one list of answers an item."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from distrust import open_facts as open_facts_module
from distrust.answers import Answers
from distrust.claimed import told_by
from distrust.data import REFERENCE, Items
from distrust.gold import Gold
from distrust.labels import OPEN
from distrust.open_facts import beside, open_facts
from distrust.recipe import Answer
from distrust.run import Run
from distrust.students.sampling import Sampling
from distrust.teachers.local_writer import LocalWriter
from tests.methods import tutored
from tests.writers import writer

ANSWERS = Answers(Answer(kind="number"))
POOL = Items(("a", "b", "c"), ("1 + 1", "2 + 2", "3 + 3"))
GOLD = Items(("a", "g"), ("1 + 1", "9"), {REFERENCE: ["it is 2", "9"]})
TEST = Items(("t", "u"), ("4 + 4", "5 + 5"), {REFERENCE: ["8", "10"]})


def test_claim_zero_is_the_reference_and_no_answer_is_never_right(tmp_path: Path) -> None:
    gold = Gold(GOLD.ids, torch.zeros(2, dtype=torch.long), OPEN)
    run = Run(
        tmp_path, space=None, answers=ANSWERS, pool=POOL, teachers=[], new_student=lambda seed: writer(seed=seed), gold=gold,
        gold_items=GOLD,
    )  # fmt: skip
    heard = [
        ANSWERS.evidence("one", ["a", "b", "c", "g"], [["2"], ["5"], ["no idea"], ["8"]]),
        ANSWERS.evidence("two", ["a", "b", "c", "g"], [["3"], ["is 5.0"], ["6"], []]),
    ]
    told = told_by(heard, POOL)
    said = {"student": ANSWERS.evidence("student", TEST.ids, [["8"], ["dunno"]])}
    found = open_facts(run, heard, told, said, [ANSWERS.evidence("one", TEST.ids, [["7"], ["10"]])], TEST)
    run.close()
    assert found["space"].names == ("reference", "answer 1", "no answer")
    assert [one.claims.tolist() for one in found["evidence"]] == [[[0, 1, -1]], [[1, 1, 1]]]
    assert [one.claims.tolist() for one in found["gold_evidence"]] == [[[0, 1]], [[1, -1]]]
    assert found["targets"].tolist() == [[0.5, 0.5, 0], [0, 1, 0], [0, 1, 0]], "two spellings of 5 are one answer"
    assert found["predictions"]["student"].tolist() == [[1, 0, 0], [0, 0, 1]]
    assert found["test_evidence"][0].claims.tolist() == [[1, 0]]
    assert found["texts"].said == {"student": ["8", None], "one": ["7", "10"]}
    assert found["gold"].labels.tolist() == [0, 0] and found["test_labels"].tolist() == [0, 0]


def test_without_teachers_gold_or_test_there_is_still_a_page(tmp_path: Path) -> None:
    run = Run(tmp_path, space=None, answers=ANSWERS, pool=POOL, teachers=[], new_student=lambda seed: writer(seed=seed))
    found = open_facts(run, [], None, {}, [], None)
    run.close()
    assert found["gold"] is None and found["targets"] is None and found["texts"] is None and found["predictions"] == {}


def test_samples_of_a_student_are_its_confidence(tmp_path: Path) -> None:
    run = Run(tmp_path, space=None, answers=ANSWERS, pool=POOL, teachers=[], new_student=lambda seed: writer(seed=seed))
    said = {"student": ANSWERS.evidence("student", TEST.ids, [["8", "8", "7", "?"], ["1", "2", "1", "1"]])}
    found = open_facts(run, [], None, said, [], TEST)
    run.close()
    assert found["predictions"]["student"].tolist() == [[0.5, 0.25, 0, 0.25], [0, 0.75, 0.25, 0]]


def test_a_student_is_sampled_beside_its_language_models_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    student, test = tutored.student(), tutored.judged(6)
    other = LocalWriter("other", writer(vocabulary=265), Sampling())
    monkeypatch.setattr(open_facts_module, "ITEMS", 4)
    with tutored.opened(tmp_path, tutored.teacher()) as run:
        run.teachers.append(other)
        found = beside(run, student, test)
        assert found is not None and (found["items"], found["of"], found["samples"]) == (4, 6, 3)
        own = found["teachers"]["big"]["own"]["kl"]
        assert own["least"] <= own["value"] <= own["most"] and found["teachers"]["big"]["given"]["tokens"] > 4
        assert "different tokenizers" in found["teachers"]["other"]["left_out"]
        monkeypatch.setattr(open_facts_module, "sampled", None)  # it is not done again
        assert beside(run, student, test) == found
        run.teachers[:] = run.teachers[:1]
        assert beside(run, student, test) is None, "no language model, nothing to follow"
