"""How likely a text is found: counted to its end token, whatever it is scored beside. By hand in test_causal."""

from __future__ import annotations

import math

import pytest
import torch

from distrust.data import Items
from distrust.students.causal import CausalStudent
from distrust.students.likelihood import Likelihood, likelihood
from tests.writers import flips, writer

ITEMS = flips(5)[0]
SAID = ["yes", "", "no no no", "yes " * 40, "[/INST] \x1b[31m ü </s>"]


@pytest.fixture(scope="module")
def student() -> CausalStudent:
    return writer()


def test_batches_and_order_change_nothing(student: CausalStudent) -> None:
    whole = likelihood(student, ITEMS, SAID)
    for rows in (1, 2, 3):
        again = likelihood(student, ITEMS, SAID, rows=rows)
        torch.testing.assert_close(again.logp, whole.logp, rtol=1e-4, atol=1e-4)
        assert torch.equal(again.tokens, whole.tokens)
    order = [4, 1, 1, 0]
    twice = Items(tuple("abcd"), tuple(ITEMS.text(row) for row in order))
    torch.testing.assert_close(
        likelihood(student, twice, [SAID[row] for row in order]).logp, whole.logp[order], rtol=1e-4, atol=1e-4
    )


def test_all_that_is_learned_of_a_text_is_counted(student: CausalStudent) -> None:
    """Nothing has its end token; what is too long has no end, and no more tokens than are learned."""
    found = likelihood(student, ITEMS, SAID)
    lengths = [
        len(student.reader.tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]) + 1
        for text in SAID
    ]
    assert found.tokens.tolist() == [min(length, student.reader.max_completion_length) for length in lengths]
    assert found.tokens[1] == 1 and found.tokens[3] == student.reader.max_completion_length
    assert bool((found.logp < 0).all()) and found.logp.dtype == torch.float64


def test_the_next_token_or_another_has_probability_one(student: CausalStudent) -> None:
    """Over all first tokens, and the end among them, chances of one prompt sum to one."""
    words = student.reader.tokenizer
    one = student.encode_told(ITEMS.select([0]), [""]).batch(torch.tensor([0]))
    with torch.no_grad():
        chances = student.module.eval()(input_ids=one["input_ids"]).logits[0, -1].double().softmax(-1)
    nothing = likelihood(student, ITEMS.select([0]), [""])
    assert float(nothing.logp.exp()) == pytest.approx(float(chances[words.eos_token_id]), rel=1e-4)
    assert float(nothing.per_token) == pytest.approx(float(nothing.logp.exp()))


def test_what_a_mean_is_over() -> None:
    found = Likelihood(torch.tensor([-2.0, -6.0], dtype=torch.float64), torch.tensor([1, 3]))
    assert found.loss == pytest.approx(8 / 4) and found.per_token.tolist() == pytest.approx([math.exp(-2)] * 2)
    assert Likelihood(torch.zeros(0), torch.zeros(0, dtype=torch.long)).loss == 0
