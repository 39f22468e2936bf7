"""Weights, targets and confusions: against loops, and the laws that every combiner keeps."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from distrust import combine, losses
from distrust.errors import DataError

F64 = torch.float64


def rows(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=F64).softmax(-1)


# --- weights ---------------------------------------------------------------------------------------------------------


def test_weights_are_shares_of_the_trust_in_those_who_answered() -> None:
    trust = torch.tensor([[1.0, 1.0, 0.0, math.nan], [3.0, math.nan, 0.0, math.nan]], dtype=F64)
    answered = torch.tensor([[True, True, True, False], [True, False, True, False]])
    assert combine.normalise(trust, answered).tolist() == [[0.25, 1, 0.5, 0], [0.75, 0, 0.5, 0]]


@given(st.integers(1, 4), st.integers(0, 3), st.integers(0, 2**16))
def test_weights_of_items_and_of_tokens_are_those_of_a_loop_and_sum_to_one(sources: int, items: int, seed: int) -> None:
    torch.manual_seed(seed)
    trust, answered = torch.rand(sources, items, 2, dtype=F64), torch.rand(sources, items, 2) > 0.4
    weights = combine.normalise(trust, answered)
    for item in range(items):
        for token in range(2):
            spoke = [m for m in range(sources) if answered[m, item, token]]
            total = sum(float(trust[m, item, token]) for m in spoke)
            naive = [float(trust[m, item, token]) / total if m in spoke else 0.0 for m in range(sources)]
            assert weights[:, item, token].tolist() == pytest.approx(naive, rel=1e-12)
        assert torch.equal(combine.normalise(trust[:, item], answered[:, item]), weights[:, item])
    assert torch.allclose(weights.sum(0), answered.any(0).to(F64))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("trust", [1.0, 0.3, 0.0, 1e-45, 3e4])
def test_one_source_gets_weight_one_exactly(dtype: torch.dtype, trust: float) -> None:
    weights = combine.normalise(torch.full((1, 3), trust, dtype=dtype), torch.tensor([[True, True, False]]))
    assert weights.dtype == dtype and weights.tolist() == [[1, 1, 0]]


def test_a_trust_that_is_no_trust_is_refused() -> None:
    answered = torch.ones(2, 1, dtype=torch.bool)
    for trust in ([[-1.0], [1.0]], [[math.nan], [1.0]], [[math.inf], [1.0]], [[3e38], [3e38]]):
        with pytest.raises(DataError, match="finite and at least 0"):
            combine.normalise(torch.tensor(trust), answered)


def test_uniform_believes_all_who_answered_alike() -> None:
    answered = torch.tensor([[True, True, False], [True, False, False]])
    assert combine.uniform(answered).tolist() == [[0.5, 1, 0], [0.5, 0, 0]]
    assert combine.uniform(torch.ones(3, 0, dtype=torch.bool)).shape == (3, 0)


# --- targets ---------------------------------------------------------------------------------------------------------


def test_one_teacher_through_every_combiner_is_that_teacher_bit_for_bit() -> None:
    for dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
        answer = torch.randn(1, 50, 7, dtype=dtype).softmax(-1)
        answered = torch.ones(1, 50, dtype=torch.bool)
        for weights in (combine.uniform(answered), combine.normalise(torch.rand(1, 50, dtype=dtype), answered)):
            assert torch.equal(combine.weighted_mean(answer, weights.to(dtype)), answer[0])
    claims = torch.randint(0, 7, (1, 50))
    assert torch.equal(combine.majority_vote(claims, 7), torch.nn.functional.one_hot(claims[0], 7).float())


def test_the_weighted_mean_is_a_distribution_and_does_not_divide_by_the_number_of_teachers() -> None:
    probabilities, weights = rows(4, 5, 2, 3), combine.normalise(torch.rand(4, 5, 2, dtype=F64), torch.rand(4, 5, 2) > 0.3)
    target = combine.weighted_mean(probabilities, weights)
    for item in range(5):
        for token in range(2):
            for c in range(3):
                naive = sum(float(weights[m, item, token]) * float(probabilities[m, item, token, c]) for m in range(4))
                assert float(target[item, token, c]) == pytest.approx(naive, rel=1e-12)
    assert torch.allclose(target.sum(-1), (weights.sum(0) > 0).to(F64))


@given(st.integers(1, 5), st.integers(0, 2**16))
def test_learning_from_weighted_teachers_is_learning_from_their_mean(sources: int, seed: int) -> None:
    torch.manual_seed(seed)
    teachers, weights = torch.randn(sources, 6, 4, dtype=F64), torch.rand(sources, 6, dtype=F64)
    weights = combine.normalise(weights, torch.ones(sources, 6, dtype=torch.bool))
    student = torch.randn(6, 4, dtype=F64, requires_grad=True)
    each = sum((weights[m] * losses.forward_kl(student, teachers[m])).sum() for m in range(sources))
    (one_by_one,) = torch.autograd.grad(each, student)  # type: ignore[arg-type]
    mean = combine.weighted_mean(teachers.softmax(-1), weights)
    (at_once,) = torch.autograd.grad(losses.forward_kl(student, mean.log()).sum(), student)
    (by_cross_entropy,) = torch.autograd.grad(losses.cross_entropy(student, mean).sum(), student)
    assert torch.allclose(one_by_one, at_once, atol=1e-12, rtol=0)
    assert torch.allclose(one_by_one, by_cross_entropy, atol=1e-12, rtol=0)


def test_the_majority_wins_ties_share_and_abstentions_do_not_vote() -> None:
    claims = torch.tensor([[0, 0, -1, -1, 2], [0, 1, 2, -1, 2], [1, -1, -1, -1, 0]])
    assert combine.majority_vote(claims, 3).tolist() == [[1, 0, 0], [0.5, 0.5, 0], [0, 0, 1], [0, 0, 0], [0, 0, 1]]
    tokens = claims.unsqueeze(1).expand(3, 2, 5)
    assert torch.equal(combine.majority_vote(tokens, 3)[1], combine.majority_vote(claims, 3))
    assert combine.majority_vote(torch.zeros(2, 0, dtype=torch.long), 3).shape == (0, 3)


# --- confusions ------------------------------------------------------------------------------------------------------


def noisy_claims(items: int = 400, classes: int = 4, sources: int = 3) -> tuple[Tensor, Tensor]:
    truth = torch.randint(0, classes, (items,))
    claims = torch.where(torch.rand(sources, items) < 0.6, truth, (truth + 1) % classes)
    return truth, torch.where(torch.rand(sources, items) < 0.1, -1, claims)


def test_much_gold_gives_the_empirical_confusions_and_little_shrinkage_too() -> None:
    truth, claims = noisy_claims()
    fitted = combine.fit_confusions(claims, truth, claims, 4, shrinkage=1e-6)
    for m in range(3):
        for c in range(4):
            said = [int(one) for one, true in zip(claims[m], truth, strict=True) if true == c and one >= 0]
            empirical = [said.count(j) / len(said) for j in range(4)]
            assert fitted.given_true[m, c].tolist() == pytest.approx(empirical, abs=1e-5)
    many = combine.fit_confusions(claims.repeat(1, 500), truth.repeat(500), claims, 4, shrinkage=2.0)
    assert torch.allclose(many.given_true, fitted.given_true, atol=1e-3)
    assert many.prior.tolist() == pytest.approx([float((truth == c).float().mean()) for c in range(4)], abs=1e-3)


def test_a_small_table_worked_out_by_hand() -> None:
    # three gold items of class 0 (claimed 0, 0, 1), none of class 1; the pool claims 0 five times and 1 three times
    claims, pool = torch.tensor([[0, 0, 1]]), torch.tensor([[0] * 5 + [1] * 3 + [-1]])
    fitted = combine.fit_confusions(claims, torch.tensor([0, 0, 0]), pool, 2, shrinkage=2.0)
    accuracy, habit = (2 + 1) / (3 + 2), [5.5 / 9, 3.5 / 9]
    base = [[accuracy + (1 - accuracy) * habit[0], (1 - accuracy) * habit[1]]]
    base += [[(1 - accuracy) * habit[0], accuracy + (1 - accuracy) * habit[1]]]
    known = [(2 + 2 * base[0][0]) / 5, (1 + 2 * base[0][1]) / 5]
    assert fitted.given_true[0].tolist() == [pytest.approx(known), pytest.approx(base[1])]  # no gold: the base alone
    assert fitted.prior.tolist() == pytest.approx([(3 + 2 * 6 / 10) / 5, (2 * 4 / 10) / 5])


def test_heavy_shrinkage_gives_every_class_the_base() -> None:
    truth, claims = noisy_claims()
    tables = combine.fit_confusions(claims, truth, claims, 4, shrinkage=1e7).given_true
    off_diagonal = tables[0].masked_fill(torch.eye(4).bool(), 0)
    for column in range(4):
        values = off_diagonal[:, column][torch.arange(4) != column]
        assert torch.allclose(values, values[:1].expand(3), atol=1e-4)


@given(st.integers(0, 2**16), st.integers(1, 4))
def test_the_posterior_is_that_of_a_naive_bayes_loop(seed: int, sources: int) -> None:
    torch.manual_seed(seed)
    fitted = combine.Confusions(rows(sources, 3, 3), rows(3))
    claims = torch.randint(-1, 3, (sources, 4, 2))  # tokens
    posterior = fitted.posterior(claims)
    for item in range(4):
        for token in range(2):
            scores = [float(fitted.prior[c]) for c in range(3)]
            for m in range(sources):
                if claims[m, item, token] >= 0:
                    scores = [scores[c] * float(fitted.given_true[m, c, claims[m, item, token]]) for c in range(3)]
            naive = [score / sum(scores) for score in scores]
            assert posterior[item, token].tolist() == pytest.approx(naive, rel=1e-10)
        assert torch.allclose(fitted.posterior(claims[:, item]), posterior[item], atol=1e-15)


def test_where_all_abstain_the_prior_is_the_posterior() -> None:
    fitted = combine.Confusions(rows(2, 3, 3), rows(3))
    assert torch.allclose(fitted.posterior(torch.full((2, 5), -1)), fitted.prior.expand(5, 3))


def test_sources_that_never_err_and_contradict_each_other_leave_a_distribution() -> None:
    certain = combine.Confusions(torch.eye(3).expand(2, 3, 3), torch.tensor([0.5, 0.5, 0.0]))
    posterior = certain.posterior(torch.tensor([[0, 0, 2], [0, 1, 2]]))
    assert bool(posterior.isfinite().all()) and posterior[0].tolist() == pytest.approx([1, 0, 0])
    assert posterior[1].tolist() == pytest.approx([0.5, 0.5, 0])


def test_renaming_classes_and_permuting_sources_permutes_the_result() -> None:
    truth, claims = noisy_claims(60)
    names = torch.tensor([2, 3, 1, 0])
    renamed = torch.where(claims >= 0, names[claims.clamp(min=0)], -1)
    plain = combine.fit_confusions(claims[:, :20], truth[:20], claims, 4)
    turned = combine.fit_confusions(renamed[[2, 0, 1]][:, :20], names[truth[:20]], renamed[[2, 0, 1]], 4)
    assert torch.allclose(turned.given_true[:, names][:, :, names], plain.given_true[[2, 0, 1]], atol=1e-6)
    assert torch.allclose(turned.prior[names], plain.prior, atol=1e-6)
    assert torch.allclose(turned.posterior(renamed[[2, 0, 1]])[:, names], plain.posterior(claims), atol=1e-5)


def test_confusions_undo_a_systematic_error_that_the_vote_repeats() -> None:
    truth = torch.arange(300) % 3
    swapped = torch.tensor([1, 0, 2])[truth]
    claims = torch.stack([swapped, swapped, truth])
    fitted = combine.fit_confusions(claims[:, :30], truth[:30], claims, 3)
    assert float((fitted.posterior(claims).argmax(-1) == truth).float().mean()) == 1.0
    assert float((combine.majority_vote(claims, 3).argmax(-1) == truth).float().mean()) == pytest.approx(1 / 3)


def test_one_gold_item_one_class_and_a_mute_source() -> None:
    fitted = combine.fit_confusions(torch.tensor([[0], [-1]]), torch.tensor([0]), torch.full((2, 5), -1), 1)
    assert fitted.given_true.tolist() == [[[1]], [[1]]] and fitted.prior.tolist() == [1]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"claims": torch.zeros(1, 0).long(), "labels": torch.zeros(0).long()}, "there is none"),
        ({"labels": torch.tensor([0, -1])}, "outside the 2 classes"),
        ({"labels": torch.tensor([0, 2])}, "outside the 2 classes"),
        ({"shrinkage": 0.0}, "shrinkage is 0.0"),
        ({"shrinkage": math.nan}, "shrinkage is nan"),
        ({"shrinkage": math.inf}, "shrinkage is inf"),
        ({"claims": torch.tensor([[0], [1]])}, r"Claims on gold are \(2, 1\); legal is \(1, 2\)"),
    ],
)
def test_what_cannot_be_estimated_is_refused(change: dict[str, object], said: str) -> None:
    whole = {"claims": torch.tensor([[0, 1]]), "labels": torch.tensor([0, 1]), "pool": torch.tensor([[0, 1]]), "classes": 2}
    with pytest.raises(DataError, match=said):
        combine.fit_confusions(**(whole | change))  # type: ignore[arg-type]


def test_claims_of_another_number_of_sources_are_refused() -> None:
    with pytest.raises(DataError, match="claims of 1 sources but confusions of 2"):
        combine.Confusions(rows(2, 3, 3), rows(3)).posterior(torch.zeros(1, 4, dtype=torch.long))


def test_a_class_that_a_source_does_not_know_is_not_a_no_from_it() -> None:
    """Two specialists that share one class: each class is averaged over those that know it, rows sum to one."""
    probabilities = torch.tensor([[[0.6, 0.4, 0.0]], [[0.0, 0.5, 0.5]]], dtype=torch.double)  # (2, 1, 3)
    known = torch.tensor([[True, True, False], [False, True, True]])
    weights = torch.tensor([[0.75], [0.25]], dtype=torch.double)
    shares = [0.6, (0.75 * 0.4 + 0.25 * 0.5) / 1.0, 0.5]
    expected = torch.tensor([[share / sum(shares) for share in shares]], dtype=torch.double)
    torch.testing.assert_close(combine.weighted_mean(probabilities, weights, known), expected)
    swapped = combine.weighted_mean(probabilities.flip(0), weights.flip(0), known.flip(0))
    torch.testing.assert_close(swapped, expected)


def test_where_all_know_all_the_mean_is_the_plain_one_bit_for_bit() -> None:
    probabilities = torch.rand(3, 5, 4).softmax(-1)
    weights = combine.uniform(torch.ones(3, 5, dtype=torch.bool))
    plain = combine.weighted_mean(probabilities, weights)
    assert torch.equal(combine.weighted_mean(probabilities, weights, torch.ones(3, 4, dtype=torch.bool)), plain)


def test_a_mute_item_stays_mute_among_specialists() -> None:
    known = torch.tensor([[True, False], [False, True]])
    assert not combine.weighted_mean(torch.zeros(2, 1, 2), torch.zeros(2, 1), known).any()
