"""How closely a student follows a language model, against a naive loop in double precision."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from distrust.errors import DataError, RunError
from distrust.evaluate.following import distinct, excess_error, following, own_words, read_alike, sampled
from distrust.evaluate.texts import rouge_l
from distrust.losses import linear
from distrust.students.causal import build
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


def test_logits_of_a_few_tokens_at_a_time_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    student, teacher = tutored.student(), tutored.teacher().model
    said = own_words(teacher, ITEMS)
    whole = following(student, teacher, ITEMS, said)
    monkeypatch.setattr(linear, "CHUNK", 2)
    small = following(student, teacher, ITEMS, said)
    assert small.tokens == whole.tokens and small.agreement == whole.agreement
    assert (small.nll, small.teacher_nll) == pytest.approx((whole.nll, whole.teacher_nll), rel=1e-5)


def test_what_a_student_samples_is_judged_seed_by_seed_and_beside_its_teacher() -> None:
    student, teacher = tutored.student(), read_alike("big", tutored.teacher().model, tutored.student())
    found = sampled(student, ITEMS, ANSWERS, 2, {"big": teacher})
    written = [own_words(student, ITEMS, seed=seed) for seed in range(2)]
    decode = student.reader.tokenizer.decode
    texts = [[decode(ids, skip_special_tokens=True) for ids in one] for one in written]
    alike = [sum(rouge_l(text, want) for text, want in zip(one, ANSWERS, strict=True)) / 5 for one in texts]
    spread = found["rouge_l"]
    assert (spread.value, spread.least, spread.most) == pytest.approx((sum(alike) / 2, min(alike), max(alike)))
    assert found["distinct_2"].value == pytest.approx(sum(distinct(one) for one in texts) / 2, nan_ok=True)
    own = [following(student, teacher, ITEMS, one).kl for one in written]
    beside = found["teachers"]["big"]
    assert (beside["own"]["kl"].least, beside["own"]["kl"].most) == pytest.approx((min(own), max(own)))
    assert beside["given"] == following(student, teacher, ITEMS, student.reader.completions(ANSWERS)[0])
    taught = following(student, teacher, ITEMS, own_words(teacher, ITEMS, seed=2)).kl
    assert beside["excess_error"].value == pytest.approx(100 * (sum(own) / 2 - taught) / taught)


def test_a_teacher_that_reads_other_tokens_or_less_is_refused() -> None:
    student, teacher = tutored.student(), tutored.teacher().model
    with pytest.raises(RunError, match=r"The big one and the student have different tokenizers.*with the method uld"):
        other = build(writers.options(vocabulary=265), tutored.HOW, 0, writers.flips(60)[0])
        read_alike("The big one", other, student)
    wide = replace(teacher, reader=replace(teacher.reader, max_prompt_length=10**6))
    with pytest.raises(RunError, match="reads at most 128 tokens"):
        read_alike("big", wide, student)
