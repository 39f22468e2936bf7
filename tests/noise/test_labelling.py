"""What to label next: a naive greedy search agrees, and it spreads over classes."""

from __future__ import annotations

import torch

from distrust.noise import Noise, estimate, next_to_label
from tests.noise.worlds import gold, noisy


def naive(noise: Noise, claims: torch.Tensor, count: int, known: list[int]) -> list[int]:
    """The best class by the expected drop of variance, then the item nearest to even odds, one at a time."""
    weight, chosen = noise.weight.tolist(), []
    for _ in range(count):
        best, place = -1.0, None
        for label in range(len(weight)):
            rows = [row for row in range(len(claims)) if int(claims[row]) == label and row not in {*known, *chosen}]
            right, held = float(noise.matrix[label, label]), weight[label]
            variance = int(noise.claimed[label]) ** 2 * right * (1 - right) / (held + 1)
            gain = variance - variance * (held + 1) / (held + 2)  # of a Beta, when one more is known
            if rows and gain > best * (1 + 1e-12):
                best, place = gain, min(rows, key=lambda row: abs(float(noise.wrong[row]) - 0.5))
        assert place is not None
        chosen.append(place)
        weight[int(claims[place])] += 1
    return chosen


def test_as_a_naive_greedy_search() -> None:
    world = noisy("pairwise", 0.3, items=80)
    rows, labels = gold(world, 20, 0)
    noise = estimate(world.chances, world.claims, rows, labels)
    found = next_to_label(noise, world.claims, 12, rows)
    assert found == naive(noise, world.claims, 12, rows.tolist())
    assert len(set(world.claims[found].tolist())) > 1


def test_known_items_are_not_asked_for_and_there_may_be_too_few() -> None:
    world = noisy("symmetric", 0.3, items=30)
    rows, labels = gold(world, 25, 0)
    noise = estimate(world.chances, world.claims, rows, labels)
    assert sorted(next_to_label(noise, world.claims, 99, rows)) == sorted(set(range(30)) - set(rows.tolist()))
    assert next_to_label(noise, world.claims, 0) == []


def test_a_text_is_labelled_once() -> None:
    world = noisy("symmetric", 0.3, items=30)
    rows, labels = gold(world, 5, 0)
    noise = estimate(world.chances, world.claims, rows, labels)
    texts = torch.arange(30) % 12
    found = next_to_label(noise, world.claims, 99, rows, texts)
    assert sorted(texts[found].tolist()) == sorted(set(range(12)) - set(texts[rows].tolist()))
