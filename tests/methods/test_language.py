"""What methods of language models share: a divergence by name and share, over tokens that count; and who may teach."""

from __future__ import annotations

import math
from contextlib import closing
from pathlib import Path

import pytest
import torch

from distrust import losses
from distrust.errors import RunError
from distrust.labelled import from_texts
from distrust.losses.chunks import Projected
from distrust.methods.language import DIVERGENCES, divergence, probe, pull, shared, text_seeds, towards, tutor, tutors
from distrust.processes import mix
from tests.methods import tutored
from tests.runs import make

DRAW = torch.Generator().manual_seed(0)
WORDS = 4  # the teachers' heads have a row more, which pads them
STUDENT = Projected(torch.randn(2, 3, 5, generator=DRAW), torch.randn(WORDS, 5, generator=DRAW), None, None)
TEACHERS = [
    Projected(torch.randn(2, 3, size, generator=DRAW), torch.randn(WORDS + 1, size, generator=DRAW), None, None)
    for size in (6, 7)
]
WEIGHT = torch.tensor([[1.0, 2.0, 0.0], [0.5, 0.0, 0.0]])
BATCH = {"labels": torch.zeros(2, 3, dtype=torch.long), "weight": WEIGHT, "count": torch.tensor(3.5)}


def chances(side: Projected, row: int, token: int, temperature: float = 1.0) -> list[float]:
    scores = (side.weight[:WORDS].double() @ side.hidden[row, token].double() / temperature).tolist()
    total = sum(math.exp(one) for one in scores)
    return [math.exp(one) / total for one in scores]


def naive(trust: list[float]) -> float:
    """Σ weight · trust_k · KL(teacher k to student) / count."""
    found = 0.0
    for row, token in WEIGHT.nonzero().tolist():
        mine = chances(STUDENT, row, token)
        for share, teacher in zip(trust, TEACHERS, strict=True):
            its = chances(teacher, row, token)
            nats = sum(p * math.log(p / q) for p, q in zip(its, mine, strict=True))
            found += float(WEIGHT[row, token]) * share * nats / 3.5
    return found


def test_a_pull_is_the_weighed_divergence_of_tokens_that_count() -> None:
    value = pull("forward", None, 1.0, WORDS)(STUDENT, TEACHERS[0], BATCH)
    assert float(value) == pytest.approx(naive([1, 0]), rel=1e-5)
    assert float(pull("forward", None, 1.0, WORDS)(STUDENT, TEACHERS[:1], BATCH)) == pytest.approx(float(value))


def test_several_teachers_count_alike_or_by_trust() -> None:
    both = pull("forward", None, 1.0, WORDS)
    assert float(both(STUDENT, TEACHERS, BATCH)) == pytest.approx(naive([0.5, 0.5]), rel=1e-5)
    trust = torch.tensor([0.9, 0.1]).reshape(2, 1, 1).expand(2, 2, 3)
    assert float(both(STUDENT, TEACHERS, BATCH, trust)) == pytest.approx(naive([0.9, 0.1]), rel=1e-5)


def test_a_share_is_the_divergences_own_number() -> None:
    plain, shifted = (
        float(
            towards(STUDENT, TEACHERS[0], BATCH, loss=divergence("skew-forward", share), temperature=1.0, vocabulary=WORDS)
        )
        for share in (None, 0.6)
    )
    wanted = 0.0
    for row, token in WEIGHT.nonzero().tolist():
        its, mine = chances(TEACHERS[0], row, token), chances(STUDENT, row, token)
        mixed = [0.6 * p + 0.4 * q for p, q in zip(its, mine, strict=True)]
        wanted += float(WEIGHT[row, token]) * sum(p * math.log(p / m) for p, m in zip(its, mixed, strict=True)) / 3.5
    assert shifted == pytest.approx(wanted, rel=1e-4) and abs(plain - shifted) > 1e-3
    assert divergence("reverse", None) is losses.reverse_kl


def test_a_share_where_there_is_none_names_those_that_have_one() -> None:
    assert shared() == ["symmetric", "jensen-shannon", "skew-forward", "skew-reverse", "adaptive"]
    for name in set(DIVERGENCES) - set(shared()):
        with pytest.raises(RunError, match=f"divergence {name} has no share; .* one of symmetric, jensen-shannon, skew"):
            divergence(name, 0.5)


def test_random_numbers_of_a_text_are_its_rows_and_its_steps() -> None:
    rows = torch.tensor([7, 0, 3])
    keys = text_seeds(1, 2, rows)
    assert keys.tolist() == [mix(1, 2, row) % 2**32 for row in (7, 0, 3)]
    assert torch.equal(text_seeds(1, 2, rows[[2, 0]]), keys[[2, 0]]), "wherever it stands in a batch"
    assert not set(keys.tolist()) & set(text_seeds(1, 3, rows).tolist()) | set(text_seeds(2, 2, rows).tolist()) & set(
        keys.tolist()
    )


def test_without_a_language_model_nobody_can_be_followed(tmp_path: Path) -> None:
    with closing(make(tmp_path)) as run:
        with pytest.raises(RunError, match="learns from one language model of `kind: causal`, and the teachers name none"):
            tutor(run)
        with pytest.raises(RunError, match="learns from language models of `kind: causal`, and the teachers name none"):
            tutors(run)


def test_an_epochs_record_is_of_the_text_that_is_told_most(tmp_path: Path) -> None:
    with tutored.opened(tmp_path, tutored.teacher()) as run:
        items = run.pool.select(range(3))
        told = from_texts(items, [{"no": 0.2, "yes": 0.8}, {"yes": 0.5, "no": 0.5}, {}])
        found = probe(told, one := tutor(run))
    assert found.items.ids == items.ids[:2], "of the third item nobody said anything"
    assert list(found.completions) == list(one.model.reader.completions(["yes", "yes"])[0])
