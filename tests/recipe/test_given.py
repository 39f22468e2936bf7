"""What is there: tables, gold, and how an open answer is read."""

from __future__ import annotations

from typing import Any

import pytest

from distrust.recipe_file import parse_recipe
from tests.recipe.raw import recipe, refusal

OPEN: dict[str, Any] = {"task": "generation", "student": {"kind": "causal", "model": "m"}}


@pytest.mark.parametrize("pattern", ["a{99999999999999999999}", "(" * 5000 + ")" * 5000, "(?P<a", "[z-a]", "*"])
def test_a_pattern_that_is_none_is_a_sentence_whatever_python_calls_it(pattern: str) -> None:
    said = refusal(recipe(**OPEN, answer={"kind": "regex", "pattern": pattern}))
    assert "is no regular expression: " in said and "\n" not in said


@pytest.mark.parametrize("answer", [{"kind": "regex"}, {"kind": "regex", "pattern": ""}, {"pattern": "a"}, {"pattern": ""}])
def test_a_pattern_and_its_kind_come_together(answer: dict[str, str]) -> None:
    assert "`kind: regex` and a `pattern` come together" in refusal(recipe(**OPEN, answer=answer))


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        ({"data": {}}, "The recipe lacks the key 'data.pool'."),
        ({"data": {"pool": {}}}, "The recipe lacks the key 'data.pool.path'."),
        ({"data": {"pool": {"path": "a.csv", "limit": 0}}}, "data.pool.limit: input should be greater than 0"),
        ({"data": {"pool": {"path": "a.csv", "lable": "x"}}}, "'data.pool.lable'; did you mean 'label'?"),
        (recipe(gold={"size": 0}), "gold.size: input should be greater than 0"),
        (recipe(gold={"reserve": {"prompt": 1.5}}), "gold.reserve.prompt: must be a whole number"),
        (
            recipe(**OPEN, answer={"kind": "letter"}),
            "input should be 'text', 'short', 'number', 'choice', 'yes_no' or 'regex'",
        ),
    ],
)
def test_what_cannot_be_read_is_refused(raw: dict[str, Any], sentence: str) -> None:
    assert sentence in refusal(raw)


def test_a_name_of_a_column_may_be_any_text() -> None:
    odd = "\x1b[31m ü <b>\n"
    assert parse_recipe({"data": {"pool": {"path": "a.csv", "text": odd}}}).data.pool.text == odd
