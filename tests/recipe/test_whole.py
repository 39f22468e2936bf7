"""The rules between the parts of a recipe: what goes together, said in one sentence."""

from __future__ import annotations

from typing import Any

import pytest

from distrust.recipe_file import parse_recipe
from tests.recipe.raw import LLM, POOL, recipe, refusal

OPEN: dict[str, Any] = {"task": "generation", "student": {"kind": "causal", "model": "m"}}
WRITER: dict[str, Any] = LLM | {"prompt": "{text}"}


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        (
            recipe(teachers=[{"kind": "causal", "name": "t", "model": "m"}]),
            "the teacher t writes open texts; one is asked for classes by `kind: endpoint`.",
        ),
        (recipe(teachers=[LLM, LLM]), "The recipe: two teachers are named 'llm'; each needs a name of its own."),
        (
            recipe(worth=[50]),
            "The recipe: `worth` is [50]; legal are two numbers of labels or more, rising: [50, 100, 250].",
        ),
        (recipe(worth=[100, 50]), "The recipe: `worth` is [100, 50]; legal are two numbers"),
        (recipe(worth=[0, 50]), "The recipe's worth.0: input should be greater than 0."),
        (recipe(worth=50), "The recipe's worth: must be a list."),
        (recipe(worth=[50, 100]), "The recipe: `worth` is judged on `data.test`; give one, or leave `worth` out."),
        (
            recipe(worth=[50, 100], data=POOL | {"test": POOL["pool"]}),
            "The recipe: `worth` needs gold labels in the pool; name their column in `data.pool.label`.",
        ),
        (
            recipe(worth=[50, 100], data=POOL | {"test": POOL["pool"]}, gold={"path": "gold.csv"}),
            "The recipe: `worth` needs gold labels in the pool; name their column in `data.pool.label`.",
        ),
        (
            recipe(worth=[50, 100], task="generation", student={"kind": "causal", "model": "m"}),
            "The recipe: `worth` is for task classification; leave it out.",
        ),
        (
            recipe(**OPEN, labels=["a"]),
            "`labels` are for task classification; how open answers are read is said under `answer`",
        ),
        (
            recipe(**OPEN, teachers=[{"kind": "classifier", "name": "c", "model": "m"}]),
            "c is a classifier and writes no texts",
        ),
        (recipe(**OPEN, teachers=[LLM]), "the teacher llm needs a `prompt`, such as `{text}`: the default is for labels"),
        (
            recipe(**OPEN, teachers=[WRITER | {"few_shot": 2, "prompt": "{examples}{text}"}]),
            "the teacher llm needs an `example`, such as",
        ),
        (
            recipe(assistant={"kind": "causal", "name": "ta", "model": "m", "says": "answers"}),
            "the assistant ta writes open answers; where there are classes it says `truth`",
        ),
        (recipe(assistant=LLM | {"knows": ["True", "False"]}), "the assistant llm is shown a whole question and says"),
        (recipe(assistant=LLM, teachers=[LLM]), "two teachers are named 'llm'"),
        (recipe(**OPEN, answer={"kind": "regex"}), "`kind: regex` and a `pattern` come together"),
        (recipe(**OPEN, answer={"kind": "regex", "pattern": "("}), "pattern '(' is no regular expression"),
    ],
)
def test_parts_that_do_not_go_together(raw: dict[str, Any], sentence: str) -> None:
    said = refusal(raw)
    assert sentence in said and "\n" not in said and said.endswith(".")


def test_parts_that_do() -> None:
    judge = LLM | {"name": "ta", "knows": ["True", "False"], "prompt": "{text}"}
    whole = parse_recipe(recipe(**OPEN, teachers=[WRITER], assistant=judge, answer={"kind": "regex", "pattern": r"\d+"}))
    assert [one.name for one in whole.asked] == ["llm", "ta"]


@pytest.mark.parametrize(
    ("more", "column"),
    [
        ({}, None),
        ({"gold": {}}, "label"),
        ({"gold": {"label": "y"}}, "y"),
        ({"gold": {"path": "gold.csv"}}, None),
        ({"gold": {"path": "gold.csv"}, "data": {"pool": POOL["pool"] | {"label": "z"}}}, "z"),
    ],
)
def test_where_the_pools_gold_labels_are(more: dict[str, Any], column: str | None) -> None:
    assert parse_recipe(recipe() | more).pool_label == column
