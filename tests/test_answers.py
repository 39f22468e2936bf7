from __future__ import annotations

import time
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from distrust.answers import NO_ANSWER, Answers, normalise
from distrust.labels import ABSTAIN, Candidates
from distrust.recipe import Answer


def read(text: str, kind: str, **how: Any) -> str | None:
    return Answers(Answer.model_validate({"kind": kind, **how})).read(text)


@pytest.mark.parametrize(
    ("kind", "text", "wanted"),
    [
        ("number", "84 / 2 = 42. The answer is 1,200.50", "1200.5"),
        ("number", "It costs $7.00.", "7"),
        ("number", "-0.0", "0"),
        ("number", "It is +08", "8"),
        ("number", "none", None),
        ("number", "1" * 60 + ".10", "1" * 60 + ".1"),
        ("choice", "So the answer is (d) math", None),
        ("choice", "The answer is D.", "D"),
        ("choice", "b", "B"),
        ("choice", "A or B", None),
        ("yes_no", "The answer is no.", "no"),
        ("yes_no", "Yes, there is no doubt.", "yes"),
        ("yes_no", "There is no coin, so the answer is yes", "yes"),
        ("yes_no", "The answer is yes. Wait: the answer is no", "no"),
        ("yes_no", "it may be yes or no", None),
        ("yes_no", "I know nothing", None),
        ("yes_no", "Answer: Yes", "yes"),
        ("short", "\n\nThe Eiffel Tower!\nQ: what else?", "eiffel tower"),
        ("short", " \n ", None),
        ("text", "A  long\nanswer.", "long answer"),
        ("text", "", None),
        ("text", "?!", "?!"),
        ("text", "the", "the"),
    ],
)
def test_answers_are_read(kind: str, text: str, wanted: str | None) -> None:
    assert read(text, kind) == wanted


def test_only_what_follows_is_read_where_the_recipe_says_so() -> None:
    how = {"after": "####"}
    assert read("2 and 3 #### 5", "number", **how) == "5"
    assert read("2 and 3", "number", **how) is None
    answers = Answers(Answer(kind="number", after="####"))
    assert answers.reference("5") == "5", "a reference may be the bare answer"
    assert answers.reference("1 #### none") is None, "but one that has the words is read as they say"


def test_a_pattern_reads_its_group_or_its_match() -> None:
    assert read("x = [Paris] and [Rome]", "regex", pattern=r"\[(\w+)\]") == "paris"
    assert read("id 17-B", "regex", pattern=r"\d+-[A-Z]") == "17 b"
    assert read("nothing", "regex", pattern=r"(x)?\d") is None
    assert read("7", "regex", pattern=r"(x)?\d") is None, "a group that matched nothing is no answer"
    for wrong in ({"kind": "regex"}, {"kind": "regex", "pattern": "("}, {"kind": "text", "pattern": "x"}):
        with pytest.raises(ValidationError, match=r"pattern"):
            Answer.model_validate(wrong)


@given(st.text(max_size=200), st.sampled_from(["text", "short", "number", "choice", "yes_no"]))
def test_an_answer_read_again_is_itself(text: str, kind: str) -> None:
    said = read(text, kind)
    assert said is None or read(said, kind) == said


@given(st.text(max_size=60))
def test_normalising_is_blind_to_case_blanks_and_repetition_of_itself(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text) == normalise(f"  {text} \n")


@pytest.mark.parametrize("kind", ["text", "short", "number", "choice", "yes_no", "regex"])
@pytest.mark.parametrize("part", ["1,111", "yes no ", "(A) ", "the answer is ", "\n", "'", "9", "a-", "\u202e\x1b[31m"])
def test_hostile_texts_are_read_in_no_time(kind: str, part: str) -> None:
    pattern = {"pattern": r"(\d+)[^\d]*$"} if kind == "regex" else {}
    start = time.process_time()
    read(part * (2_000_000 // len(part)), kind, **pattern)
    assert time.process_time() - start < 2


def test_texts_become_evidence_over_each_items_own_answers() -> None:
    texts = [["The answer is 4.", "so 4", "5"], [], ["no idea", "7.0"]]
    said = Answers(Answer(kind="number")).evidence("llm", ["a", "b", "c"], texts)
    assert said.space == Candidates((("4", "5"), (), ("7",)))
    assert said.claims.T.tolist() == [[0, 0, 1], [ABSTAIN] * 3, [ABSTAIN, 0, ABSTAIN]]
    assert said.texts == texts and said.notes == {NO_ANSWER: 2}
    nobody = Answers(Answer()).evidence("llm", [], [])
    assert nobody.claims.shape == (1, 0) and not nobody.notes
    assert torch.equal(said.select([2]).claims, said.claims[:, [2]])


def test_numbers_for_labels_are_read_as_before() -> None:
    from distrust.labels import LabelSpace
    from distrust.recipe import Parse
    from distrust.teachers.parse import reader

    assert reader(Parse(kind="number"), LabelSpace(("3", "1,200")))("it is 1200.0") == (1, "")
