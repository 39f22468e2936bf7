"""Recipes: which keys and values are legal, and how a wrong one is refused in one sentence that quotes no secret."""

from __future__ import annotations

import traceback
from typing import Any

import pytest
import yaml

from distrust.errors import RecipeError
from distrust.recipe import Classifier, Endpoint, NgramStudent, Recipe, Recorded
from distrust.recipe_file import parse_recipe
from tests.recipe.raw import LLM, POOL, recipe, refusal


def test_the_smallest_recipe_has_a_default_for_everything_else() -> None:
    small = parse_recipe(recipe())
    assert isinstance(small.student, NgramStudent) and small.method.name == "distill" and small.teachers == []


def test_teachers_are_told_apart_by_their_kind() -> None:
    teachers = [{"kind": "recorded", "name": "old"}, {"kind": "classifier", "name": "local", "model": "folder"}, LLM]
    parsed = parse_recipe(recipe(teachers=teachers)).teachers
    assert [type(one) for one in parsed] == [Recorded, Classifier, Endpoint]


def test_a_recipe_survives_being_saved_and_read_again() -> None:
    raw = recipe(
        teachers=[LLM | {"api_key": "${KEY}", "price": {"per_call": 0.1}}], labels=["a", "b"], student={"kind": "ngram"}
    )
    parsed = parse_recipe(raw)
    saved = yaml.safe_dump(parsed.model_dump(mode="json"))
    assert parse_recipe(yaml.safe_load(saved)) == parsed and "${KEY}" in saved


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        (recipe(teachrs=[]), "The recipe has an unknown key 'teachrs'; did you mean 'teachers'? legal are data, "),
        (recipe(train={"learning_rat": 1}), "unknown key 'train.learning_rat'; did you mean 'learning_rate'?"),
        (recipe(teachers=[LLM | {"modle": "x"}]), "unknown key 'teachers.0.modle'; did you mean 'model'?"),
        (
            recipe(teachers=[LLM | {"price": {"per_cal": 1}}]),
            "unknown key 'teachers.0.price.per_cal'; did you mean 'per_call'?",
        ),
        (recipe(student={"kind": "ngram", "bucket": 1}), "unknown key 'student.bucket'; did you mean 'buckets'?"),
        ({"data": POOL | {"tset": None}}, "unknown key 'data.tset'; did you mean 'test'?"),
        ({"data": {"pool": {"pth": "x"}}}, "unknown key 'data.pool.pth'; did you mean 'path'?"),  # not "lacks path"
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest_right_one(raw: dict[str, Any], sentence: str) -> None:
    assert sentence in refusal(raw)


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        ({}, "The recipe lacks the key 'data'."),
        (recipe(teachers=[{"kind": "recorded"}]), "The recipe lacks the key 'teachers.0.name'."),
        (
            recipe(teachers=[LLM | {"kind": "endpont"}]),
            "The recipe's teachers.0 has an unknown kind 'endpont'; did you mean 'endpoint'? "
            "legal are recorded, classifier, endpoint, causal.",
        ),
        (
            recipe(teachers=[{"name": "a"}]),
            "The recipe's teachers.0 lacks the key 'kind'; legal are recorded, classifier, endpoint, causal.",
        ),
        (recipe(student={"kind": "causal", "vocabulry": 9}), "unknown key 'student.vocabulry'; did you mean 'vocabulary'?"),
        (recipe(student={"kind": "ngrams"}), "The recipe's student has an unknown kind 'ngrams'; did you mean 'ngram'?"),
        (
            recipe(student={"dropout": 0.1}),
            "The recipe's student lacks the key 'kind'; legal are ngram, transformer, causal.",
        ),
        (recipe(teachers={"llm": LLM}), "The recipe's teachers: must be a list."),
        (recipe(teachers=["llm"]), "The recipe's teachers.0: must hold keys, each with a value."),
        ({"data": "pool.csv"}, "The recipe's data: must hold keys, each with a value."),
        (recipe(labels=[True, "b"]), "The recipe's labels.0: must be text; put it in quotes."),
        (recipe(seed=1.5), "The recipe's seed: must be a whole number."),
        (recipe(train={"learning_rate": "fast"}), "The recipe's train.learning_rate: must be a number."),
        (recipe(train={"bf16": "perhaps"}), "The recipe's train.bf16: must be true or false."),
        (recipe(train={"num_train_epochs": 0}), "The recipe's train.num_train_epochs: input should be greater than 0."),
        (recipe(train={"lr_scheduler_type": "x"}), "input should be 'linear', 'cosine' or 'constant'."),
        (recipe(budget={"money": float("nan")}), "The recipe's budget.money: input should be a"),
        (recipe(budget={"money": float("inf")}), "The recipe's budget.money: input should be a finite number."),
        (recipe(budget={"calls": -1}), "The recipe's budget.calls: input should be greater than or equal to 0."),
        (
            recipe(gold={"reserve": {"prompt": -1}}),
            "The recipe's gold.reserve.prompt: input should be greater than or equal",
        ),
        (recipe(teachers=[{"kind": "recorded", "name": ""}]), "The recipe's teachers.0.name: string should have at least 1"),
        (recipe(student={"kind": "transformer"}), "The recipe's student: give either `model` (pretrained) or `config`"),
        ({1: 2, "data": POOL}, "keys should be strings"),
    ],
)
def test_what_is_wrong_is_said_in_one_plain_sentence(raw: dict[str, Any], sentence: str) -> None:
    said = refusal(raw)
    assert sentence in said and "\n" not in said and said.endswith(".")


@pytest.mark.parametrize(
    "key", ["sk-12345", "${sk-12345}", "${A}sk-12345${B}", "Bearer ${sk-12345}", 12345, ["sk-12345"], ""]
)
def test_a_key_itself_is_refused_and_never_quoted(key: object) -> None:
    with pytest.raises(RecipeError) as caught:
        parse_recipe(recipe(teachers=[LLM | {"api_key": key}]))
    assert "api_key" in str(caught.value)
    assert "12345" not in "".join(traceback.format_exception(caught.value))


def test_a_recipe_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        parse_recipe(recipe()).seed = 1  # type: ignore[misc]


def test_defaults_are_legal_themselves() -> None:
    raw = Recipe.model_validate(recipe()).model_dump(mode="json")
    assert parse_recipe(raw) == parse_recipe(recipe())
