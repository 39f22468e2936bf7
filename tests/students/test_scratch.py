"""A config from a recipe: each of its mistakes is a sentence, and what it leaves out is the tokenizer's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from distrust.errors import RecipeError
from distrust.students.scratch import ROLES, check_config, make_config, make_model
from tests.models import SIZES, tokenizer

WORDS = tokenizer("roberta")
KINDS = {"bert": 1, "gpt2": 2, "llama": 3}


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        (None, "The student's config lacks its `model_type`; legal are bert, gpt2, llama."),
        ("brt", "has the model_type 'brt', no toy; did you mean 'bert'? legal are bert, gpt2, llama."),
        (["bert"], "has the model_type ['bert'], no toy; "),
        ({}, "has the model_type {}, no toy; "),
        (7, "has the model_type 7, no toy; "),
    ],
)
def test_a_kind_that_is_none(kind: Any, sentence: str) -> None:
    with pytest.raises(RecipeError) as caught:
        check_config({} if kind is None else {"model_type": kind}, KINDS, "toy")
    assert sentence in str(caught.value)


def test_keys_are_the_configs_own_under_either_of_their_names() -> None:
    raw = {"model_type": "gpt2", "n_embd": 32, "num_hidden_layers": 2}
    assert check_config(raw, KINDS, "toy") == "gpt2" and raw == {"n_embd": 32, "num_hidden_layers": 2}
    for odd, near in (("n_emb", "n_embd"), ("id2label", None), ("num_labels", None), ("label2id", None)):
        with pytest.raises(RecipeError, match=f"unknown key '{odd}'" + (f"; did you mean '{near}'" if near else "")):
            check_config({"model_type": "gpt2", odd: 3}, KINDS, "toy")


def test_what_is_left_out_is_the_tokenizers_and_what_is_said_is_kept() -> None:
    config = make_config("bert", dict(SIZES), WORDS, {"num_labels": 5})
    assert config.vocab_size == len(WORDS) and config.num_labels == 5 and config.hidden_size == 32
    assert all(getattr(config, f"{role}_token_id") == getattr(WORDS, f"{role}_token_id") for role in ROLES[:3])
    own = make_config("bert", {**SIZES, "vocab_size": 999, "pad_token_id": 7}, WORDS, {})
    assert (own.vocab_size, own.pad_token_id) == (999, 7)


@pytest.mark.parametrize("size", ["many", None, [300], 300.5, {}])
def test_a_vocabulary_that_is_no_number_is_a_sentence(size: Any) -> None:
    with pytest.raises(RecipeError, match=r"The student's config makes no bert: .*vocab_size.*expected int"):
        make_config("bert", {**SIZES, "vocab_size": size}, WORDS, {})


def test_fewer_embeddings_than_tokens_are_refused() -> None:
    make_config("bert", {"vocab_size": len(WORDS)}, WORDS, {})
    with pytest.raises(RecipeError, match=f"a vocab_size of {len(WORDS) - 1} but its tokenizer has {len(WORDS)} tokens"):
        make_config("bert", {"vocab_size": len(WORDS) - 1}, WORDS, {})


def linear(_: Any) -> torch.nn.Linear:
    return torch.nn.Linear(3, 3)


def fails(error: Exception) -> Callable[[Any], Any]:
    def make(_: Any) -> Any:
        raise error

    return make


def test_weights_are_the_seeds_and_the_global_random_state_is_left() -> None:
    config = make_config("bert", dict(SIZES), WORDS, {})
    before = torch.get_rng_state()
    first, second, other = (make_model(linear, config, seed).weight for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first, second) and not torch.equal(first, other)
    for error in (ValueError("no \x1b[31m\nway"), ZeroDivisionError("no \x1b[31m\nway"), KeyError("no \x1b[31m\nway")):
        with pytest.raises(RecipeError, match="The student's config makes no bert: ") as caught:
            make_model(fails(error), config, 1)
        assert "\x1b" not in str(caught.value) and "\n" not in str(caught.value)
    assert torch.equal(torch.get_rng_state(), before)
