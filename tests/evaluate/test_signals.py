"""A signal judged on gold: against scikit-learn and naive loops, ties shared out, the order of items without effect."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from distrust.errors import DataError
from distrust.evaluate import Quality, calibration_error, quality

PAIRS = st.lists(st.tuples(st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]), st.booleans()), min_size=1, max_size=6)


def judged(pairs: list[tuple[float, bool]], **options: object) -> Quality:
    signal, right = zip(*pairs, strict=True)
    found = quality(torch.tensor(signal), torch.tensor(right).long(), **options)  # type: ignore[arg-type]
    assert found is not None
    return found


@settings(deadline=None)
@given(PAIRS)
def test_auroc_and_precision_are_what_loops_over_pairs_and_draws_find(pairs: list[tuple[float, bool]]) -> None:
    found = judged(pairs, coverages=[0.5, 1.0], bootstrap=20)
    good = [signal for signal, right in pairs if right]
    bad = [signal for signal, right in pairs if not right]
    if good and bad:
        wins = sum((one > other) + (one == other) / 2 for one in good for other in bad)
        assert found.auroc is not None and found.auroc.value == pytest.approx(wins / len(good) / len(bad))
        assert found.auroc.value == pytest.approx(roc_auc_score([r for _, r in pairs], [s for s, _ in pairs]))
    else:
        assert found.auroc is None
    assert found.precision[1.0].value == pytest.approx(len(good) / len(pairs)) == found.base.value
    if len(pairs) % 2 == 0:
        orders = [
            one
            for one in itertools.permutations(pairs)
            if all(a >= b for (a, _), (b, _) in itertools.pairwise(one))  # believed most first, ties in every order
        ]
        half = len(pairs) // 2
        wanted = sum(sum(right for _, right in one[:half]) / half for one in orders) / len(orders)
        assert found.precision[0.5].value == pytest.approx(wanted)


def test_a_binary_signal_by_hand() -> None:
    """60 of 100 are agreed upon and 54 of them right; of the rest 20: what is beyond 60 % comes from the rest at random."""
    pairs = [(1.0, row < 54) for row in range(60)] + [(0.0, row < 20) for row in range(40)]
    found = judged(pairs, coverages=[0.3, 0.6, 0.8])
    assert [one.value for one in found.precision.values()] == pytest.approx([0.9, 0.9, (54 + 10) / 80])
    for one in (*found.precision.values(), found.auroc, found.ece):
        assert one is not None and one.low <= one.value <= one.high and one.high - one.low < 0.4
    assert found.curve[-1] == (1.0, pytest.approx(0.74)) and len(found.curve) == 50
    assert [(one.items, one.accuracy) for one in found.bins] == [(40, 0.5), (60, pytest.approx(0.9))]
    signal, right = (torch.tensor(one) for one in zip(*pairs, strict=True))
    assert found.ece == calibration_error(signal, right)


def test_the_order_of_items_changes_nothing_and_silence_is_counted_apart() -> None:
    draw = torch.Generator().manual_seed(0)
    signal, right = torch.rand(60, generator=draw).round(decimals=1), torch.randint(-1, 2, (60,), generator=draw)
    signal[:7] = torch.nan
    order = torch.randperm(60, generator=draw)
    here, there = quality(signal, right), quality(signal[order], right[order])
    assert here is not None and there is not None
    assert here.auroc is not None and there.auroc is not None and here.auroc.value == pytest.approx(there.auroc.value)
    assert [y for _, y in here.curve] == pytest.approx([y for _, y in there.curve]) and here.base == there.base
    assert here.silent == int((right[:7] >= 0).sum()) and here.items == int((right[7:] >= 0).sum())


def test_intervals_cover_and_the_seed_is_heard() -> None:
    """Of 40 worlds whose AUROC is known, nearly all intervals hold it."""
    inside = 0
    for world in range(40):
        draw = torch.Generator().manual_seed(world)
        right = torch.rand(200, generator=draw) < 0.5
        signal = (torch.randn(200, generator=draw) + right.float()).sigmoid()
        found = quality(signal, right.long(), bootstrap=200)
        assert found is not None and found.auroc is not None
        inside += found.auroc.low <= 0.7602 <= found.auroc.high  # Φ(1 / √2)
    assert inside >= 35
    again, other = (quality(signal, right.long(), bootstrap=200, seed=seed) for seed in (0, 1))
    assert again == found and other != found


def test_nothing_to_judge_is_none_and_wrong_calls_are_refused() -> None:
    assert quality(torch.tensor([0.5]), torch.tensor([-1])) is None
    assert quality(torch.tensor([torch.nan]), torch.tensor([1])) is None
    assert quality(torch.zeros(0), torch.zeros(0, dtype=torch.long)) is None
    with pytest.raises(DataError, match=r"legal is \(N,\) twice"):
        quality(torch.zeros(2), torch.zeros(3))
    with pytest.raises(DataError, match="above 0 and up to 1"):
        quality(torch.zeros(2), torch.zeros(2), coverages=[0.0])
    with pytest.raises(DataError, match="below 0 or above 1"):
        quality(torch.tensor([1.5]), torch.tensor([1]))
