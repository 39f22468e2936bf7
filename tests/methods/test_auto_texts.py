"""auto where answers are open: methods are tried on gold's texts, judged as the task reads answers."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import torch

from distrust.answers import Answers
from distrust.evaluate.texts import rouge_l
from distrust.finish import gather
from distrust.gold import Gold
from distrust.labels import OPEN
from distrust.methods import METHODS, find
from distrust.methods.auto_suited import BASELINE, LEAST_GOLD, OPEN_CANDIDATES
from distrust.methods.auto_trial import bench, tried
from distrust.methods.believed import asked
from distrust.recipe import Answer, Price, Train
from distrust.report.metrics import metrics
from distrust.report.page import render
from distrust.run import Run
from tests.methods.test_conformance import equal, weights
from tests.methods.test_doubted_texts import ANSWERS, HOW, ITEMS, Recalled, wrong
from tests.methods.tutored import judged
from tests.writers import writer

FEW = {"candidates": ["gold-only"], "folds": 2}


def opened(folder: Path, texts: list[str], gold: int = 50, how: Answers = HOW, epochs: int = 12) -> Run:
    """Half of gold is outside the pool."""
    return Run(
        folder,
        space=None,
        answers=how,
        pool=ITEMS.select(range(gold // 2, len(ITEMS))),
        teachers=[Recalled(texts)],
        new_student=lambda seed: writer(wild=False, seed=seed),
        gold=Gold(ITEMS.ids[:gold], torch.zeros(gold, dtype=torch.long), OPEN),
        gold_items=ITEMS.select(range(gold)),
        options=Train(num_train_epochs=epochs, learning_rate=1e-2, per_device_train_batch_size=8),
    )


def carried(run: Run, **options: Any) -> Any:
    method, checked = find("auto", FEW | options)
    return method.run(run, checked)


def chosen(run: Run) -> Mapping[str, Any]:
    return next(row for row in run.choice if row["chosen"])


def test_a_teacher_that_is_wrong_is_left_for_gold(tmp_path: Path) -> None:
    with closing(opened(tmp_path / "auto", wrong(0.95))) as run:
        student = weights(carried(run))
        rows = {row["candidate"]: row for row in run.choice}
        assert chosen(run)["candidate"] == "gold-only" and chosen(run)["gain"]["low"] > 0
        assert rows["distill"]["score"]["value"] < 0.7 < rows["gold-only"]["score"]["value"]
        assert rows["gold-only"]["nats"] is None, "a text has no likelihood that says how right it is"
        assert "cross-fitted on 50 gold items" in run.notes[-2] and "selective" in run.notes[-1]
    with closing(opened(tmp_path / "alone", wrong(0.95))) as run:
        assert equal(student, weights(METHODS["gold-only"].run(run, METHODS["gold-only"].options()))), "bit for bit"


def test_a_teacher_that_is_right_is_kept_and_the_report_says_so(tmp_path: Path) -> None:
    with closing(opened(tmp_path / "auto", list(ANSWERS))) as run:
        student = carried(run)
        given = {"method": "auto", "options": {}, "recipe": {}, "kinds": {"llm": "recorded"}, "prices": {"llm": Price()}}
        facts = gather(run, {"student": student}, (judged(), torch.zeros(24, dtype=torch.long)), **given)
        assert chosen(run)["candidate"] == "distill"
    page = render(facts, metrics(facts))
    assert "right on held-out gold" in page and "<b>chosen</b>" in page
    assert "a mistake is no pair of classes" in page and "No teacher could be judged" not in page, "gold has judged it"


def test_with_little_gold_nothing_is_tried(tmp_path: Path) -> None:
    with closing(opened(tmp_path, list(ANSWERS), gold=LEAST_GOLD - 1, epochs=1)) as run:
        carried(run)
        assert chosen(run)["candidate"] == "distill" and "19 gold items" in chosen(run)["why"]
        assert not list(tmp_path.rglob("trial-*"))


@pytest.mark.parametrize("kind", ["yes_no", "text"])
def test_students_are_judged_as_the_task_reads_answers(kind: str, tmp_path: Path) -> None:
    """A trial's students say again what they said: their held-out texts are kept, and read here."""
    how = Answers(Answer(kind=kind))  # type: ignore[arg-type]
    with closing(opened(tmp_path, wrong(0.95), how=how)) as run:
        folds = run.gold.folds("choose", 2)
        outcome = tried(bench(run, asked(run, "choose"), folds, 100, 0.5), BASELINE)
        assert not isinstance(outcome, str) and outcome.likelihood is None
        found = []
        for fold in folds:
            texts = said(tmp_path, fold.held.ids)
            wanted = [ANSWERS[ITEMS.ids.index(item)] for item in fold.held.ids]
            alike = (lambda a, b: float(how.read(a) == b)) if kind == "yes_no" else rouge_l
            found += [alike(text, answer) for text, answer in zip(texts, wanted, strict=True)]
        assert outcome.right.tolist() == pytest.approx(found)
        assert 0 < sum(found) < len(found), "they are not all alike"


def said(folder: Path, ids: tuple[str, ...]) -> list[str]:
    """What a student said of just these items, from the stage that keeps it."""
    from distrust.store import load_evidence

    for path in folder.rglob("ask-student-*"):
        kept = load_evidence(path)
        if set(kept.ids) == set(ids):
            assert kept.texts is not None
            return [kept.texts[kept.ids.index(item)][0] for item in ids]
    raise AssertionError("no stage keeps it")


def test_every_candidate_can_be_tried(tmp_path: Path) -> None:
    names = list(dict.fromkeys(one.name for one in OPEN_CANDIDATES))
    with closing(opened(tmp_path, wrong(0.2), epochs=2)) as run:
        carried(run, candidates=names)
        assert not any("Rouge-L" in note for note in run.notes)
        alike = "distill (targets hard)"  # of one teacher's texts
        assert {row["candidate"] for row in run.choice if row["score"]} == {one.called for one in OPEN_CANDIDATES} - {alike}


def test_gold_that_is_corrected_is_tried_anew(tmp_path: Path) -> None:
    for texts in (None, ["nonsense"] * 50):
        with closing(opened(tmp_path, list(ANSWERS), epochs=1)) as run:
            if texts is not None:
                run.gold_items.columns["reference"][:] = texts  # type: ignore[index]
            carried(run)
            right = {row["candidate"]: row["score"]["value"] for row in run.choice if row["score"]}
            assert (right["distill"] > 0) == (texts is None)
