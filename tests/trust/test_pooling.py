"""The log-linear pool: against loops in double precision, and what gold does to each opinion's say."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from distrust import combine
from distrust.errors import DataError
from distrust.trust.pooling import FLOOR, RIDGE, advise, fit_say, pool


def world(items: int = 400, right: float = 0.6, classes: int = 4, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """True classes (N,), claims (1, N) right so often and else the next class, and a peer (N, C) of some merit."""
    draw = torch.Generator().manual_seed(seed)
    truth = torch.randint(0, classes, (items,), generator=draw)
    wrong = torch.rand(items, generator=draw) >= right
    claims = torch.where(wrong, (truth + 1) % classes, truth)[None]
    scores = 1.5 * torch.nn.functional.one_hot(truth, classes) + torch.randn(items, classes, generator=draw)
    return truth, claims, scores.softmax(-1)


def advice(truth: Tensor, claims: Tensor, peer: Tensor, gold: int = 50) -> Tensor:
    return advise(peer, peer[None, :gold], claims, claims[:, :gold], truth[:gold]).posterior


def test_the_pool_is_a_product_of_powers() -> None:
    draw = torch.Generator().manual_seed(1)
    chances = torch.rand(2, 5, 3, generator=draw, dtype=torch.float64)
    say = torch.tensor([0.7, 1.9])
    ours = pool(chances.log(), say)
    for item in range(5):
        scores = [math.prod(float(chances[one, item, c]) ** float(say[one]) for one in range(2)) for c in range(3)]
        assert ours[item].tolist() == pytest.approx([score / sum(scores) for score in scores], rel=1e-5)


def test_say_minimises_loss_on_gold_and_its_ridge() -> None:
    """Against a grid: no other pair of exponents does better."""
    draw = torch.Generator().manual_seed(2)
    opinions = torch.randn(2, 12, 3, generator=draw, dtype=torch.float64).log_softmax(-1)
    labels = torch.randint(0, 3, (12,), generator=draw)

    def cost(a: float, b: float) -> float:
        total = RIDGE * ((a - 1) ** 2 + b**2)
        for item in range(12):
            scores = [math.exp(a * float(opinions[0, item, c]) + b * float(opinions[1, item, c])) for c in range(3)]
            total -= math.log(scores[int(labels[item])] / sum(scores))
        return total

    say, loss = fit_say(opinions.unsqueeze(1), labels, (1.0, 0.0))
    best = cost(*say.tolist())
    grid = [step / 20 for step in range(60)]
    assert best <= min(cost(a, b) for a in grid for b in grid) + 1e-6
    assert loss == pytest.approx((best - RIDGE * float((say[0] - 1) ** 2 + say[1] ** 2)) / 12)
    assert bool((say >= 0).all())


def test_several_opinions_of_an_item_count_as_one() -> None:
    draw = torch.Generator().manual_seed(2)
    opinions = torch.randn(2, 1, 12, 3, generator=draw, dtype=torch.float64).log_softmax(-1)
    labels = torch.randint(0, 3, (12,), generator=draw)
    once, loss = fit_say(opinions, labels, (1.0, 0.0))
    thrice, same = fit_say(opinions.expand(-1, 3, -1, -1), labels, (1.0, 0.0))
    torch.testing.assert_close(thrice, once)
    assert same == pytest.approx(loss)


def test_peers_are_given_the_say_that_one_alone_merits() -> None:
    """The mean of two is right oftener than either: a say that was fitted on it would be used with less than it deserves."""
    truth, claims, _ = world()
    draw = torch.Generator().manual_seed(4)
    hint = 1.5 * torch.nn.functional.one_hot(truth, 4)
    peers = torch.stack([(hint + 2 * torch.randn(400, 4, generator=draw)).softmax(-1) for _ in range(2)])  # (2, N, C)
    both = advise(peers[0], peers[:, :50], claims, claims[:, :50], truth[:50])
    mean = advise(peers[0], peers[:, :50].mean(0, keepdim=True), claims, claims[:, :50], truth[:50])
    assert both.on_gold.shape == (2, 50, 4)
    assert float(both.say[0]) < float(mean.say[0])
    judged = [float(one.posterior.gather(-1, truth.unsqueeze(-1)).log().mean()) for one in (both, mean)]
    assert judged[0] > judged[1], "what is true is more probable on the pool"


def test_gold_items_are_judged_by_error_models_that_have_not_seen_them() -> None:
    truth, claims, peer = world()
    peers = torch.stack([peer[:20], peer[20:40]])
    found = advise(peer, peers, claims, claims[:, :20], truth[:20])
    for which, item in itertools.product((0, 1), (0, 7, 19)):
        rest = [row for row in range(20) if row != item]
        fitted = combine.fit_confusions(claims[:, rest], truth[rest], claims, 4, found.shrinkage)
        meaning = fitted.posterior(claims[:, item : item + 1])[0].double()
        bare = torch.nn.functional.one_hot(claims[0, item], 4).double()
        own = peers[which, item].double().clamp(min=FLOOR)
        by_hand = (found.say[0] * own.log() + found.say[1] * meaning.log() + found.say[2] * bare).softmax(-1)
        torch.testing.assert_close(found.on_gold[which, item].double(), by_hand, rtol=1e-4, atol=1e-6)


def test_a_systematic_error_is_turned_round() -> None:
    """The teacher says the next class more often than the right one: neither agreement nor a vote would tell."""
    truth, claims, peer = world(right=0.4)
    ours = float((advice(truth, claims, peer).argmax(-1) == truth).float().mean())
    assert ours > float((peer.argmax(-1) == truth).float().mean()) + 0.05
    assert ours > float((claims[0] == truth).float().mean()) + 0.3


def test_a_teacher_that_is_always_right_is_kept() -> None:
    truth, claims, peer = world(right=1.0)
    assert float((advice(truth, claims, peer).argmax(-1) == truth).float().mean()) > 0.99


def test_a_peer_that_guesses_changes_nothing() -> None:
    truth, claims, _ = world(right=0.8)
    guess = torch.rand(400, 4, generator=torch.Generator().manual_seed(5)) * 3
    told = advice(truth, claims, guess.softmax(-1)).argmax(-1)
    assert float((told == truth).float().mean()) >= float((claims[0] == truth).float().mean()) - 0.01


def test_an_item_that_nobody_claimed_is_the_peers() -> None:
    truth, claims, peer = world()
    mute = torch.full_like(claims, -1)
    mute[:, :200] = claims[:, :200]
    found = advise(peer, peer[None, :50], mute, mute[:, :50], truth[:50])
    same = found.posterior[200:].argmax(-1) == (found.say[0] * peer[200:].log()).argmax(-1)
    assert float(same.float().mean()) > 0.9, "but for classes that gold finds frequent"


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.sampled_from([1, 2, 3, 60]))
def test_it_is_a_distribution_whatever_the_gold_and_classes_may_be_renamed(seed: int, gold: int) -> None:
    truth, claims, peer = world(80, seed=seed)
    ours = advice(truth, claims, peer, gold)
    assert bool(ours.isfinite().all()) and torch.allclose(ours.sum(-1), torch.ones(80), atol=1e-5)
    names = torch.randperm(4, generator=torch.Generator().manual_seed(seed))
    renamed = advice(names[truth], names[claims], peer[:, names.argsort()], gold)
    torch.testing.assert_close(renamed[:, names], ours, rtol=1e-3, atol=1e-4)


def test_sizes_that_do_not_fit_and_no_gold_are_refused() -> None:
    truth, claims, peer = world(20)
    with pytest.raises(DataError, match=r"5 gold labels, opinions \(1, 4, 4\) and 5 claims on gold"):
        advise(peer, peer[None, :4], claims, claims[:, :5], truth[:5])
    with pytest.raises(DataError, match="20 opinions and 19 claims on the pool"):
        advise(peer, peer[None, :5], claims[:, 1:], claims[:, :5], truth[:5])
    with pytest.raises(DataError, match="there is none"):
        advise(peer, peer[None, :0], claims, claims[:, :0], truth[:0])
