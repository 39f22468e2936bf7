from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distrust.errors import RecipeError
from distrust.labels import LabelSpace
from distrust.recipe import Parse
from distrust.teachers.parse import AMBIGUOUS, NOT_PARSED, OUTSIDE, reader

SPACE = LabelSpace(("spam", "not spam", "C++", "New York"), {"junk": "spam", "NY": "New York"})
NUMBERS = LabelSpace(("1200", "3", "-2.5"))


@pytest.mark.parametrize(
    ("text", "claim", "why"),
    [
        ("spam", 0, ""),
        ("  Spam.\n", 0, ""),
        ("**not spam**", 1, ""),
        ("It is not spam", 1, ""),  # the longer of two overlapping names
        ("This is junk mail", 0, ""),
        ("I would say C++!", 2, ""),
        ("somewhere in new\n york, surely", 3, ""),
        ("spam, or rather not spam", -1, AMBIGUOUS),
        ("spam spam junk", 0, ""),  # one class by two names
        ("spammer", -1, NOT_PARSED),
        ("", -1, NOT_PARSED),
        ('{"label": "not spam", "why": "spam is rude"}', 1, ""),
        ('```json\n{"label": "NY"}\n```', 3, ""),
        ('{"label": "ham"}', -1, OUTSIDE),
        ('{"answer": "spam"}', 0, ""),
        ('{"label": ' * 5000, -1, NOT_PARSED),
    ],
)
def test_label(text: str, claim: int, why: str) -> None:
    assert reader(Parse(), SPACE)(text) == (claim, why)


@pytest.mark.parametrize(
    ("text", "claim", "why"),
    [
        ("B", 1, ""),
        ("b", 1, ""),
        ("(C)", 2, ""),
        ("B) because A is wrong", 1, ""),
        ("A. the first", 0, ""),
        ("I think the answer is C", 2, ""),
        ("Answer: (D)", 3, ""),
        ("I'd go with B", 1, ""),
        ("A or B", -1, AMBIGUOUS),
        ("The answer is A, or the answer is B", -1, AMBIGUOUS),
        ("E", -1, OUTSIDE),
        ("no idea", -1, NOT_PARSED),
    ],
)
def test_choice(text: str, claim: int, why: str) -> None:
    assert reader(Parse(kind="choice"), SPACE)(text) == (claim, why)


@pytest.mark.parametrize(
    ("text", "claim", "why"),
    [
        ("2 + 1 = 3", 1, ""),
        ("3.00", 1, ""),
        ("it is 1,200", 0, ""),
        ("minus: -2.50.", 2, ""),
        ("7", -1, OUTSIDE),
        ("many", -1, NOT_PARSED),
    ],
)
def test_number_is_the_last_one(text: str, claim: int, why: str) -> None:
    assert reader(Parse(kind="number"), NUMBERS)(text) == (claim, why)


def test_pattern_reads_its_group_or_the_whole_match() -> None:
    grouped = reader(Parse(kind="regex", pattern=r"<a>(.*?)</a>"), SPACE)
    assert grouped("x <a> junk </a> <a>NY</a>") == (0, "")
    assert grouped("x <a>ham</a>") == (-1, OUTSIDE)
    assert grouped("spam") == (-1, NOT_PARSED)
    assert reader(Parse(kind="regex", pattern="spam|NY"), SPACE)("NY then") == (3, "")
    assert reader(Parse(kind="regex", pattern="(spam)|(NY)"), SPACE)("NY then") == (-1, NOT_PARSED)


def test_after_reads_what_follows_its_last_occurrence() -> None:
    read = reader(Parse(after="Label:"), SPACE)
    assert read("not spam? Label: spam. Label: NY") == (3, "")
    assert read("spam") == (-1, NOT_PARSED)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        (Parse(kind="regex"), "needs a `pattern`"),
        (Parse(kind="regex", pattern="("), "no regular expression"),
        (
            Parse(kind="regex", pattern="a{99999999999999999999}"),
            "no regular expression: the repetition number is too large",
        ),
        (Parse(kind="number"), "'spam' is none"),
    ],
)
def test_a_parser_that_cannot_work_is_refused(how: Parse, words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        reader(how, SPACE)


KINDS = [Parse(), Parse(kind="choice"), Parse(kind="regex", pattern=r"\w+"), Parse(after=":")]


@given(st.text(), st.sampled_from(KINDS))
def test_any_text_is_a_class_or_an_abstention_with_a_reason(text: str, how: Parse) -> None:
    claim, why = reader(how, SPACE)(text)
    assert (0 <= claim < len(SPACE) and why == "") or (claim == -1 and why in (AMBIGUOUS, NOT_PARSED, OUTSIDE))
    assert reader(how, SPACE)(text) == (claim, why)


@given(st.lists(st.from_regex(r"[a-z]{1,6}( [a-z]{1,6})?", fullmatch=True), min_size=1, max_size=6, unique=True), st.data())
def test_every_label_is_read_back_alone_in_quotes_and_in_json(names: list[str], data: st.DataObject) -> None:
    space = LabelSpace(tuple(names))
    index = data.draw(st.integers(0, len(names) - 1))
    read = reader(Parse(), space)
    for shown in (names[index], f' "{names[index].upper()}".', f'{{"label": "{names[index]}"}}', f"0 {names[index]} 0"):
        assert read(shown) == (index, "")


@given(st.permutations(["spam", "C++", "New York"]), st.sampled_from(["a C++ thing", "new york", "spam and C++", "none"]))
def test_renaming_the_order_of_classes_changes_nothing(names: list[str], text: str) -> None:
    there = reader(Parse(), LabelSpace(tuple(names)))(text)
    here = reader(Parse(), LabelSpace(("spam", "C++", "New York")))(text)
    assert there[1] == here[1]
    assert (names[there[0]] if there[0] >= 0 else None) == (("spam", "C++", "New York")[here[0]] if here[0] >= 0 else None)


@pytest.mark.parametrize(
    "text", ["spam " * 200_000, " " * 1_000_000, "```" + " " * 1_000_000 + "x", "[" * 10**6, "answer " * 150_000]
)
@pytest.mark.parametrize("how", [*KINDS, Parse(kind="number")])
def test_a_megabyte_is_read_at_once(text: str, how: Parse) -> None:
    start = time.process_time()
    reader(how, NUMBERS if how.kind == "number" else SPACE)(text)
    assert time.process_time() - start < 1.0
