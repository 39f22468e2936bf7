"""Noise rates and their intervals, on worlds whose noise is known."""

from __future__ import annotations

from statistics import mean

import pytest
import torch
from sklearn.metrics import average_precision_score

from distrust.errors import DataError
from distrust.noise import estimate
from tests.noise.worlds import gold, noisy


def ranking(wrong: torch.Tensor, score: torch.Tensor) -> float:
    return float(average_precision_score(wrong.numpy(), score.numpy()))


@pytest.mark.parametrize("kind, rate", [("symmetric", 0.05), ("symmetric", 0.2), ("pairwise", 0.6), ("systematic", 0)])
def test_with_50_gold_the_interval_covers_the_rate(kind: str, rate: float) -> None:
    world = noisy(kind, rate, items=600)
    found = [estimate(world.chances, world.claims, *gold(world, 50, seed)).rate for seed in range(40)]
    assert mean(one.low <= world.rate <= one.high for one in found) >= 0.9
    assert mean(one.value for one in found) == pytest.approx(world.rate, abs=0.03)


def test_a_good_student_narrows_the_interval_and_a_useless_one_does_no_harm() -> None:
    world = noisy("symmetric", 0.4)
    useless = torch.rand(2000, 5, generator=torch.Generator().manual_seed(5))
    width = {}
    for name, chances in (("good", world.chances), ("useless", useless)):
        found = [estimate(chances, world.claims, *gold(world, 50, seed)).rate for seed in range(25)]
        width[name] = mean(one.high - one.low for one in found)
        assert mean(one.low <= world.rate <= one.high for one in found) >= 0.9
    assert width["good"] < 0.75 * width["useless"] and width["useless"] < 0.3


def test_without_gold_random_noise_is_found_and_systematic_noise_is_not() -> None:
    for rate in (0.2, 0.4):
        world = noisy("symmetric", rate)
        found = estimate(world.chances, world.claims)
        assert found.rate.low <= world.rate <= found.rate.high
        assert ranking(world.claims != world.truth, found.wrong) > 0.9
    world = noisy("systematic", 0)
    found = estimate(world.chances, world.claims)
    assert world.rate > 0.15 and found.rate.high < 0.1, "a student agrees with what is always wrong alike"


def test_gold_shows_systematic_noise() -> None:
    world = noisy("systematic", 0)
    rows, labels = gold(world, 50, 0)
    found = estimate(world.chances, world.claims, rows, labels)
    assert found.rate.low <= world.rate <= found.rate.high
    assert float(found.low[1, 0]) <= 0.5 <= float(found.high[1, 0]), "half of what is called 1 is 0"
    assert float(found.wrong[world.claims == 1].mean()) > 3 * float(found.wrong[world.claims != 1].mean())


def test_gold_turns_a_ranking_that_is_upside_down() -> None:
    """From a rate of 0.5 on pairwise noise is what a student believes: only gold can tell."""
    world = noisy("pairwise", 0.6)
    wrong = world.claims != world.truth
    rows, labels = gold(world, 50, 0)
    assert ranking(wrong, estimate(world.chances, world.claims).wrong) < 0.6
    assert ranking(wrong, estimate(world.chances, world.claims, rows, labels).wrong) > 0.95


def test_chances_to_be_wrong_are_calibrated_with_gold() -> None:
    world = noisy("symmetric", 0.4)
    wrong = (world.claims != world.truth).double()
    found = [estimate(world.chances, world.claims, *gold(world, 50, seed)).wrong for seed in range(10)]
    for low, high in ((0, 0.2), (0.8, 1.01)):
        inside = [(one >= low) & (one < high) for one in found]
        said = mean(float(one[part].mean()) for one, part in zip(found, inside, strict=True))
        true = mean(float(wrong[part].mean()) for part in inside)
        assert said == pytest.approx(true, abs=0.1)


def test_the_matrix_covers_what_is_true() -> None:
    world = noisy("pairwise", 0.3)
    held = []
    for seed in range(10):
        found = estimate(world.chances, world.claims, *gold(world, 50, seed))
        for claimed in range(5):
            share = float((world.truth[world.claims == claimed] == claimed).double().mean())
            held.append(float(found.low[claimed, claimed]) <= share <= float(found.high[claimed, claimed]))
        assert torch.allclose(found.matrix.sum(-1), torch.ones(5).double())
        assert bool((found.low <= found.matrix).all() and (found.matrix <= found.high).all())
    assert mean(held) >= 0.9


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_very_little_gold_is_a_wide_interval(count: int) -> None:
    world = noisy("symmetric", 0.4)
    found = estimate(world.chances, world.claims, *gold(world, count, 1))
    assert found.gold == count and found.rate.high - found.rate.low > 0.4
    assert bool(((found.wrong >= 0) & (found.wrong <= 1)).all())


@pytest.mark.parametrize("rate, value", [(0.0, 0.0), (1.0, 1.0)])
def test_a_teacher_that_is_always_right_or_always_wrong(rate: float, value: float) -> None:
    world = noisy("symmetric", rate)
    found = estimate(world.chances, world.claims, *gold(world, 50, 0))
    assert found.rate.value == value and found.rate.low <= value <= found.rate.high
    assert 0.05 < found.rate.high - found.rate.low < 0.1, "Wilson's interval of 50 of 50"


