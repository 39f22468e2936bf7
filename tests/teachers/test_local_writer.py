"""A language model of this process as a teacher: what it writes and judges is its own, and known by its fingerprint."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from distrust.assistant import TRUTH
from distrust.data import Items
from distrust.evidence import Dense
from distrust.labels import OPEN
from distrust.students.causal import CausalStudent
from distrust.students.likelihood import likelihood
from distrust.students.sampling import Sampling, generate
from distrust.teachers.local_writer import ROWS, LocalWriter
from tests.writers import flips, writer

ITEMS = flips(6)[0]


@pytest.fixture(scope="module")
def model() -> CausalStudent:
    return writer()


def test_texts_are_the_models_and_do_not_depend_on_what_they_are_asked_beside(model: CausalStudent) -> None:
    teacher = LocalWriter("w", model, Sampling(samples=3, temperature=0.8))
    said = teacher.ask(ITEMS)
    assert (said.source, said.ids, teacher.space, teacher.keeps_answers) == ("w", ITEMS.ids, OPEN, False)
    assert said.claims.shape == (3, 6) and said.cost is not None and not bool(said.cost.money.any())
    wanted = generate(model, ITEMS, samples=3, temperature=0.8).texts
    assert [list(one) for one in said.texts or ()] == wanted
    order = [4, 0]
    part = teacher.ask(ITEMS.select(order))
    assert [list(one) for one in part.texts or ()] == [wanted[row] for row in order]
    many = Items(tuple(map(str, range(ROWS + 3))), tuple("Heads up." for _ in range(ROWS + 3)))
    assert len({tuple(one) for one in LocalWriter("w", model, Sampling()).ask(many).texts or ()}) == 1
    assert teacher.ask(ITEMS.select([])).claims.shape[1] == 0


def test_a_judge_weighs_two_words_of_questions_as_they_stand(model: CausalStudent) -> None:
    asked = Items(("a", "b", "c"), ("Is it so?", "Is it \x1b[31m not?", ""))
    judge = LocalWriter("j", model, None)
    said = judge.ask(asked)
    assert said.space == judge.space == TRUTH and isinstance(said.logits, Dense) and said.texts is None
    by_hand = torch.stack([likelihood(model, asked, [word] * 3).logp for word in (" True", " False")], -1)
    assert torch.equal(said.logits.dense(), by_hand) and torch.equal(said.claims[0], by_hand.argmax(-1))
    assert said.cost is not None and not bool(said.cost.money.any())
    assert judge.ask(asked.select([])).claims.shape == (1, 0)


def test_a_fingerprint_is_of_weights_kind_reading_and_how_it_is_asked(model: CausalStudent) -> None:
    half = writer()
    half.module.to(torch.bfloat16)
    others = [
        LocalWriter("w", model, None),
        LocalWriter("w", model, Sampling()),
        LocalWriter("w", model, Sampling(samples=2)),
        LocalWriter("w", model, Sampling(temperature=0.5)),
        LocalWriter("w", model, Sampling(temperature=0.5, seed=1)),
        LocalWriter("w", writer(seed=1), Sampling()),
        LocalWriter("w", writer(template="{prompt} "), Sampling()),
        LocalWriter("w", writer(max_completion_length=11), Sampling()),
        LocalWriter("w", half, Sampling()),
    ]
    assert len({one.fingerprint for one in others}) == len(others)
    same = LocalWriter("another name", writer(), replace(Sampling()))
    assert same.fingerprint == others[1].fingerprint
