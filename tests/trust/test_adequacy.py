"""Who knows an item: MUKA's equations 5 to 7, traps 5, 6, 8 and 9, and the calibration on gold."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from distrust.errors import DataError
from distrust.trust.adequacy import calibrate, choice, cross_fitted, found, lead, soft_choice, surprise

SCORES = torch.tensor([[0.9, 0.2, 0.5], [0.1, 0.8, 0.5], [0.3, 0.1, 0.4]])


def test_hard_and_soft_by_hand() -> None:
    assert choice(SCORES).T.tolist() == [[1, 0, 0], [0, 1, 0], [0.5, 0.5, 0]]
    wanted = [[math.exp(s / 0.2) / sum(math.exp(one / 0.2) for one in row) for s in row] for row in SCORES.T.tolist()]
    assert soft_choice(SCORES).T.tolist() == [pytest.approx(row) for row in wanted]
    assert lead(SCORES).tolist() == pytest.approx([0.6, 0.6, 0.0])


def test_hard_is_the_limit_of_soft() -> None:
    """Trap 5, ties included."""
    torch.testing.assert_close(soft_choice(SCORES, 1e-3), choice(SCORES))


def test_one_source_alone() -> None:
    """Trap 5: all weight, and it leads by 1; no index error."""
    alone = torch.tensor([[0.3, 0.0, -torch.inf]])
    for weights in (choice(alone), soft_choice(alone)):
        assert weights.tolist() == [[1, 1, 0]]
    assert lead(alone).tolist() == [1, 1, 0]


def test_silence_gets_nothing_and_does_not_count() -> None:
    some = torch.tensor([[0.3, -torch.inf, -torch.inf], [-torch.inf, -torch.inf, 0.2], [0.2, -torch.inf, 0.2]])
    assert choice(some).T.tolist() == [[1, 0, 0], [0, 0, 0], [0, 0.5, 0.5]]
    soft = soft_choice(some)
    assert soft[1, 0] == 0 and soft[:, 1].tolist() == [0, 0, 0] and bool(soft.isfinite().all())
    assert lead(some).tolist() == pytest.approx([0.1, 0, 0])
    assert lead(torch.tensor([[0.3], [-torch.inf]])).tolist() == [1]


@given(st.permutations(range(3)), st.floats(0.05, 5))
def test_the_order_of_sources_changes_nothing(order: list[int], tau: float) -> None:
    """Trap 9."""
    assert torch.equal(choice(SCORES[order]), choice(SCORES)[order])
    torch.testing.assert_close(soft_choice(SCORES[order], tau), soft_choice(SCORES, tau)[order])
    assert torch.equal(lead(SCORES[order]), lead(SCORES))


def world(count: int = 4000, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Scores of three sources on unlike scales, who knows, and the chances that they were drawn from."""
    draw = torch.Generator().manual_seed(seed)
    true = 2 * torch.randn(3, count, generator=draw)
    chances = true.softmax(0)
    who = torch.multinomial(chances.T, 1, generator=draw).squeeze(-1)
    scores = (true - torch.tensor([[0.0], [3.0], [-1.0]])) / torch.tensor([[1.0], [4.0], [0.5]])
    return scores, torch.nn.functional.one_hot(who, 3).T.bool(), chances


def test_a_calibration_finds_the_scales_again() -> None:
    scores, known, chances = world()
    fitted = calibrate(scores, known)
    assert (fitted.chances(scores) - chances).abs().max() < 0.06
    before, after = found(scores, known).mean(), found(fitted.scores(scores), known).mean()
    assert after > before + 0.1 and after == pytest.approx(float(found(chances, known).mean()), abs=0.01)
    few = calibrate(scores[:, :12], known[:, :12])
    assert bool(few.slope.gt(0).all()) and bool(few.chances(scores).isfinite().all())


def test_where_two_know_either_is_right_and_where_nobody_does_nothing_is_learned() -> None:
    scores, known, _ = world(200)
    shared = known.clone()
    shared[:2, :100] = known[:2, :100].any(0)
    fitted = calibrate(scores, shared)
    nobody = torch.cat([shared, torch.zeros(3, 50, dtype=torch.bool), torch.ones(3, 50, dtype=torch.bool)], 1)
    more = calibrate(torch.cat([scores, 9 * torch.randn(3, 100)], 1), nobody)
    torch.testing.assert_close(more.chances(scores), fitted.chances(scores))
    assert found(torch.tensor([[1.0], [1.0], [0.0]]), torch.tensor([[True], [False], [True]])).tolist() == [0.5]


def test_silence_stays_silence_and_saturated_scores_leave_it_finite() -> None:
    scores, known, _ = world(100)
    scores[0, :10] = -torch.inf
    scores[1, 10] = 1e6
    odds = calibrate(scores, known).scores(scores)
    assert bool((odds[0, :10] == -torch.inf).all()) and not bool(odds.isnan().any())


def test_cross_fitting_never_looks_at_what_it_judges() -> None:
    scores, known, _ = world(60)
    folds = [torch.arange(60)[fold::3] for fold in range(3)]

    def fit(rest: Tensor):  # type: ignore[no-untyped-def]
        seen.append(rest)
        fitted = calibrate(scores[:, rest], known[:, rest])
        return lambda rows: fitted.scores(scores[:, rows])

    seen: list[Tensor] = []
    odds = cross_fitted(fit, known, folds)
    for held, rest in zip(folds, seen, strict=True):
        assert not set(held.tolist()) & set(rest.tolist()) and len(held) + len(rest) == 60
        torch.testing.assert_close(odds[:, held], calibrate(scores[:, rest], known[:, rest]).scores(scores[:, held]))
    wanted = -(odds.softmax(0) * known).sum(0).log()
    torch.testing.assert_close(surprise(odds, known), wanted)
    assert bool(surprise(torch.tensor([[0.0], [-torch.inf]]), torch.tensor([[False], [True]])).isfinite().all())


def test_mistakes_are_sentences() -> None:
    with pytest.raises(DataError, match="tau is 0"):
        soft_choice(SCORES, 0)
    with pytest.raises(DataError, match="both are \\(sources, items\\)"):
        calibrate(SCORES, torch.ones(2, 3, dtype=torch.bool))
    with pytest.raises(DataError, match="No gold item tells the teachers apart"):
        calibrate(SCORES, torch.ones(3, 3, dtype=torch.bool))