def test_gold_everywhere_leaves_no_doubt() -> None:
    world = noisy("symmetric", 0.4, items=200)
    rows = torch.arange(200)
    found = estimate(world.chances, world.claims, rows, world.truth)
    assert torch.equal(found.suggested, world.truth) and torch.equal(found.wrong, (world.claims != world.truth).double())
    assert found.rate.value == pytest.approx(world.rate, abs=0.01)


def test_nothing_that_was_given_is_changed_and_the_order_of_items_is_nothing() -> None:
    world = noisy("symmetric", 0.4, items=300)
    rows, labels = gold(world, 30, 0)
    before = [one.clone() for one in (world.chances, world.claims, rows, labels)]
    found = estimate(world.chances, world.claims, rows, labels)
    assert all(torch.equal(one, two) for one, two in zip(before, (world.chances, world.claims, rows, labels), strict=True))
    order = torch.randperm(300, generator=torch.Generator().manual_seed(1))
    again = estimate(world.chances[order], world.claims[order], order.argsort()[rows], labels)
    assert torch.allclose(again.wrong, found.wrong[order], atol=1e-9)
    assert again.rate.value == pytest.approx(found.rate.value) and torch.allclose(again.matrix, found.matrix)


def test_copies_of_a_text_are_no_more_gold_than_the_text() -> None:
    """Whoever labels 25 texts of five copies each has 25 gold labels, and the interval knows."""
    world = noisy("symmetric", 0.4, items=400)
    chances, claims, texts = world.chances.repeat(5, 1), world.claims.repeat(5), torch.arange(400).repeat(5)
    held: dict[str, list[bool]] = {"told": [], "not told": []}
    for seed in range(25):
        rows, labels = gold(world, 25, seed)
        copies = torch.cat([rows + 400 * turn for turn in range(5)])
        for name, same in (("told", texts), ("not told", None)):
            rate = estimate(chances, claims, copies, labels.repeat(5), same).rate
            held[name].append(rate.low <= world.rate <= rate.high)
        once = estimate(world.chances, world.claims, rows, labels).rate
        told = estimate(chances, claims, copies, labels.repeat(5), texts).rate
        assert told.value == pytest.approx(once.value, abs=0.03) and told.high - told.low > 0.9 * (once.high - once.low)
    assert mean(held["told"]) >= 0.9 > mean(held["not told"])


def test_without_copies_the_numbers_of_texts_are_nothing() -> None:
    world = noisy("symmetric", 0.4, items=300)
    rows, labels = gold(world, 30, 0)
    order = torch.randperm(300, generator=torch.Generator().manual_seed(1))
    plain, numbered = (estimate(world.chances, world.claims, rows, labels, texts) for texts in (None, order))
    assert plain.rate == numbered.rate and torch.equal(plain.wrong, numbered.wrong) and torch.equal(plain.low, numbered.low)


@pytest.mark.parametrize("looked", [0, 8])
def test_no_rate_is_below_what_copies_contradict(looked: int) -> None:
    """Each of ten texts stands there twice as two classes: ten claims are wrong, whatever a student or lucky gold says."""
    claims, texts = torch.tensor([0] * 10 + [1] * 10 + [2] * 20), torch.tensor([*range(10), *range(10), *range(10, 30)])
    chances = 0.001 + torch.nn.functional.one_hot(claims, 3).double()  # it believes every claim
    rows = 20 + torch.arange(looked)
    found = {name: estimate(chances, claims, rows, claims[rows], same).rate for name, same in (("no", None), ("yes", texts))}
    assert found["no"].value < 0.25 and found["no"].low < 0.25
    assert found["yes"].low == found["yes"].value == 0.25 and found["yes"].high == max(found["no"].high, 0.25)


def test_what_is_refused() -> None:
    world = noisy("symmetric", 0.4, items=20)
    rows = torch.tensor([1, 2])
    for chances, claims, gold_rows, labels, said in (
        (world.chances[:1], world.claims[:1], None, None, "at least two of each"),
        (world.chances[:, :1], world.claims * 0, None, None, "at least two of each"),
        (world.chances * torch.nan, world.claims, None, None, "not finite"),
        (world.chances, world.claims - 1, None, None, "classes 0 to 4"),
        (world.chances, world.claims[1:], None, None, "do not fit"),
        (world.chances, world.claims, rows, torch.tensor([1, 5]), "classes 0 to 4"),
        (world.chances, world.claims, torch.tensor([1, 1]), torch.tensor([1, 1]), "different items"),
        (world.chances, world.claims, torch.tensor([1, 20]), torch.tensor([1, 1]), "different items"),
    ):
        with pytest.raises(DataError, match=said):
            estimate(chances, claims, gold_rows, labels)
    with pytest.raises(DataError, match="19 numbers of texts for 20 items"):
        estimate(world.chances, world.claims, texts=torch.arange(19))
