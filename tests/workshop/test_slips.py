"""Open answers made wrong: always another answer, by the item alone, and nothing else of what was said changed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from distrust.answers import NO_ANSWER, Answers
from distrust.build import opened
from distrust.data import Items
from distrust.errors import RecipeError, TeacherError
from distrust.evidence import Cost, Evidence
from distrust.labels import OPEN
from distrust.recipe import Answer
from distrust.recipe.wrong import Abstaining, NearClone, Pairwise, Symmetric, WrongRecipe
from distrust.recipe_file import parse_recipe
from distrust.workshop import SimulatedTeacher, clones, slip
from distrust.workshop.slips import NO_SLIP

NUMBER, TEXT = Answers(Answer(kind="number")), Answers(Answer())
WAYS = [NUMBER, TEXT, *(Answers(Answer(kind=one)) for one in ("short", "choice", "yes_no"))]  # type: ignore[arg-type]
IDS = tuple(f"i{row}" for row in range(300))
ITEMS = Items(IDS, tuple("What is it?" for _ in IDS))


class Solver:
    """It writes two texts of an item, the second one of them without an answer."""

    name, space, fingerprint, keeps_answers = "solver", OPEN, "solver", True

    def ask(self, items: Items) -> Evidence:
        texts = [[f"{one} is {row} apples", "no idea"] for row, one in enumerate(items.ids)]
        return NUMBER.evidence(self.name, items.ids, texts, Cost.free(len(items)))


def made(wrong: WrongRecipe) -> SimulatedTeacher:
    return SimulatedTeacher(Solver(), wrong, answers=NUMBER)


@given(st.text(max_size=40), st.sampled_from(WAYS), st.floats(0, 1, exclude_max=True))
def test_a_slip_is_another_answer_and_one_character_away(text: str, how: Answers, chance: float) -> None:
    other = slip(text, how, chance)
    if other is None:
        return
    assert how.read(other) not in (None, how.read(text)) and slip(text, how, chance) == other
    if how.how.kind != "yes_no":
        assert len(other) == len(text) and sum(a != b for a, b in zip(text, other, strict=True)) == 1


@given(st.integers(-(10**6), 10**6), st.floats(0, 1, exclude_max=True))
def test_every_number_has_a_slip(number: int, chance: float) -> None:
    assert slip(f"so it is {number}.", NUMBER, chance) is not None


@pytest.mark.parametrize(
    ("text", "kind", "chance", "wanted"),
    [
        ("3 and 4 make 7", "number", 0.0, "3 and 4 make 0"),
        ("3 and 4 make 7", "number", 0.99, "3 and 4 make 9"),
        ("(A) since it rains", "choice", 0.9, "(B) since it rains"),
        ("The answer is C", "choice", 0.1, "The answer is B"),
        ("YES, for yes is right", "yes_no", 0.0, "NO, for no is right"),
        ("Paris", "text", 0.0, "Parij"),
        ("Ответ: Москва", "text", 0.5, "Ответ: Москве"),
        ("no number", "number", 0.0, None),
        ("?!", "text", 0.0, None),
    ],
)
def test_a_slip_by_hand(text: str, kind: Any, chance: float, wanted: str | None) -> None:
    assert slip(text, Answers(Answer(kind=kind)), chance) == wanted


@pytest.mark.parametrize(
    ("how", "begins"),
    [
        (Answer(kind="number"), "The answer is 42"),
        (Answer(kind="number", after="####"), "No 7. #### 42"),
        (Answer(kind="short"), "Paris\n"),
        (Answer(kind="choice"), "The answer is B"),
        (Answer(kind="regex", pattern=r"answer: (\w+)"), "answer: Paris"),
    ],
)
def test_an_answer_that_comes_before_a_long_tail_gets_its_slip(how: Answer, begins: str) -> None:
    tail = " since everybody in that town voted for it twice, and nobody who was asked could name another one"
    other = slip(begins + tail, Answers(how), 0.5)
    assert other is not None and other.endswith(tail) and Answers(how).read(other) != Answers(how).read(begins + tail)
    assert other[: len(begins)] != begins


def test_half_of_the_items_get_a_slip_each_by_its_own_draw() -> None:
    said, wrong = Solver().ask(ITEMS), made(Symmetric(kind="symmetric", rate=0.5, seed=3))
    told = wrong.ask(ITEMS)
    assert told.texts is not None and said.texts is not None
    hit = [one != other for one, other in zip(told.texts, said.texts, strict=True)]
    assert 120 < sum(hit) < 180
    for row, struck in enumerate(hit):
        assert told.texts[row][1] == "no idea", "a text without an answer cannot be made wrong"
        assert (NUMBER.read(told.texts[row][0]) != str(row)) == struck
    assert told.cost is not None and told.notes == {NO_ANSWER: len(IDS)} and wrong.space == OPEN
    again = wrong.ask(ITEMS)
    assert again.texts == told.texts and wrong.fingerprint != Solver.fingerprint
    assert made(Symmetric(kind="symmetric", rate=0.5, seed=4)).ask(ITEMS).texts != told.texts


def test_an_item_is_told_alike_whatever_it_is_asked_beside() -> None:
    class Same(Solver):
        def ask(self, items: Items) -> Evidence:
            return NUMBER.evidence(self.name, items.ids, [[f"{one[1:]}"] for one in items.ids])

    wrong = SimulatedTeacher(Same(), NearClone(kind="near-clone", rate=0.7), answers=NUMBER)
    whole, alone = wrong.ask(ITEMS), wrong.ask(ITEMS.select([7, 3]))
    assert whole.texts is not None and alone.texts == [whole.texts[7], whole.texts[3]]


def test_notes_of_the_teacher_stay_and_nothing_is_counted_twice() -> None:
    """A teacher's items that were never bought have no texts and are no missing answers."""

    class Poor(Solver):
        def ask(self, items: Items) -> Evidence:
            said = NUMBER.evidence(self.name, items.ids, [["7"] for _ in items.ids[:-2]] + [[], []])
            return replace(said, notes={"not bought: cap": 2})

    wrong = SimulatedTeacher(Poor(), Symmetric(kind="symmetric", rate=0.5), answers=NUMBER)
    assert wrong.ask(ITEMS).notes == {"not bought: cap": 2}


