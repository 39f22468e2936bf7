"""How closely a student follows a language model, against a naive loop in double precision."""

from __future__ import annotations

import math

import pytest
import torch

from distrust.errors import DataError
from distrust.evaluate.following import distinct, excess_error, following, own_words
from tests import writers
from tests.methods import tutored

ITEMS, ANSWERS = writers.flips(5)


def test_figures_are_those_of_a_naive_loop() -> None:
    student, teacher = tutored.student(), tutored.teacher().model
    said = student.reader.completions([answer + " it is" * (row % 3) for row, answer in enumerate(ANSWERS)])[0]
    kl, same, nll, teacher_nll, count = 0.0, 0, 0.0, 0.0, 0
    for row, ids in enumerate(said):
        prompt = student.encode(ITEMS).batch(torch.tensor([row]))["input_ids"]
        whole = torch.cat([prompt, torch.tensor([ids])], 1)
        with torch.no_grad():
            q, p = (
                one.module.eval()(input_ids=whole).logits[0, prompt.shape[1] - 1 : -1].double().log_softmax(-1)
                for one in (student, teacher)
            )
        for place, token in enumerate(ids):
            kl += float((p[place].exp() * (p[place] - q[place])).sum())
            same += int(p[place].argmax() == q[place].argmax())
            nll, teacher_nll, count = nll - float(q[place, token]), teacher_nll - float(p[place, token]), count + 1
    for rows in (2, 64):
        found = following(student, teacher, ITEMS, said, rows)
        assert found.tokens == count and found.agreement == pytest.approx(same / count)
        assert found.kl == pytest.approx(kl / count, rel=1e-4)
        assert (found.nll, found.teacher_nll) == pytest.approx((nll / count, teacher_nll / count), rel=1e-4)


def test_a_model_follows_itself_and_leaves_its_mode_alone() -> None:
    teacher = tutored.teacher().model
    teacher.module.train()
    said = own_words(teacher, ITEMS)
    found = following(teacher, teacher, ITEMS, said)
    assert found.kl == pytest.approx(0, abs=1e-6) and found.agreement == 1 and teacher.module.training


def test_own_words_are_of_the_item_and_the_seed_alone() -> None:
    teacher = tutored.teacher().model
    said = own_words(teacher, ITEMS, seed=3)
    assert said == own_words(teacher, ITEMS, seed=3)
    assert said[2:4] == own_words(teacher, ITEMS.select([2, 3]), seed=3)
    end, limit = teacher.reader.tokenizer.eos_token_id, teacher.reader.max_completion_length
    assert all(len(ids) <= limit and end not in ids[:-1] for ids in said)


def test_excess_error_and_distinct_words() -> None:
    assert excess_error(0.3, 0.2) == pytest.approx(50)
    assert excess_error(0.2, 0.2) == 0
    with pytest.raises(DataError, match="one above 0"):
        excess_error(0.1, 0.0)
    assert distinct(["a b a b", "a b"]) == pytest.approx(2 / 4)
    assert distinct(["a a", "b"], 1) == pytest.approx(2 / 3)
    assert math.isnan(distinct(["a"]))
    with pytest.raises(DataError, match="give one or more"):
        following(tutored.student(), tutored.teacher().model, ITEMS.select([]), [])
