"""Tokenizers made of the pool: special tokens as the kind of model expects them, and no text that cannot be read."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from distrust.data import Items
from distrust.errors import DataError, RecipeError
from distrust.students.vocabulary import BYTES, train_tokenizer, train_writer
from tests.models import texts

POOL = texts(40)
MADE: dict[str, Any] = {kind: train_tokenizer(POOL, kind, 300) for kind in ("bert", "roberta")}
TOLD = [f"{POOL.text(row)}{' 2024' * 20}" for row in range(40)]
WRITER = train_writer(TOLD, "llama", 300)


def items(*inputs: Any) -> Items:
    return Items(tuple(map(str, range(len(inputs)))), inputs)


@settings(max_examples=25)
@given(st.text(), st.text())
def test_every_text_and_pair_has_tokens_and_none_is_unknown(first: str, second: str) -> None:
    for tokenizer in MADE.values():
        for read in (tokenizer(first), tokenizer(first, second)):
            ids = read["input_ids"]
            assert ids[0] == tokenizer.cls_token_id and ids[-1] == tokenizer.sep_token_id
            assert max(ids) < len(tokenizer)
            assert tokenizer.unk_token_id not in ids or "unk" in f"{first} {second}".lower(), "unless it is spelt out"


def test_kinds_get_the_special_tokens_and_inputs_that_they_came_with() -> None:
    for kind, cls, types in (("electra", "[CLS]", True), ("deberta-v2", "<s>", False), ("gpt2", "<s>", False)):
        tokenizer = train_tokenizer(POOL, kind, 300)
        assert tokenizer.cls_token == cls and ("token_type_ids" in tokenizer("a", "b")) is types
        assert tokenizer.pad_token_id is not None and len(set(tokenizer.all_special_ids)) == 5
    assert MADE["bert"]("WHEAT")["input_ids"] == MADE["bert"]("wheat")["input_ids"]
    assert MADE["roberta"]("WHEAT")["input_ids"] != MADE["roberta"]("wheat")["input_ids"]


def test_both_texts_of_pairs_are_learned_and_the_same_texts_are_the_same_tokens() -> None:
    flat = items(*[word for row in range(40) for word in POOL.text(row).split()])
    pairs = items(*[(flat.text(row), flat.text(row + 1)) for row in range(0, len(flat) - 1, 2)])
    states = [
        train_tokenizer(pool, "bert", 300).backend_tokenizer.to_str() for pool in (flat.select(range(2 * len(pairs))), pairs)
    ]
    assert states[0] == states[1] == train_tokenizer(pairs, "bert", 300).backend_tokenizer.to_str()
    again = train_writer(TOLD, "llama", 300)
    assert again.backend_tokenizer.to_str() == WRITER.backend_tokenizer.to_str()


@pytest.mark.parametrize("kind", ["bert", "roberta", "llama"])
def test_the_least_vocabulary_is_all_bytes_and_one_less_is_refused(kind: str) -> None:
    special = 3 if kind == "llama" else 5

    def train(size: int) -> Any:
        return train_writer(["a b a b"], kind, size) if kind == "llama" else train_tokenizer(items("a b a b"), kind, size)

    assert len(train(special + BYTES)) == special + BYTES
    with pytest.raises(RecipeError, match=f"vocabulary of {special + BYTES - 1} is too small; a {kind} needs at least"):
        train(special + BYTES - 1)


@pytest.mark.parametrize("nothing", [(), ("",), (" ", "\n\t")])
def test_no_text_is_a_sentence(nothing: tuple[str, ...]) -> None:
    for train in (lambda: train_tokenizer(items(*nothing), "bert", 300), lambda: train_writer(nothing, "llama", 300)):
        with pytest.raises(RecipeError, match="There is no text to train the student's tokenizer on; give it a `tokenizer`"):
            train()


def test_tensors_are_a_sentence() -> None:
    with pytest.raises(DataError, match="trained on texts and the items are tensors"):
        train_tokenizer(Items(("a",), torch.zeros(1, 2)), "bert", 300)


@settings(max_examples=25)
@given(st.from_regex(r"[0-9]{1,12}", fullmatch=True))
def test_a_writers_digits_are_a_token_each(number: str) -> None:
    for one in (number, "2024"):
        assert len(WRITER(one, add_special_tokens=False)["input_ids"]) == len(one)
