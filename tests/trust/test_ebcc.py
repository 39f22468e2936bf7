"""EBCC: its updates against the paper's equations as loops, and its subtypes where teachers err together."""

from __future__ import annotations

import math

import pytest
import torch
from scipy.special import digamma
from torch import Tensor

from distrust.trust import DawidSkene, Ebcc, Table
from tests.trust.tables import table


def naive(given: Table, start: Tensor, rounds: int, groups: int) -> Tensor:
    """Li, Rubinstein and Cohn 2019, the mean-field updates, in loops over items: posteriors (N, C)."""
    teachers, items, classes = len(given.claims), given.claims.shape[1], given.classes
    claims = given.claims.tolist()
    gold = dict(zip(given.gold_rows.tolist(), given.gold_labels.tolist(), strict=True))
    cells = [(c, g) for c in range(classes) for g in range(groups)]
    joint = [{cell: float(start[i][cell]) for cell in cells} for i in range(items)]
    for _ in range(rounds):
        eta = {cell: 0.1 / groups + sum(one[cell] for one in joint) for cell in cells}
        nu = [1.0 + sum(one[c, g] for one in joint for g in range(groups)) for c in range(classes)]
        mu = {
            (j, *cell, k): (4.0 if cell[0] == k else 1.0) + sum(joint[i][cell] for i in range(items) if claims[j][i] == k)
            for j in range(teachers)
            for cell in cells
            for k in range(classes)
        }
        for i in range(items):
            score = {}
            for c, g in cells:
                value = digamma(eta[c, g]) - digamma(sum(eta[c, h] for h in range(groups)))
                value += digamma(nu[c]) - digamma(sum(nu))
                for j in range(teachers):
                    if claims[j][i] >= 0:
                        value += digamma(mu[j, c, g, claims[j][i]]) - digamma(sum(mu[j, c, g, k] for k in range(classes)))
                score[c, g] = value if gold.get(i, c) == c else -math.inf
            top = max(score.values())
            mass = {cell: math.exp(value - top) for cell, value in score.items()}
            joint[i] = {cell: value / sum(mass.values()) for cell, value in mass.items()}
    return torch.tensor([[sum(one[c, g] for g in range(groups)) for c in range(classes)] for one in joint])


@pytest.mark.parametrize("gold", [0, 4])
def test_updates_are_the_papers(gold: int) -> None:
    given, _ = table(teachers=3, items=14, gold=gold)
    rule = Ebcc(groups=2, rounds=4)
    first = Ebcc(groups=2, rounds=1)
    shares = torch.stack([(given.claims == c).sum(0) for c in range(3)], 1).double() + 1 / 3
    start = (shares / shares.sum(-1, keepdim=True)).unsqueeze(-1) * first._draw(14).unsqueeze(1)
    for row, label in zip(given.gold_rows.tolist(), given.gold_labels.tolist(), strict=True):
        start[row] *= torch.nn.functional.one_hot(torch.tensor(label), 3).unsqueeze(-1)
        start[row] /= start[row].sum()
    found = rule.fit(given).posterior(given.claims)
    rest = [row for row in range(14) if row not in given.gold_rows.tolist()]
    torch.testing.assert_close(found[rest], naive(given, start, 4, 2)[rest].double(), rtol=1e-6, atol=1e-9)


def test_the_first_draw_is_uniform_on_the_simplex_and_a_function_of_the_seed() -> None:
    drawn = Ebcc(groups=3)._draw(4000)
    assert torch.equal(drawn, Ebcc(groups=3)._draw(4000)) and not torch.equal(drawn, Ebcc(groups=3, seed=1)._draw(4000))
    torch.testing.assert_close(drawn.sum(-1), torch.ones(4000).double())
    assert float((drawn.var(0) - 1 / 18).abs().max()) < 4e-3, "Dirichlet(1, 1, 1) has variance 1/18"


def test_subtypes_find_that_teachers_err_together_on_hard_items() -> None:
    """Half of the items are hard: three of five teachers then say the next class. Two more are ordinary."""
    draw = torch.Generator().manual_seed(0)
    labels, hard = torch.randint(3, (3000,), generator=draw), torch.rand(3000, generator=draw) < 0.4

    def ordinary(accuracy: float) -> Tensor:
        wrong = (labels + torch.randint(1, 3, (3000,), generator=draw)) % 3
        return torch.where(torch.rand(3000, generator=draw) < accuracy, labels, wrong)

    claims = torch.stack(
        [torch.where(hard & (torch.rand(3000, generator=draw) < 0.9), (labels + 1) % 3, ordinary(0.9)) for _ in range(3)]
        + [ordinary(0.85), ordinary(0.85)]
    )
    given = Table(claims, 3, torch.arange(150), labels[:150])
    loss = {
        name: float(-rule.fit(given).posterior(claims).gather(1, labels.unsqueeze(1))[150:].log().mean())
        for name, rule in {"ebcc": Ebcc(), "plain": DawidSkene()}.items()
    }
    assert loss["ebcc"] < 0.9 * loss["plain"], loss
