"""ta-in-the-loop over open answers: a tiny language model as student, texts as answers, agreement of samples as signals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from distrust.answers import Answers
from distrust.data import REFERENCE, Items
from distrust.errors import RunError
from distrust.gold import Gold
from distrust.labels import OPEN
from distrust.methods.ta_in_the_loop import TaInTheLoop, ta_in_the_loop
from distrust.recipe import Answer, Recorded, Train
from distrust.run import Run
from distrust.students.causal import build
from distrust.students.sampling import Sampling
from distrust.teachers import Teacher
from distrust.teachers.local_writer import LocalWriter
from distrust.teachers.recorded import RecordedTeacher
from tests import writers

ITEMS, SAYS = writers.flips(60, most=2)
KIND = Answer(kind="yes_no")
POOL = Items(
    ITEMS.ids,
    ITEMS.inputs,
    {
        "llm": [f"{one}." if row % 4 else "hm" for row, one in enumerate(SAYS)],
        "cheap": [[one, one, "yes"] for one in SAYS],
    },
)
GOLD = POOL.select(range(6))
GOLD = Items(GOLD.ids, GOLD.inputs, {REFERENCE: SAYS[:6]})


def carried(folder: Path, epochs: int = 30, assistant: Teacher | None = None, **options: Any) -> tuple[Run, list[str]]:
    answers = Answers(KIND)
    asked: list[str] = []

    class Watched(RecordedTeacher):
        def ask(self, items: Items) -> Any:
            asked.extend(items.ids)
            return super().ask(items)

    run = Run(
        folder,
        space=None,
        answers=answers,
        pool=POOL,
        teachers=[Watched(Recorded(kind="recorded", name="llm", column="llm"), OPEN, POOL, answers)],
        assistant=assistant or RecordedTeacher(Recorded(kind="recorded", name="cheap", column="cheap"), OPEN, POOL, answers),
        new_student=lambda seed: build(writers.options("gpt2"), answers, seed, POOL),
        gold=Gold(GOLD.ids, torch.zeros(6, dtype=torch.long), OPEN),
        gold_items=GOLD,
        options=Train(num_train_epochs=epochs, learning_rate=1e-2, per_device_train_batch_size=8),
    )
    try:
        ta_in_the_loop(run, TaInTheLoop.model_validate({"budget": 24, "samples": 3, "warm_up": 0.5, **options}))
    finally:
        run.close()
    return run, asked


def test_texts_are_bought_by_need_and_learned_as_they_were_written(tmp_path: Path) -> None:
    run, asked = carried(tmp_path, canaries=2)
    assert len(asked) == len(set(asked)) == 24 and len(set(asked) & set(GOLD.ids)) == 2
    told = run.fits["student"].labelled
    assert told.texts is not None
    said = {text for one in told.texts.answers for text in one}
    assert "hm" not in said and "yes." in said, "no answer is nothing to learn"
    assert not any("needs every item alike" in note for note in run.notes), "its samples differ from item to item"
    again, more = carried(tmp_path, canaries=2)
    assert more == asked and again.fits["student"].labelled.key == told.key


def test_a_student_that_never_answers_buys_at_random(tmp_path: Path) -> None:
    run, asked = carried(tmp_path, epochs=1, samples=1, signals=["s1"], drop=0, temperature=0.01)
    assert len(set(asked)) == 24
    assert any("answered nothing that could be read" in one for one in run.warnings), "after one epoch it writes no word"
    assert any("needs every item alike" in one for one in run.notes)
    assert any("With one sample s1 is 1" in one for one in run.notes)


@pytest.mark.parametrize("sampling", [None, Sampling(samples=2, temperature=0.7)])
def test_a_language_model_of_this_process_judges_texts(sampling: Sampling | None, tmp_path: Path) -> None:
    model = build(writers.options("gpt2", wild=True), Answers(KIND), 3, POOL)
    run, asked = carried(tmp_path, assistant=LocalWriter("lm", model, sampling), canaries=3)
    assert len(set(asked)) == 24 and ("s2: assistant on the student" in run.signals or sampling)
    (said,) = run.assisted()
    assert (said.logits is not None) is (sampling is None)
    again, _ = carried(tmp_path, assistant=LocalWriter("lm", model, sampling), canaries=3)
    assert again.fits["student"].labelled.key == run.fits["student"].labelled.key


@pytest.mark.parametrize(
    "options", [{"use": "route", "sure": 0.6, "agreed": 0.3}, {"select": "committee"}, {"select": "k_centre"}]
)
def test_every_choice_and_use_takes_texts(options: dict[str, Any], tmp_path: Path) -> None:
    run, asked = carried(tmp_path, **options)
    told = run.fits["student"].labelled
    assert len(asked) == len(set(asked)) == 24 and len(told)
    free = set(told.items.ids) - set(asked) - set(GOLD.ids)
    assert bool(free) is (options.get("use") == "route"), "only what is routed is told for nothing"


def test_rounds_tell_new_students_what_the_last_one_is_sure_of(tmp_path: Path) -> None:
    """The assistant says "yes" of everything once in three, so a wrong answer of the student is never confirmed at 0.5."""
    route = {"use": "route", "sure": 0.6, "agreed": 0.5, "stages": 1, "drop": 0}
    run, asked = carried(tmp_path, epochs=10, rounds=1, candidates=20, **route)
    first, last = (run.fits[name].labelled for name in ("round-1", "student"))
    free = set(last.items.ids) - set(asked) - set(GOLD.ids)
    assert len(asked) == 24 and set(first.items.ids) <= set(asked), "nothing is free before a student has learned"
    assert 0 < len(free) <= 20, "of what is left no more is read than candidates"
    assert len(run.fits["round-1"].history) == 10


def test_few_answers_take_as_many_steps_as_many(tmp_path: Path) -> None:
    run, _ = carried(tmp_path, epochs=1, min_steps=10, stages=1, threshold=0.9)
    told = run.fits["student"].labelled
    assert len(run.fits["student"].history) == -(-10 // -(-len(told) // 8)) > 1
    more, _ = carried(tmp_path, epochs=3, min_steps=2, stages=1, threshold=0.9)
    assert len(more.fits["student"].history) == 3, "never fewer passes than the recipe has"


def test_rounds_and_candidates_are_planned_for() -> None:
    options = TaInTheLoop(budget=20, stages=1, use="route", rounds=2, candidates=10)
    assert options.judged(100, 5) == 2 * (10 + 5) + 20
    assert TaInTheLoop(budget=20, candidates=10).judged(100, 0) == 20 + 20, "what is bought next was read"
    assert TaInTheLoop(budget=20).judged(100, 0) == 94 + 20


def test_rounds_need_a_route(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="takes use: route"):
        carried(tmp_path, rounds=1)
