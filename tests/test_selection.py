"""Choosing what to buy: by hand, against sorting in a loop, whatever the items' order, and a million at once."""

from __future__ import annotations

import math
import time
import tracemalloc
import zlib

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from distrust.errors import DataError
from distrust.evidence import Dense, Evidence
from distrust.labels import LabelSpace
from distrust.selection import at_random, disagreement, k_centres, need, ranked, stages, uncertainty

SCORES = st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=1, max_size=12)


def names(count: int) -> list[str]:
    return [f"item-{number}" for number in range(count)]


@given(SCORES, st.integers(0, 14), st.integers(0, 5), st.randoms())
def test_ranking_is_by_score_a_prefix_of_more_and_the_items_order_changes_nothing(scores, count, seed, random) -> None:  # type: ignore[no-untyped-def]
    """Trap 7."""
    ids, values = names(len(scores)), torch.tensor(scores)
    found = ranked(values, ids, count, seed).tolist()
    assert len(found) == len(set(found)) == min(count, len(ids))
    assert [scores[row] for row in found] == sorted(scores, reverse=True)[:count]
    assert found == ranked(values, ids, None, seed).tolist()[:count]
    order = list(range(len(ids)))
    random.shuffle(order)
    again = ranked(values[order], [ids[row] for row in order], count, seed).tolist()
    assert [order[row] for row in again] == found


def test_between_equal_scores_the_seed_decides_and_no_place_comes_first() -> None:
    ids = names(2000)
    first, second = at_random(ids, 200), at_random(ids, 200, seed=1)
    assert first.tolist() == at_random(ids, 200).tolist() != second.tolist()
    assert first.tolist() == at_random(ids, 900).tolist()[:200]
    for chosen in (first, second):
        assert abs(float(chosen.double().mean()) - 1000) < 4 * 577 / math.sqrt(200)
    overlap = len(set(first.tolist()) & set(second.tolist()))
    assert 5 <= overlap <= 40  # 20 by chance


def test_ids_decide_where_their_hashes_are_equal() -> None:
    assert zlib.crc32(b"plumless") == zlib.crc32(b"buckeroo")
    for ids in (["plumless", "x", "buckeroo"], ["buckeroo", "plumless", "x"]):
        said = [ids[row] for row in ranked(torch.zeros(3), ids)]
        assert said.index("buckeroo") + 1 == said.index("plumless")
        assert ids[ranked(torch.tensor([float(one != "x") for one in ids]), ids, 1)[0]] == "buckeroo"


def test_a_million_scores_take_less_than_a_second_and_no_quadratic_memory() -> None:
    ids, draw = names(10**6), torch.Generator().manual_seed(0)
    for scores in (torch.rand(10**6, generator=draw), torch.randint(5, (10**6,), generator=draw) / 5):
        start = time.process_time()
        found = ranked(scores, ids, 50_000)
        assert time.process_time() - start < 1.0
        assert float(scores[found].min()) >= float(scores.kthvalue(950_000).values)
    tracemalloc.start()
    ranked(torch.zeros(10**6), ids, 50_000)
    assert tracemalloc.get_traced_memory()[1] < 200 * 2**20
    tracemalloc.stop()


def test_need_by_hand() -> None:
    """A3; trap 6: λ = 1 ignores the assistant, bit for bit, whatever it says."""
    consistency, assistant = torch.tensor([1.0, 0.2, 0.6, torch.nan]), torch.tensor([0.5, 0.0, torch.nan, torch.nan])
    assert need(consistency, assistant).tolist() == pytest.approx([0.25, 0.9, 0.4, 1])
    assert need(consistency, assistant, 0.25).tolist() == pytest.approx([1 - 0.25 - 0.375, 0.95, 0.4, 1])
    assert torch.equal(need(consistency, assistant, 1.0), need(consistency, None))
    assert torch.equal(need(consistency, assistant, 0.0), need(None, assistant))
    with pytest.raises(DataError, match="both are switched off"):
        need(None, None)
    with pytest.raises(DataError, match="both are switched off"):
        need(consistency, None, 0.0)
    with pytest.raises(DataError, match="legal is 0 to 1"):
        need(consistency, assistant, 1.5)
    with pytest.raises(DataError, match="of different items"):
        need(consistency, assistant[:2])


