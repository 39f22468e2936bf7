"""What is trained: where a student comes from, what it reads, and the loop's bounds."""

from __future__ import annotations

from typing import Any

import pytest

from distrust.recipe import NgramStudent
from distrust.recipe_file import parse_recipe
from tests.recipe.raw import recipe, refusal

BOTH = "give either `model` (pretrained) or `config` (from scratch)"


@pytest.mark.parametrize("kind", ["transformer", "causal"])
@pytest.mark.parametrize("origin", [{}, {"model": "m", "config": {"model_type": "gpt2"}}])
def test_a_model_comes_from_one_place(kind: str, origin: dict[str, Any]) -> None:
    task = "generation" if kind == "causal" else "classification"
    assert BOTH in refusal(recipe(task=task, student={"kind": kind, **origin}))


@pytest.mark.parametrize("template", ["", "prompt", "{ prompt }", "{prompt} {prompt}"])
def test_a_template_names_the_prompt_once(template: str) -> None:
    student = {"kind": "causal", "model": "m", "template": template}
    assert "student: `template` names {prompt} once" in refusal(recipe(task="generation", student=student))


@pytest.mark.parametrize(
    ("student", "sentence"),
    [
        ({"words": 0, "characters": None}, "set `words` above 0, or `characters`; with neither it reads nothing"),
        ({"characters": [5, 3]}, "a shortest and a longest length, such as [3, 5]"),
        ({"characters": [0, 3]}, "a shortest and a longest length, such as [3, 5]"),
        ({"dropout": 1}, "student.dropout: input should be less than 1"),
        ({"buckets": 0}, "student.buckets: input should be greater than 0"),
    ],
)
def test_an_ngram_student_that_would_read_nothing(student: dict[str, Any], sentence: str) -> None:
    assert sentence in refusal(recipe(student={"kind": "ngram", **student}))


@pytest.mark.parametrize("student", [{"words": 0}, {"characters": None}, {"characters": [1, 1]}])
def test_words_or_characters_are_enough(student: dict[str, Any]) -> None:
    assert isinstance(parse_recipe(recipe(student={"kind": "ngram", **student})).student, NgramStudent)


@pytest.mark.parametrize(
    ("train", "sentence"),
    [
        ({"learning_rate": 0}, "train.learning_rate: input should be greater than 0"),
        ({"warmup_ratio": 1}, "train.warmup_ratio: input should be less than 1"),
        ({"max_grad_norm": 0}, "train.max_grad_norm: input should be greater than 0"),
        ({"early_stopping_patience": 0}, "train.early_stopping_patience: input should be greater than 0"),
        ({"early_stopping_patience": False}, "`early_stopping_patience` is a number, and false is none; leave it out"),
        ({"num_train_epoch": 3}, "did you mean 'num_train_epochs'?"),
    ],
)
def test_a_loop_that_could_not_run(train: dict[str, Any], sentence: str) -> None:
    assert sentence in refusal(recipe(train=train))