def test_clones_of_a_writer_slip_apart() -> None:
    one, other = (each.ask(ITEMS).texts for each in clones(Solver(), 2, rate=0.5, answers=NUMBER))
    assert one != other


def test_a_teacher_without_texts_is_refused() -> None:
    class Classes(Solver):
        def ask(self, items: Items) -> Evidence:
            return replace(super().ask(items), texts=None)

    wrong = SimulatedTeacher(Classes(), Symmetric(kind="symmetric"), answers=NUMBER)
    with pytest.raises(TeacherError, match="solver wrote no texts"):
        wrong.ask(ITEMS)


def test_what_is_withheld_is_not_there() -> None:
    told = made(Abstaining(kind="abstaining", rate=0.5)).ask(ITEMS)
    assert told.texts is not None
    gone = torch.tensor([not one for one in told.texts])
    assert 120 < int(gone.sum()) < 180 and (told.claims[:, gone] == -1).all() and (told.claims[0, ~gone] >= 0).all()


def test_an_answer_that_no_slip_changes_is_withheld_and_counted() -> None:
    class Mute(Solver):
        def ask(self, items: Items) -> Evidence:
            return TEXT.evidence(self.name, items.ids, [["?!"]] * len(items))

    told = SimulatedTeacher(Mute(), Symmetric(kind="symmetric", rate=1.0), answers=TEXT).ask(ITEMS)
    assert told.texts == [[]] * len(IDS) and told.notes[NO_SLIP] == len(IDS)


def test_kinds_that_need_classes_are_refused() -> None:
    with pytest.raises(TeacherError, match=r"pairwise needs classes; legal are symmetric, near-clone and abstaining"):
        made(Pairwise(kind="pairwise"))


def test_a_recipe_of_open_answers_takes_wrong(tmp_path: Path) -> None:
    """And one that names a kind that needs classes is refused as it is read."""
    rows = [{"id": f"q{row}", "prompt": f"{row} and 1?", "said": f"It is {row + 1}."} for row in range(40)]
    (tmp_path / "pool.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    raw: dict[str, Any] = {
        "task": "generation",
        "answer": {"kind": "number"},
        "data": {"pool": {"path": str(tmp_path / "pool.jsonl"), "id": "id"}},
        "teachers": [{"kind": "recorded", "name": "past", "column": "said", "wrong": {"kind": "symmetric", "rate": 1.0}}],
        "student": {"kind": "causal", "config": {"model_type": "gpt2"}},
        "output_dir": str(tmp_path / "run"),
    }
    with opened(parse_recipe(raw)) as (run, task):
        told = run.ask(run.teachers[0], task.pool)
        assert told.texts is not None and task.answers is not None
        for row, (text,) in enumerate(told.texts):
            assert text.startswith("It is ") and task.answers.read(text) not in (None, str(row + 1))
        assert "made wrong on purpose" in run.teachers[0].simulated  # type: ignore[attr-defined]
    raw["teachers"][0]["wrong"] = {"kind": "adversary"}
    with pytest.raises(RecipeError, match="is adversary, which is for classes; task generation takes symmetric"):
        parse_recipe(raw)