def test_baselines_by_hand() -> None:
    chances = torch.tensor([[0.5, 0.3, 0.2], [1.0, 0.0, 0.0], [1 / 3, 1 / 3, 1 / 3]])
    evidence = Evidence(
        "s", tuple(names(3)), LabelSpace(("a", "b", "c")), torch.zeros(1, 3, dtype=torch.long), Dense(chances.log())
    )
    nats = -sum(one * math.log(one) for one in (0.5, 0.3, 0.2)) / math.log(3)
    assert uncertainty(evidence, "entropy").tolist() == pytest.approx([nats, 0, 1], abs=1e-6)
    assert uncertainty(evidence, "margin").tolist() == pytest.approx([0.8, 0, 1], abs=1e-6)
    silent = Evidence("s", ("i",), LabelSpace(("a", "b")), torch.tensor([[-1]]))
    assert uncertainty(silent, "entropy").tolist() == uncertainty(silent, "margin").tolist() == [1]
    committee = torch.tensor([[0, 0, -1], [0, 1, -1], [0, -1, -1]])
    assert disagreement(committee, 3).tolist() == pytest.approx([0, 1, 1], abs=1e-6)
    with pytest.raises(DataError, match=r"'margins'; did you mean 'margin'\?"):
        uncertainty(evidence, "margins")  # type: ignore[arg-type]


def naive_centres(points: list[list[float]], first: list[int], count: int) -> list[float]:
    """How far each next centre was from the nearest one before, in a loop."""
    taken, radii = list(first), []
    for _ in range(count):
        far = [
            -1.0 if row in taken else min(math.dist(point, points[one]) for one in taken) for row, point in enumerate(points)
        ]
        radii.append(max(far))
        taken.append(far.index(max(far)))
    return radii


def test_k_centres_are_as_far_apart_as_a_loop_finds_and_the_items_order_changes_nothing() -> None:
    draw = torch.Generator().manual_seed(0)
    features, ids = torch.randn(60, 3, generator=draw), names(60)
    taken = torch.tensor([4, 9])
    chosen = k_centres(features, ids, 12, taken).tolist()
    radii = []
    for place, row in enumerate(chosen):
        before = [4, 9, *chosen[:place]]
        radii.append(float((features[before] - features[row]).norm(dim=-1).min()))
    assert radii == pytest.approx(naive_centres(features.tolist(), [4, 9], 12), rel=1e-5)
    order = torch.randperm(60, generator=draw)
    moved = [int((order == row).nonzero()) for row in (4, 9)]
    again = k_centres(features[order], [ids[row] for row in order.tolist()], 12, torch.tensor(moved))
    assert order[again].tolist() == chosen


def test_copies_are_chosen_once_each_and_last() -> None:
    features = torch.tensor([[0.0], [0.0], [5.0], [0.0]])
    chosen = k_centres(features, names(4), 4)
    assert sorted(chosen.tolist()) == [0, 1, 2, 3] and 2 in chosen[:2].tolist()
    assert k_centres(features, names(4), 0).tolist() == []
    with pytest.raises(DataError, match="of 2 that are left"):
        k_centres(features, names(4), 3, torch.tensor([0, 1]))
    with pytest.raises(DataError, match="all finite"):
        k_centres(features * torch.nan, names(4), 1)


@pytest.mark.parametrize(
    ("budget", "pool", "share", "wanted"),
    [(100, 1000, 0.3, (30, 70)), (500, 100, 0.3, (30, 70)), (5, 9, 0, (0, 5)), (5, 9, 1, (5, 0))],
)
def test_a_budget_is_split_into_two_stages(budget, pool, share, wanted) -> None:  # type: ignore[no-untyped-def]
    assert stages(budget, pool, share) == wanted


@given(st.integers(-1, 60), st.integers(0, 40), st.sampled_from([0.0, 0.05, 0.1, 0.3, 0.5, 0.9, 1.0]))
def test_stages_add_up_or_say_what_would_do(budget: int, pool: int, share: float) -> None:
    try:
        first, rest = stages(budget, pool, share)
    except DataError as error:
        least = int(str(error).rsplit("give ", 1)[1].split(" ")[0])
        assert stages(least, max(least, pool), share)
    else:
        assert first + rest == min(budget, pool) and (first > 0 or share == 0) and (rest > 0 or share == 1)


def test_wrong_calls_are_refused() -> None:
    with pytest.raises(DataError, match="do not rank 3 items"):
        ranked(torch.zeros(2), names(3))
    with pytest.raises(DataError, match="not finite"):
        ranked(torch.tensor([0.0, torch.nan]), names(2))
    with pytest.raises(DataError, match="legal is 0 to 1"):
        stages(10, 10, 1.1)
