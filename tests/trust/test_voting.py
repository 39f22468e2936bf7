"""Votes: shares against loops, weights against the gradient of what they minimise."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from distrust.errors import DataError
from distrust.trust import Majority, Stacking, Table, WeightedVote
from distrust.trust.voting import DOUBT, FLOOR, Linear
from tests.trust.tables import table

ONE = torch.ones(1).double()


def test_majority_is_the_share_of_the_votes_and_one_spread_over_all() -> None:
    given, _ = table()
    found = Majority().fit(given).posterior(given.claims)
    for item in range(60):
        spoke = [int(one) for one in given.claims[:, item] if one >= 0]
        by_hand = [(spoke.count(c) + 1 / 3) / (len(spoke) + 1) for c in range(3)]
        assert found[item].tolist() == pytest.approx(by_hand, rel=1e-12)


def test_a_class_is_voted_on_by_those_who_know_it() -> None:
    known = torch.tensor([[True, True, False], [True, True, False], [False, True, True]])
    found = Majority().fit(Table(torch.tensor([[0], [0], [2]]), 3, known=known)).posterior(torch.tensor([[0], [0], [2]]))
    assert found[0].tolist() == pytest.approx([(1.5 + 1 / 3) / 4, (1 / 3) / 4, (1.5 + 1 / 3) / 4]), "all who could, did"


def loss(weights: Tensor, tables: Tensor, prior: Tensor, given: Table, ridge: float, penalty: float) -> Tensor:
    """Stacking's objective as a loop, of votes or of probabilities."""
    total = 0.5 * ridge * (weights - weights.mean()).square().sum() + 0.5 * (weights.mean() - 1) ** 2
    total = total + 0.5 * penalty * (tables.square().sum() + prior.square().sum())
    for row, label in zip(given.gold_rows.tolist(), given.gold_labels.tolist(), strict=True):
        score = prior
        for teacher in range(len(given.claims)):
            claim = int(given.claims[teacher, row])
            if given.probabilities is not None:
                said, doubt = given.probabilities[teacher, row], FLOOR
            else:
                said, doubt = torch.nn.functional.one_hot(torch.tensor(claim).clamp(min=0), 3).double(), DOUBT
            if claim >= 0:
                score = score + weights[teacher] * ((1 - doubt) * said * 3 + doubt).log() + said @ tables[teacher]
        total = total - score.log_softmax(-1)[label]
    return total


def soft(given: Table) -> Table:
    """The same claims, stated with a confidence of 60 to 95 %."""
    sure = 0.6 + 0.35 * torch.rand(given.claims.shape, generator=torch.Generator().manual_seed(1)).double()
    said = ((1 - sure) / 2).unsqueeze(-1).repeat(1, 1, 3)
    said.scatter_(-1, given.claims.clamp(min=0).unsqueeze(-1), sure.unsqueeze(-1))
    chances = said * (given.claims >= 0).unsqueeze(-1)
    return Table(given.claims, 3, given.gold_rows, given.gold_labels, probabilities=chances)


@pytest.mark.parametrize("stated", [False, True])
def test_stacking_is_where_its_objectives_gradient_vanishes(stated: bool) -> None:
    given = soft(table()[0]) if stated else table()[0]
    fitted = Stacking(ridge=0.7, tables=0.4).fit(given)
    assert fitted.soft == stated
    at = [one.clone().requires_grad_() for one in (fitted.weights, fitted.tables, fitted.prior)]
    value = loss(*at, given, 0.7, 0.4)
    for gradient in torch.autograd.grad(value, at):
        assert float(gradient.abs().max()) < 1e-3
    start = loss(torch.ones(4).double(), torch.zeros(4, 3, 3).double(), torch.zeros(3).double(), given, 0.7, 0.4)
    assert float(value.detach()) < float(start) - 0.5


def test_a_weighted_vote_is_where_its_objectives_gradient_vanishes() -> None:
    given, _ = table()
    fitted = WeightedVote(ridge=0.7).fit(given)
    weights = fitted.weights.clone().requires_grad_()
    value = loss(weights, torch.zeros(4, 3, 3).double(), torch.zeros(3).double(), given, 0.7, 0.0)
    (gradient,) = torch.autograd.grad(value, weights)
    assert float(gradient.abs().max()) < 1e-4 and not fitted.tables.any() and not fitted.prior.any()
    assert fitted.weights.argmax() == 0 and fitted.weights[0] > fitted.weights[3] + 0.1, "better teachers weigh more"


def test_at_weight_one_a_teacher_is_believed_as_documented() -> None:
    lone = Linear(ONE, torch.zeros(1, 4, 4).double(), torch.zeros(4).double(), torch.ones(1, 4, dtype=torch.bool), False)
    chance = float(lone.posterior(torch.tensor([[2]]))[0, 2])
    assert chance == pytest.approx(1 - DOUBT + DOUBT / 4)
    half = Linear(
        ONE, torch.zeros(1, 4, 4).double(), torch.zeros(4).double(), torch.tensor([[True, True, False, False]]), False
    )
    found = half.posterior(torch.tensor([[0]]))[0]
    assert found[2] == found[3] and float(found[0] + found[1]) == pytest.approx(0.5, abs=1e-6), "nothing is said of the rest"
    assert math.isclose(float(found[0] / found[1]), (2 * (1 - DOUBT) + DOUBT) / DOUBT, rel_tol=1e-6)


def test_stacking_learns_structured_errors_that_weights_cannot() -> None:
    labels = torch.arange(400) % 4
    claims = ((labels + 1) % 4).unsqueeze(0)
    given = Table(claims, 4, torch.arange(100), labels[:100])
    assert bool((Stacking().fit(given).posterior(claims).argmax(-1) == labels).all())


def test_trust_fitted_on_probabilities_asks_for_them() -> None:
    given = soft(table()[0])
    fitted = Stacking().fit(given)
    with pytest.raises(DataError, match="give them beside the claims"):
        fitted.posterior(given.claims)
    with pytest.raises(DataError, match="legal is"):
        fitted.posterior(given.claims, given.probabilities[:, :5] if given.probabilities is not None else None)
