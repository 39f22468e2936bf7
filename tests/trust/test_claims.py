"""A judge's view of somebody's claims, against loops in double precision."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from distrust import trust
from distrust.errors import DataError


@st.composite
def judged(draw: st.DrawFn) -> tuple[torch.Tensor, torch.Tensor]:
    """Probabilities (B, C) and claims (B,), some of them abstaining."""
    items, classes = draw(st.integers(0, 6)), draw(st.integers(1, 5))
    seed = draw(st.integers(0, 1000))
    probabilities = torch.randn(items, classes, generator=torch.Generator().manual_seed(seed)).double().softmax(-1)
    claims = draw(st.lists(st.integers(-1, classes - 1), min_size=items, max_size=items))
    return probabilities, torch.tensor(claims, dtype=torch.long)


@given(judged())
def test_likelihood_and_match_are_what_a_loop_finds(given: tuple[torch.Tensor, torch.Tensor]) -> None:
    probabilities, claims = given
    likely, same = trust.label_likelihood(probabilities, claims), trust.label_match(probabilities, claims)
    for row, (chance, claim) in enumerate(zip(probabilities.tolist(), claims.tolist(), strict=True)):
        assert float(likely[row]) == (chance[claim] if claim >= 0 else 0.0)
        assert float(same[row]) == float(claim >= 0 and chance.index(max(chance)) == claim)
    assert likely.shape == same.shape == claims.shape


def test_a_tied_vote_is_as_likely_as_its_classes_are_on_average() -> None:
    probabilities = torch.tensor([[0.5, 0.25, 0.25], [0.125, 0.75, 0.125]])
    shares = torch.tensor([[0.5, 0.5, 0.0], [0.5, 0.0, 0.5]])
    assert trust.label_likelihood(probabilities, shares).tolist() == [0.375, 0.125]
    assert trust.label_match(probabilities, shares).tolist() == [0.5, 0.0]
    one_hot = torch.eye(3)[[2, 0]]
    assert torch.equal(
        trust.label_likelihood(probabilities, one_hot), trust.label_likelihood(probabilities, torch.tensor([2, 0]))
    )


@pytest.mark.parametrize("claims", [torch.tensor([0]), torch.tensor([0.0, 1.0]), torch.ones(3, 2)])
def test_claims_that_do_not_fit_are_refused(claims: torch.Tensor) -> None:
    with pytest.raises(DataError, match="legal is"):
        trust.label_likelihood(torch.ones(2, 3) / 3, claims)


Parts = list[tuple[float, float, float]]  # share of the losses, mean, variance


def parts(values: list[float], shares: list[list[float]]) -> Parts:
    """Weighted share, mean and variance of both components."""
    found = []
    for k in (0, 1):
        size = sum(row[k] for row in shares)
        mean = sum(row[k] * value for row, value in zip(shares, values, strict=True)) / size
        spread = sum(row[k] * (value - mean) ** 2 for row, value in zip(shares, values, strict=True)) / size
        found.append((size / len(values), mean, spread + 5e-4))
    return found


def densities(value: float, of: Parts) -> list[float]:
    return [size * math.exp(-((value - mean) ** 2) / 2 / var) / math.sqrt(2 * math.pi * var) for size, mean, var in of]


def mixture(losses: list[float]) -> list[float]:
    """DivideMix's split by hand: two means, then at most ten rounds of EM, then the posterior of the smaller mean."""
    values = [(loss - min(losses)) / (max(losses) - min(losses)) for loss in losses]
    centres = [0.0, 1.0]
    for _ in range(100):
        near = [int(abs(value - centres[1]) < abs(value - centres[0])) for value in values]
        centres = [sum(v for v, n in zip(values, near, strict=True) if n == k) / near.count(k) for k in (0, 1)]
    fitted, bound = parts(values, [[1.0 - n, float(n)] for n in near]), -math.inf
    for _ in range(10):
        dense = [densities(value, fitted) for value in values]
        fitted = parts(values, [[one / sum(row) for one in row] for row in dense])
        before, bound = bound, sum(math.log(sum(row)) for row in dense) / len(values)
        if abs(bound - before) < 1e-2:
            break
    clean = min((0, 1), key=lambda k: fitted[k][1])
    return [densities(value, fitted)[clean] / sum(densities(value, fitted)) for value in values]


@pytest.mark.parametrize("seed", range(4))
def test_the_clean_probability_is_that_of_a_mixture_fitted_by_hand(seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    small, large = torch.rand(30, generator=draw), 2.5 + torch.randn(15, generator=draw).abs()
    losses = torch.cat([small, large]).double()
    found = trust.clean_probability(losses)
    assert found.tolist() == pytest.approx(mixture(losses.tolist()), abs=1e-6)
    assert bool((found[:30] > 0.5).all()) and bool((found[30:] < 0.5).all())
    assert torch.allclose(trust.clean_probability(10 * losses + 3), found, atol=1e-6), "a measure's scale changes nothing"
    assert torch.allclose(trust.clean_probability(losses, seed=-1), found, atol=1e-6), "nor does a recipe's seed, here"


def test_losses_that_are_all_alike_are_all_clean() -> None:
    assert trust.clean_probability(torch.full((5,), 0.7)).tolist() == [1.0] * 5


@pytest.mark.parametrize("losses", [[], [1.0], [1.0, torch.nan], [1.0, torch.inf]])
def test_losses_that_no_mixture_fits_are_refused(losses: list[float]) -> None:
    with pytest.raises(DataError, match="two or more, all finite"):
        trust.clean_probability(torch.tensor(losses))
