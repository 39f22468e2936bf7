"""What gold says of sources, against naive loops and scikit-learn."""

import math

import pytest
import torch
from sklearn.metrics import confusion_matrix, matthews_corrcoef

from distrust.errors import DataError
from distrust.evaluate import agreement, error_correlation, final_claims, judge, reliability
from distrust.evidence import Dense, Evidence, stack
from distrust.labels import LabelSpace

SPACE = LabelSpace(("a", "b", "c"))
IDS = tuple(f"i{row}" for row in range(60))


def random_claims(seed: int, sources: int = 3, items: int = 60):
    generator = torch.Generator().manual_seed(seed)
    return (
        torch.randint(-1, 3, (sources, items), generator=generator),
        torch.randint(-1, 3, (items,), generator=generator),
    )


def test_accuracy_coverage_and_confusion_count_only_what_was_answered_and_is_known():
    claims, labels = random_claims(0)
    stacked = stack([Evidence(f"t{row}", IDS, SPACE, one[None]) for row, one in enumerate(claims)], SPACE)
    for row, found in enumerate(judge(stacked, labels)):
        both = [(g, c) for g, c in zip(labels.tolist(), claims[row].tolist(), strict=True) if g >= 0 and c >= 0]
        assert found.source == f"t{row}"
        assert (found.items, found.answered) == (60, sum(c >= 0 for c in claims[row].tolist()))
        assert found.judged == len(both) and found.coverage == found.answered / 60
        assert found.accuracy is not None
        assert found.accuracy.value == pytest.approx(sum(g == c for g, c in both) / len(both))
        gold, said = zip(*both, strict=True)
        assert found.confusion.tolist() == confusion_matrix(gold, said, labels=[0, 1, 2]).tolist()
        assert found.ece is None and found.bins == ()  # bare claims state no confidence


def test_a_source_without_gold_is_not_judged():
    stacked = stack([Evidence("t", IDS, SPACE, torch.zeros(1, 60, dtype=torch.long))], SPACE)
    found = judge(stacked, torch.full((60,), -1))[0]
    assert (found.judged, found.accuracy, found.ece, found.coverage) == (0, None, None, 1.0)


def test_stated_confidence_is_calibrated_where_judged():
    logits = torch.tensor([[2.0, 0.0, 0.0]]).expand(60, 3).clone()
    labels = torch.tensor([0] * 30 + [1] * 30)
    evidence = Evidence("t", IDS, SPACE, logits.argmax(-1)[None], logits=Dense(logits))
    found = judge(stack([evidence], SPACE), labels)[0]
    said = float(logits[0].softmax(-1)[0])
    assert found.ece is not None
    assert found.ece.value == pytest.approx(said - 0.5, abs=1e-6)
    assert found.ece.low < found.ece.value < found.ece.high
    assert [(one.items, one.accuracy) for one in found.bins] == [(60, 0.5)]


def test_a_source_that_knows_other_classes_abstains_on_them():
    other = LabelSpace(("b", "z"))
    claims = torch.tensor([[0, 1, 0, 1]])
    stacked = stack([Evidence("t", IDS[:4], other, claims)], SPACE)
    found = judge(stacked, torch.tensor([1, 1, 0, 0]))[0]
    assert (found.answered, found.judged) == (2, 2)
    assert found.confusion.tolist() == [[0, 1, 0], [0, 1, 0], [0, 0, 0]]


def test_samples_vote_and_abstentions_do_not():
    samples = torch.tensor([[0, 0, -1, 2], [1, -1, -1, 1], [1, -1, -1, 0]])
    stacked = stack([Evidence("t", IDS[:4], SPACE, samples)], SPACE)
    assert final_claims(stacked)[0].tolist() == [1, 0, -1, 0]


def test_a_claim_stands_against_its_own_low_confidence_and_breaks_ties_by_it():
    logits = torch.tensor([[0.2, 0.4, 0.4], [0.1, 0.2, 0.7]]).log()
    samples = torch.tensor([[0, 1], [0, 2]])
    stacked = stack([Evidence("t", IDS[:2], SPACE, samples, logits=Dense(logits))], SPACE)
    assert final_claims(stacked)[0].tolist() == [0, 2]


@pytest.mark.parametrize("seed", range(4))
def test_agreement_and_error_correlation_equal_naive_loops(seed):
    claims, labels = random_claims(seed)
    same, phi = agreement(claims), error_correlation(claims, labels)
    for first in range(3):
        for second in range(3):
            a, b = claims[first].tolist(), claims[second].tolist()
            both = [(x, y) for x, y in zip(a, b, strict=True) if x >= 0 and y >= 0]
            assert float(same[first, second]) == pytest.approx(sum(x == y for x, y in both) / len(both))
            known = [(x != g, y != g) for x, y, g in zip(a, b, labels.tolist(), strict=True) if x >= 0 and y >= 0 and g >= 0]
            wanted = matthews_corrcoef(*map(list, zip(*known, strict=True)))
            assert float(phi[first, second]) == pytest.approx(wanted, abs=1e-9)


def test_what_is_undefined_is_nan():
    claims = torch.tensor([[0, 0, -1, -1], [-1, -1, 1, 1], [0, 1, 1, 1]])
    labels = torch.tensor([0, 0, 1, 1])
    assert math.isnan(agreement(claims)[0, 1])
    phi = error_correlation(claims, labels)
    assert math.isnan(phi[0, 1]) and math.isnan(phi[0, 2]) and math.isnan(phi[0, 0])  # source 0 is never wrong
    assert float(phi[2, 2]) == 1.0


def test_reliability_bins_hold_their_means():
    bins = reliability(torch.tensor([0.05, 0.91, 0.99, 1.0, 0.0]), torch.tensor([False, True, False, True, False]))
    assert [(round(one.low, 1), one.items, round(one.accuracy, 3)) for one in bins] == [(0.0, 2, 0.0), (0.9, 3, 0.667)]
    assert bins[1].confidence == pytest.approx((0.91 + 0.99 + 1.0) / 3)


def test_labels_must_fit():
    stacked = stack([Evidence("t", IDS, SPACE, torch.zeros(1, 60, dtype=torch.long))], SPACE)
    for labels in (torch.zeros(59, dtype=torch.long), torch.full((60,), 3), torch.full((60,), -2)):
        with pytest.raises(DataError, match="legal is"):
            judge(stacked, labels)
