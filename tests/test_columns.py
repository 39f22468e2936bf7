"""What columns are taken for: tables as people have them, and tables that mislead."""

from __future__ import annotations

from typing import Any

import pytest

from distrust.columns import Columns, look
from distrust.errors import DataError

TEXTS = [f"a sentence about the thing number {number} and more" for number in range(40)]
GOLD: list[Any] = ["spam", "ham"] * 5 + [""] * 30
SAID = ["spam", "spam", "ham", "ham"] * 10


def taken(**table: list[Any]) -> Columns:
    return look(table, "t.csv")


def test_a_usual_table() -> None:
    found = taken(
        key=[f"k{number}" for number in range(40)],
        text=TEXTS,
        label=GOLD,
        gpt4_label=SAID,
        gpt4_confidence=[number / 40 for number in range(40)],
        gpt4_rationale=[
            f"because it says {number}, and that at such length that no text here is as long" for number in range(40)
        ],
    )
    assert (found.rows, found.text, found.text_pair, found.id, found.gold) == (40, "text", None, "key", "label")
    (teacher,) = found.teachers
    assert (teacher.name, teacher.column) == ("gpt4", "gpt4_label")
    assert (teacher.confidence, teacher.rationale, teacher.spellings) == ("gpt4_confidence", "gpt4_rationale", {})
    assert list(found.reasons) == ["key", "text", "label", "gpt4_label", "gpt4_confidence", "gpt4_rationale"]
    assert found.reasons["label"] == ("gold", "2 distinct values; 10 of 40 rows have one")
    assert found.counts == {"label": {"spam": 5, "ham": 5}, "gpt4_label": {"spam": 20, "ham": 20}}


@pytest.mark.parametrize("first, second", [("premise", "hypothesis"), ("Sentence1", "sentence2"), ("text", "text_pair")])
def test_pairs_are_known_by_both_names(first: str, second: str) -> None:
    found = taken(**{second: TEXTS[::-1], first: TEXTS, "label": GOLD})
    assert (found.text, found.text_pair) == (first, second)


def test_a_text_by_its_length_when_no_name_says_it() -> None:
    found = taken(
        headline=["short words", *TEXTS[1:]], lead=[f"{text}, {text}" for text in TEXTS], reason=[text * 9 for text in TEXTS]
    )
    assert found.text == "lead" and found.reasons["reason"][0] == "not used"


@pytest.mark.parametrize(
    "table, gold",
    [
        ({"category": SAID, "model_label": SAID}, "category"),
        ({"label": SAID, "gold": GOLD}, "gold"),
        ({"is_spam": SAID}, "is_spam"),
        ({"checked": GOLD, "llm": SAID}, "checked"),  # no name says it, but it speaks the teacher's words
        ({"split": ["train", "test"] * 20}, None),
        ({"shop": ["a", "b"] * 20, "size": ["s", "m"] * 20}, None),
        ({"llm": SAID}, None),
        ({"label": [["spam"], ["ham"]] * 20}, None),
    ],
)
def test_gold_is_what_a_person_seems_to_have_labelled(table: dict[str, list[Any]], gold: str | None) -> None:
    assert taken(text=TEXTS, **table).gold == gold


def test_teachers_speak_golds_words() -> None:
    found = taken(
        text=TEXTS,
        label=GOLD,
        gpt_label=SAID,
        claude=["Spam ", "HAM"] * 20,
        rules=[["spam", "ham"], []] * 20,
        model=["positive", "negative"] * 20,
        colour=["red", "blue"] * 20,
    )
    assert [teacher.column for teacher in found.teachers] == ["gpt_label", "claude", "rules"]
    assert found.reasons["model"] == ("not used", "named like a teacher's, but it shares no value with label")
    assert found.reasons["colour"][0] == "not used"


def test_what_a_teacher_says_besides_goes_to_the_teacher_it_is_named_after() -> None:
    found = taken(
        text=TEXTS, label=GOLD, gpt_label=SAID, bert_label=SAID, conf=[0.5] * 40, bert_score=[0.5] * 40, gpt_cot=TEXTS[::-1]
    )
    said = {teacher.name: (teacher.confidence, teacher.rationale) for teacher in found.teachers}
    assert said == {"gpt": (None, "gpt_cot"), "bert": ("bert_score", None)}


def test_teachers_have_names_of_their_own() -> None:
    found = taken(text=TEXTS, label=GOLD, gpt_label=SAID, gpt_answer=SAID)
    assert [teacher.name for teacher in found.teachers] == ["gpt_label", "gpt_answer"]


def test_numbers_written_in_two_ways_are_one_label() -> None:
    found = taken(text=TEXTS, label=[1.0, 0.0] * 5 + [None] * 30, llm=["1", "0"] * 20)
    assert found.teachers[0].spellings == {"1": "1.0", "0": "0.0"}


@pytest.mark.parametrize(
    "ids, why",
    [
        (["a"] * 40, "some stand there twice"),
        ([f"k{number}" for number in range(39)] + [None], "some rows have none"),
        (TEXTS, "too long or a broken number"),
    ],
)
def test_an_id_that_is_none_is_not_used(ids: list[Any], why: str) -> None:
    found = taken(text=TEXTS[::-1], id=ids)
    assert found.id is None and found.reasons["id"] == ("not used", f"named like an id, but {why}")


def test_measurements_are_no_ids() -> None:
    assert taken(text=TEXTS, price=[str(number + 0.5) for number in range(40)]).id is None
    assert taken(text=TEXTS, score=[str(number) for number in range(40)]).id is None


def test_a_table_without_texts_or_rows_is_refused() -> None:
    with pytest.raises(
        DataError, match=r"No column of t.csv looks like texts .*; name it `text`; did you mean 'texte'\? it has"
    ):
        taken(texte=["1", "2"], n=[1, 2])
    with pytest.raises(DataError, match=r"t.csv has no rows\."):
        taken(text=[])
