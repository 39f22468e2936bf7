"""Labels made wrong class by class, and the draws behind all: what is said for what, and that nothing else happens."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from distrust.errors import DataError
from distrust.workshop import ByItem, abstaining, adversary, class_blind, near_clones, over_confident, stale, symmetric
from distrust.workshop.policies import older_policy

LABELS = torch.randint(6, (6_000,), generator=torch.Generator().manual_seed(1))
IDS = tuple(f"item {row}" for row in range(len(LABELS)))


def test_an_adversary_lies_about_every_class_and_always_the_same() -> None:
    wrong = adversary(LABELS, 6, 1.0, 3)
    said = [set(wrong[label == LABELS].tolist()) for label in range(6)]
    assert all(len(one) == 1 for one in said), "one lie a class"
    ring = [one.pop() for one in said]
    assert sorted(ring) == list(range(6)) and all(ring[label] != label for label in range(6))
    half = adversary(LABELS, 6, 0.5, 3)
    lied = half != LABELS
    assert torch.equal(half[lied], wrong[lied]) and float(lied.double().mean()) == pytest.approx(0.5, abs=0.03)


def test_a_stale_teacher_is_right_on_older_classes_and_files_newer_ones_whole() -> None:
    said_for = older_policy(6, 0.5, 4)
    newer = (said_for != torch.arange(6)).nonzero().squeeze(-1).tolist()
    assert len(newer) == 3 and not set(said_for.tolist()) & set(newer), "no newer class is ever said"
    assert torch.equal(stale(LABELS, 6, 0.5, 4), said_for[LABELS])
    assert len(set(stale(LABELS, 6, 1.0, 4).tolist())) == 1, "one class at least is older"
    assert stale(torch.tensor([-1, 0]), 6, 0.5, 4)[0] == -1


def test_a_blind_teacher_never_says_a_class_and_changes_no_other() -> None:
    blind = torch.tensor([True, False, False, True, False, False])
    wrong = class_blind(LABELS, 6, blind, 0)
    assert not bool(blind[wrong].any()) and torch.equal(wrong[~blind[LABELS]], LABELS[~blind[LABELS]])
    shares = wrong[LABELS == 0].bincount(minlength=6).double() / int((LABELS == 0).sum())
    assert shares.tolist() == pytest.approx([0, 0.25, 0.25, 0, 0.25, 0.25], abs=0.05)
    with pytest.raises(DataError, match="leave it one"):
        class_blind(LABELS, 6, torch.ones(6, dtype=torch.bool), 0)
    with pytest.raises(DataError, match=r"legal is \(6,\) bool"):
        class_blind(LABELS, 6, torch.ones(6), 0)


def test_clones_differ_little_and_each_in_its_own_items() -> None:
    copies = near_clones(LABELS, 6, 3, 0.1, 0)
    apart = copies != LABELS
    assert copies.shape == (3, len(LABELS)) and apart.double().mean(-1).tolist() == pytest.approx([0.1] * 3, abs=0.015)
    assert float((apart[0] & apart[1]).double().mean()) == pytest.approx(0.01, abs=0.005)
    with pytest.raises(DataError, match="1 or more"):
        near_clones(LABELS, 6, 0, 0.1, 0)


def test_withheld_labels_are_withheld_and_the_others_kept() -> None:
    said = abstaining(LABELS, 6, 0.3, 0)
    assert float((said < 0).double().mean()) == pytest.approx(0.3, abs=0.02)
    assert torch.equal(said[said >= 0], LABELS[said >= 0])


def test_over_confidence_changes_odds_and_no_answer() -> None:
    logits = torch.tensor([[0.0, 1.0], [2.0, -1.0]])
    assert over_confident(logits, 3.0).tolist() == [[0.0, 3.0], [6.0, -3.0]]
    for wrong in (0.0, -1.0, float("inf"), float("nan")):
        with pytest.raises(DataError, match="above 0"):
            over_confident(logits, wrong)


def test_golden_draws_by_item() -> None:
    """Worked out by hashlib alone: what is drawn for an id is part of what results mean, and must never drift."""
    draws = ByItem(("a", "b", "c"), 7)
    assert draws.uniform().tolist() == pytest.approx([0.07978087, 0.67096082, 0.93767853], abs=1e-8)
    assert ByItem(("a", "b", "c"), 7).integers(1, 5).tolist() == [1, 3, 4]
    # shifts [1, 2, 2]; then chances [0.663, 0.103, 0.094], of which two are below the rate: 1 + 2 and 2 + 2, in a ring of 3
    assert symmetric(torch.tensor([0, 1, 2]), 3, 0.5, ByItem(("a", "b", "c"), 7)).tolist() == [0, 0, 1]


@given(st.integers(0, 99), st.integers(1, 30), st.integers(0, 29))
def test_an_items_draw_is_its_own(seed: int, count: int, row: int) -> None:
    row %= count
    together = symmetric(LABELS[:count], 6, 0.5, ByItem(IDS[:count], seed))
    alone = symmetric(LABELS[row : row + 1], 6, 0.5, ByItem(IDS[row : row + 1], seed))
    assert int(alone[0]) == int(together[row])


def test_draws_by_item_are_even() -> None:
    draws = ByItem(IDS, 0)
    first, second = draws.uniform(), draws.uniform()
    assert first.histc(10, 0, 1).div(len(IDS)).tolist() == pytest.approx([0.1] * 10, abs=0.015)
    assert abs(float(torch.corrcoef(torch.stack([first, second]))[0, 1])) < 0.05, "turns are independent"
    weights = torch.tensor([[0.0, 3.0, 1.0]]).repeat(len(IDS), 1)
    chosen = draws.choice(weights).bincount(minlength=3).double() / len(IDS)
    assert chosen.tolist() == pytest.approx([0, 0.75, 0.25], abs=0.02)
