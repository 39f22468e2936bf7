"""Error models: against loops in double precision, and where they are right."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from distrust import combine
from distrust.trust import Confusions, DawidSkene, Table
from tests.trust.tables import table


def naive_em(claims: list[list[int]], classes: int, gold: dict[int, int], start: list[list[float]], rounds: int) -> Tensor:
    """Dawid and Skene 1979, equations 2.3 to 2.5, items of gold fixed: posteriors (N, C) after so many rounds."""
    items = len(claims[0])
    chance = [[float(c == gold[i]) for c in range(classes)] if i in gold else start[i] for i in range(items)]
    for _ in range(rounds):
        prior = [(sum(row[c] for row in chance) + 1 / classes) / (items + 1) for c in range(classes)]
        tables = []
        for mine in claims:
            counts = [[0.0] * classes for _ in range(classes)]
            for i, said in enumerate(mine):
                if said >= 0:
                    for c in range(classes):
                        counts[c][said] += chance[i][c]
            tables.append([[x / sum(row) for x in row] for row in counts])
        for i in range(items):
            score = [
                math.log(prior[c])
                + sum(math.log(t[c][mine[i]]) for t, mine in zip(tables, claims, strict=True) if mine[i] >= 0)
                for c in range(classes)
            ]
            mass = [math.exp(one - max(score)) for one in score]
            fixed = [float(c == gold.get(i)) for c in range(classes)]
            chance[i] = fixed if i in gold else [one / sum(mass) for one in mass]
    return torch.tensor(chance, dtype=torch.float64)


@pytest.mark.parametrize("rounds", [1, 2, 15])
def test_em_without_shrinkage_is_dawid_and_skenes(rounds: int) -> None:
    given, _ = table(gold=0)
    claims = given.claims.tolist()
    shares = []
    for i in range(60):
        spoke = [mine[i] for mine in claims if mine[i] >= 0]
        shares.append([(spoke.count(c) + 1 / 3) / (len(spoke) + 1) for c in range(3)])
    found = DawidSkene(shrinkage=1e-12, rounds=rounds).fit(given).posterior(given.claims)
    torch.testing.assert_close(found, naive_em(claims, 3, {}, shares, rounds), rtol=1e-6, atol=1e-9)


def test_em_with_gold_starts_from_its_confusions_and_holds_it_fixed() -> None:
    given, _ = table(gold=20)
    counted = Confusions().fit(given).given_true.double()
    start = combine.Confusions(counted, torch.ones(3).double() / 3).posterior(given.claims)
    gold = dict(zip(given.gold_rows.tolist(), given.gold_labels.tolist(), strict=True))
    by_hand = naive_em(given.claims.tolist(), 3, gold, start.tolist(), 4)
    found = DawidSkene(shrinkage=1e-12, rounds=4).fit(given).posterior(given.claims)
    rest = [row for row in range(60) if row not in gold]
    torch.testing.assert_close(found[rest], by_hand[rest], rtol=1e-6, atol=1e-9)


def test_the_likelihood_of_the_claims_rises_with_every_round() -> None:
    given, _ = table(items=200, gold=0)

    def likelihood(rounds: int) -> float:
        fitted = DawidSkene(shrinkage=1e-9, rounds=rounds).fit(given)
        score = fitted.prior.log().expand(200, 3)
        for source, mine in enumerate(given.claims):
            score = score + (fitted.given_true[source].log().T[mine.clamp(min=0)] * (mine >= 0).unsqueeze(-1))
        return float(score.logsumexp(-1).sum())

    values = [likelihood(rounds) for rounds in (1, 2, 4, 8, 16)]
    assert values == sorted(values) and values[-1] > values[0] + 0.1


@given(st.integers(1, 5), st.integers(2, 5), st.integers(0, 2**16))
def test_error_models_are_distributions_that_never_claim_what_a_teacher_does_not_know(
    teachers: int, classes: int, seed: int
) -> None:
    draw = torch.Generator().manual_seed(seed)
    known = torch.rand(teachers, classes, generator=draw) > 0.3
    known[:, 0] = True
    claims = torch.randint(-1, classes, (teachers, 40), generator=draw)
    claims = torch.where((claims >= 0) & known.gather(1, claims.clamp(min=0)), claims, -1)
    labels = torch.randint(classes, (12,), generator=draw)
    given = Table(claims, classes, torch.arange(12), labels, known)
    for fitted in (Confusions().fit(given), DawidSkene(rounds=5).fit(given)):
        tables = fitted.given_true.double()
        torch.testing.assert_close(tables.sum(-1), torch.ones(teachers, classes).double(), atol=1e-5, rtol=0)
        assert not tables.transpose(1, 2)[~known].any()
        assert float(fitted.prior.sum()) == pytest.approx(1, abs=1e-5)


def test_confusions_are_those_of_combine() -> None:
    given, _ = table()
    fitted = Confusions(shrinkage=0.7).fit(given)
    plain = combine.fit_confusions(given.gold_claims, given.gold_labels, given.claims, 3, 0.7)
    assert torch.equal(fitted.given_true, plain.given_true) and torch.equal(fitted.prior, plain.prior)
    assert torch.equal(fitted.posterior(given.claims), plain.posterior(given.claims))
