"""Who is asked: prices that are known or not, judges, and teachers that could not be asked as they are described."""

from __future__ import annotations

from typing import Any

import pytest

from distrust.recipe import Endpoint, Price, is_judge
from distrust.recipe.asked import OF_CLASSES
from distrust.recipe_file import TEACHERS, parse_recipe
from tests.recipe.raw import LLM, recipe, refusal

WRITER: dict[str, Any] = {"kind": "causal", "name": "w", "model": "m"}
OPEN: dict[str, Any] = {"task": "generation", "student": {"kind": "causal", "model": "m"}}


@pytest.mark.parametrize(
    ("given", "known"),
    [
        ({}, False),
        ({"per_call": 0}, True),
        ({"per_million_prompt_tokens": 1}, False),
        ({"per_million_completion_tokens": 1}, False),
        ({"per_call": 1, "per_million_prompt_tokens": 1}, False),
        ({"per_million_prompt_tokens": 0, "per_million_completion_tokens": 0}, True),
        ({"per_call": 1, "per_million_prompt_tokens": 1, "per_million_completion_tokens": 1}, True),
    ],
)
def test_a_price_is_known_where_any_call_can_be_priced(given: dict[str, float], known: bool) -> None:
    assert Price(**given).known is known


@pytest.mark.parametrize(
    ("knows", "judge"), [(["True", "False"], True), (["False", "True"], False), (["true", "false"], False), (None, False)]
)
def test_only_true_and_false_make_a_judge(knows: list[str] | None, judge: bool) -> None:
    assert is_judge(Endpoint.model_validate(LLM | {"knows": knows})) is judge
    recorded = parse_recipe(recipe(teachers=[{"kind": "recorded", "name": "old", "knows": ["True", "False"]}]))
    assert not is_judge(recorded.teachers[0])


@pytest.mark.parametrize(
    ("teacher", "sentence"),
    [
        (WRITER | {"template": "Say something"}, "The recipe's teachers.0: `template` names {prompt} once."),
        (WRITER | {"template": "{prompt}{prompt}"}, "`template` names {prompt} once"),
        (LLM | {"few_shot": 1, "prompt": "{{examples}} {text}"}, "`few_shot` reserves gold for `{examples}`"),
        (LLM | {"samples": 0}, "teachers.0.samples: input should be greater than 0"),
        (LLM | {"top_p": 1.5}, "teachers.0.top_p: input should be less than or equal to 1"),
        (LLM | {"logprobs": 21}, "teachers.0.logprobs: input should be less than or equal to 20"),
        (LLM | {"api": "responses"}, "teachers.0.api: input should be 'chat' or 'completions'"),
        (LLM | {"knows": []}, "teachers.0.knows: list should have at least 1 item"),
        (
            {"kind": "classifier", "name": "c", "model": "m", "head": ["a"]},
            "`head` goes with a `feature` that names a module",
        ),
        (
            {"kind": "classifier", "name": "c", "model": "m", "head": ["a"], "feature": "auto"},
            "`head` goes with a `feature` that names a module; `auto` finds its own",
        ),
    ],
)
def test_a_teacher_that_cannot_be_asked_so_is_refused(teacher: dict[str, Any], sentence: str) -> None:
    task = OPEN if teacher["kind"] == "causal" else {}
    assert sentence in refusal(recipe(**task, teachers=[teacher]))


def test_an_assistant_of_this_process_is_held_to_the_same_template() -> None:
    assert "The recipe's assistant: `template` names {prompt} once." in refusal(recipe(assistant=WRITER | {"template": ""}))


def test_what_a_run_saves_of_open_answers_is_read_again() -> None:
    """Every key is written down then, those of classes too, each as it is by default."""
    assert OF_CLASSES.keys() == TEACHERS.keys() - {"classifier"}  # which writes nothing
    assert all(set(names) <= TEACHERS[kind].model_fields.keys() for kind, names in OF_CLASSES.items())
    teachers = [LLM | {"prompt": "{text}"}, {"kind": "recorded", "name": "old"}, WRITER]
    made = parse_recipe(recipe(**OPEN, teachers=teachers))
    assert parse_recipe(made.model_dump(mode="json")) == made
