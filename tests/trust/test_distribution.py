"""Measures and trust from one distribution: by hand, by a loop, batched, masked, and differentiated."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from distrust import combine, trust

MEASURES = [trust.confidence, trust.margin, trust.entropy, trust.certainty]


def random_rows(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64).softmax(-1)


def naive(name: str, row: list[float]) -> float:
    ordered = sorted(row, reverse=True)
    entropy = -sum(p * math.log(p) for p in row if p > 0)
    values = {
        "confidence": ordered[0],
        "margin": ordered[0] - (ordered[1] if len(row) > 1 else 0.0),
        "entropy": entropy,
        "certainty": (1 - entropy / math.log(len(row)) if len(row) > 1 else 1.0) if sum(row) else 0.0,
    }
    return values[name]


def test_golden_values() -> None:
    row = torch.tensor([0.5, 0.25, 0.25], dtype=torch.float64)
    assert float(trust.confidence(row)) == 0.5 and float(trust.margin(row)) == 0.25
    assert float(trust.entropy(row)) == pytest.approx(1.5 * math.log(2), rel=1e-14)
    assert float(trust.certainty(row)) == pytest.approx(1 - 1.5 * math.log(2) / math.log(3), rel=1e-14)


@pytest.mark.parametrize("measure", MEASURES)
@given(classes=st.integers(1, 7), seed=st.integers(0, 99))
def test_values_are_those_of_a_loop_in_every_shape(measure, classes: int, seed: int) -> None:  # type: ignore[no-untyped-def]
    torch.manual_seed(seed)
    rows = random_rows(2, 3, 4, classes)  # (M, B, L, C)
    rows[0, 0, 0] = torch.nn.functional.one_hot(torch.tensor(0), classes)
    rows[1, 1, 1] = 0  # nothing was said
    values = measure(rows)
    assert values.shape == (2, 3, 4)
    looped = [[[naive(measure.__name__, row) for row in item] for item in source] for source in rows.tolist()]
    assert torch.allclose(values, torch.tensor(looped, dtype=torch.float64), atol=1e-14)
    assert torch.equal(measure(rows[1]), values[1]) and torch.equal(measure(rows[1, 2, 3]), values[1, 2, 3])


@pytest.mark.parametrize("measure", MEASURES)
def test_renaming_classes_changes_nothing(measure) -> None:  # type: ignore[no-untyped-def]
    rows = random_rows(5, 6)
    assert torch.allclose(measure(rows[:, torch.randperm(6)]), measure(rows), atol=1e-15)


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_every_precision_is_kept_and_saturated_rows_are_finite(measure, dtype: torch.dtype) -> None:  # type: ignore[no-untyped-def]
    logits = torch.tensor([[200.0, -200, 0], [1e4, -1e4, 0], [0, -math.inf, 0], [-math.inf, 0, -math.inf]]).to(dtype)
    logits.requires_grad_()
    values = measure(logits.softmax(-1))
    assert values.dtype == dtype and bool(values.isfinite().all())
    values.float().sum().backward()
    assert logits.grad is not None and bool(logits.grad.isfinite().all())


@pytest.mark.parametrize("measure", MEASURES)
def test_no_items_give_no_values(measure) -> None:  # type: ignore[no-untyped-def]
    assert measure(torch.zeros(0, 3)).shape == (0,)


@pytest.mark.parametrize("classes", [2, 3, 6, 7, 52, 1000])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_an_even_row_has_no_certainty_and_may_still_become_a_weight(classes: int, dtype: torch.dtype) -> None:
    even = trust.certainty(torch.full((3, 2, classes), 1 / classes, dtype=dtype))  # rounds to just below 0 unclamped
    assert bool((even >= 0).all()) and float(even.max()) < 1e-6
    assert combine.normalise(even, torch.ones(3, 2, dtype=torch.bool)).sum(0).tolist() == [pytest.approx(1)] * 2


def test_certainty_is_measured_against_the_classes_a_source_knows() -> None:
    rows = torch.tensor([[0.5, 0.5, 0, 0], [0.5, 0.5, 0, 0], [0, 1.0, 0, 0], [0, 0, 0, 0]], dtype=torch.float64)
    known = torch.tensor([[1, 1, 0, 0], [1, 1, 1, 1], [0, 1, 0, 0], [1, 1, 1, 1]]).bool()
    assert trust.certainty(rows, known).tolist() == pytest.approx([0, 0.5, 1, 0])
    stacked = trust.certainty(rows.unsqueeze(1).expand(4, 7, 4), known.unsqueeze(1))  # (M, B, C) and (M, 1, C)
    assert stacked[:, 3].tolist() == pytest.approx([0, 0.5, 1, 0])


def test_a_damaged_row_is_not_taken_for_a_certain_one() -> None:
    assert math.isnan(trust.entropy(torch.tensor([math.nan, 0.5])))
