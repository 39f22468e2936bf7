"""Error models from counts, beside naive loops in double precision."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from distrust.noise.counting import FLOOR, STEPS, STRENGTH, confident_counts, contradicted, explain, with_gold, without_gold
from tests.noise.worlds import noisy


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 3)), min_size=1, max_size=40))
def test_contradictions_as_counted_by_text(said: list[tuple[int, int]]) -> None:
    by_text: dict[int, list[int]] = {}
    for text, claim in said:
        by_text.setdefault(text, []).append(claim)
    least = sum(len(one) - max(map(one.count, one)) for one in by_text.values())
    texts, claims = torch.tensor(said).T
    assert contradicted(texts * 7 - 3, claims) == least


def test_confident_counts_by_hand() -> None:
    probabilities = torch.tensor([[0.9, 0.1], [0.7, 0.3], [0.2, 0.8], [0.4, 0.6], [0.1, 0.9]]).double()
    claims = torch.tensor([0, 0, 0, 1, 1])
    # thresholds: class 0 (.9 + .7 + .2) / 3 = .6, class 1 (.6 + .9) / 2 = .75; the fourth item reaches neither
    assert confident_counts(probabilities, claims).tolist() == [[2.0, 1.0], [0.0, 2.0]]


def test_a_class_that_nobody_claims_is_never_counted() -> None:
    counts = confident_counts(torch.tensor([[0.2, 0.1, 0.7], [0.3, 0.6, 0.1]]).double(), torch.tensor([0, 1]))
    assert counts[:, 2].tolist() == [0, 0, 0] and counts[2].tolist() == [0, 0, 0]


def test_explain_as_a_naive_loop() -> None:
    draw = torch.Generator().manual_seed(0)
    chances = torch.rand(7, 3, generator=draw).double()
    chances = chances / chances.sum(-1, keepdim=True)
    claims, counts = torch.tensor([0, 1, 2, 0, 1, 2, 2]), 50 * torch.rand(3, 3, generator=draw).double()
    said = counts.sum(1).tolist()
    right = sum(float(counts[c, c]) for c in range(3)) / float(counts.sum())
    blur = [[0.0] * 3 for _ in range(3)]
    for true in range(3):
        others = sum(said[j] + 1 for j in range(3) if j != true)
        for j in range(3):
            habit = right if j == true else (1 - right) * (said[j] + 1) / others
            blur[true][j] = (float(counts[j, true]) + STRENGTH * habit) / (float(counts[:, true].sum()) + STRENGTH)
    for row, found in enumerate(explain(chances, claims, counts).tolist()):
        given_row = chances[row].tolist()
        truth = [float(counts[:, c].sum() / counts.sum()) for c in range(3)]
        for _ in range(STEPS):
            shown = [sum(truth[c] * blur[c][j] for c in range(3)) for j in range(3)]
            truth = [truth[c] * sum(given_row[j] / shown[j] * blur[c][j] for j in range(3)) for c in range(3)]
            truth = [one / sum(truth) for one in truth]
        both = [truth[c] * blur[c][int(claims[row])] for c in range(3)]
        assert found == pytest.approx([one / sum(both) for one in both], abs=1e-12)


def test_without_gold_noise_is_seen_and_not_invented() -> None:
    """A blurred student leaves some noise unseen, more of little noise than of much."""
    for rate, least in ((0.0, 0.0), (0.2, 0.05), (0.4, 0.2)):
        world = noisy("symmetric", rate)
        counts, truth = without_gold(world.chances, world.claims)
        assert least <= 1 - float(counts.diagonal().sum() / counts.sum()) <= world.rate + 0.01
        assert torch.allclose(truth.sum(-1), torch.ones(2000, dtype=torch.double))
        assert torch.allclose(counts.sum(-1), world.claims.bincount(minlength=5).double())


def test_gold_overrules_a_student_that_repeats_systematic_mistakes() -> None:
    counts = torch.diag(torch.tensor([100.0, 100.0, 100.0])).double()
    seen = torch.tensor([[9.0, 0, 0], [8.0, 1, 0], [0, 0, 9.0]]).double()
    found = with_gold(counts, seen)
    assert float(found.share[1, 0]) > 0.7 and float(found.share[0, 0]) > 0.8 and float(found.share[2, 2]) > 0.8
    assert float(found.weight[1]) < float(found.weight[0]), "where it was wrong, its word weighs less"


def test_a_student_that_gold_bears_out_is_believed() -> None:
    word = torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.7, 0.2], [0.2, 0.1, 0.7]]).double()
    right = with_gold(100 * word, 20 * word)
    wrong = with_gold(100 * word, 20 * word.roll(1, 0))
    assert float(right.weight.mean()) > float(wrong.weight.mean()) + 5
    assert torch.allclose(right.share, word, atol=0.03)


def test_without_gold_the_word_stands() -> None:
    counts = torch.tensor([[80.0, 20.0, 0.0], [0.0, 50.0, 0.0], [0.0, 0.0, 0.0]]).double()
    found = with_gold(counts, torch.zeros(3, 3).double())
    # one tenth of the mistakes, at least of 2 %, may be of any kind: claims + 1 are 101, 51, 1
    assert found.share[0].tolist() == pytest.approx([0.8, 0.18 + 0.02 * 51 / 52, 0.02 / 52], abs=1e-8)
    assert found.share[1].tolist() == pytest.approx([0.002 * 101 / 102, 0.998, 0.002 / 102], abs=1e-8)
    assert float(found.share.min()) >= FLOOR / 2 and torch.allclose(found.share.sum(-1), torch.ones(3).double())


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10**6), st.integers(2, 6))
def test_renaming_classes_changes_nothing(seed: int, classes: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    chances = torch.rand(30, classes, generator=draw).double() + 0.01
    chances = chances / chances.sum(-1, keepdim=True)
    claims = torch.randint(classes, (30,), generator=draw)
    seen = torch.randint(4, (classes, classes), generator=draw).double()
    new = torch.randperm(classes, generator=draw)  # old class to new
    back = new.argsort()
    counts, truth = without_gold(chances, claims)
    renamed, renamed_truth = without_gold(chances[:, back], new[claims])
    assert torch.allclose(renamed, counts[back][:, back], atol=1e-9)
    assert torch.allclose(renamed_truth, truth[:, back], atol=1e-9)
    first, second = with_gold(counts, seen), with_gold(counts[back][:, back], seen[back][:, back])
    assert torch.allclose(second.share, first.share[back][:, back], atol=1e-9)
    assert bool((first.share >= 0).all()) and math.isfinite(float(first.weight.sum()))
