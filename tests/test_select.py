"""Which items are believed: an exact share, the same whatever the order, every group its part."""

from __future__ import annotations

import math
from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from distrust.errors import DataError
from distrust.select import most_trusted

KEEP = st.sampled_from([0.05, 0.1, 0.25, 0.29, 0.3, 0.5, 0.7, 0.9, 1.0])


@st.composite
def ranked(draw: st.DrawFn) -> tuple[torch.Tensor, list[str], torch.Tensor]:
    """Trust (N,) with many ties, ids in no order, groups (N,)."""
    count = draw(st.integers(0, 25))
    trust = draw(st.lists(st.sampled_from([0.0, 0.1, 0.5, 0.5001, 1.0]), min_size=count, max_size=count))
    groups = draw(st.lists(st.integers(0, 3), min_size=count, max_size=count))
    ids = draw(st.permutations([f"i{row}" for row in range(count)]))
    return torch.tensor(trust, dtype=torch.double), list(ids), torch.tensor(groups, dtype=torch.long)


@given(ranked(), KEEP)
def test_the_best_are_kept_exactly_as_many_as_asked_for(
    given: tuple[torch.Tensor, list[str], torch.Tensor], keep: float
) -> None:
    trust, ids, _ = given
    rows = sorted(range(len(ids)), key=lambda row: ids[row])
    rows.sort(key=lambda row: float(trust[row]), reverse=True)
    chosen = set(rows[: round(keep * len(ids))])
    assert most_trusted(trust, keep, ids).tolist() == [row in chosen for row in range(len(ids))]


@given(ranked(), KEEP)
def test_every_group_keeps_its_share(given: tuple[torch.Tensor, list[str], torch.Tensor], keep: float) -> None:
    """Card, trap 5: r % of every class, and traps 2: round(r · N) in all, ties included."""
    trust, ids, groups = given
    kept = most_trusted(trust, keep, ids, groups)
    assert int(kept.sum()) == round(keep * len(ids))
    sizes = Counter(groups.tolist())
    for group, size in sizes.items():
        mine = [row for row in range(len(ids)) if groups[row] == group]
        count = sum(bool(kept[row]) for row in mine)
        assert math.floor(keep * size + 1e-9) <= count <= math.ceil(keep * size - 1e-9)
        assert count >= 1 or size < 1 / keep
        by_hand = sorted(mine, key=lambda row: (-float(trust[row]), ids[row]))[:count]
        assert {row for row in mine if kept[row]} == set(by_hand)


@given(ranked(), KEEP, st.booleans(), st.sampled_from(["id", "all"]), st.randoms())
def test_the_order_of_items_and_the_names_of_groups_change_nothing(
    given: tuple[torch.Tensor, list[str], torch.Tensor], keep: float, grouped: bool, ties: str, random: object
) -> None:
    trust, ids, groups = given
    kept = most_trusted(trust, keep, ids, groups if grouped else None, ties)  # type: ignore[arg-type]
    order = list(range(len(ids)))
    random.shuffle(order)  # type: ignore[attr-defined]
    renamed = 7 - groups[order] if grouped else None
    again = most_trusted(trust[order], keep, [ids[row] for row in order], renamed, ties)  # type: ignore[arg-type]
    assert again.tolist() == kept[order].tolist()


@given(ranked(), KEEP)
def test_all_ties_are_equation_1_by_the_letter(given: tuple[torch.Tensor, list[str], torch.Tensor], keep: float) -> None:
    trust, ids, _ = given
    count = round(keep * len(ids))
    threshold = sorted(trust.tolist(), reverse=True)[count - 1] if count else math.inf
    assert most_trusted(trust, keep, ids, ties="all").tolist() == [value >= threshold for value in trust.tolist()]


def test_a_remaining_place_goes_where_most_would_be_lost_then_to_the_more_trusted() -> None:
    trust = torch.tensor([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3])
    groups = torch.tensor([0, 0, 0, 1, 1, 1, 2])
    assert most_trusted(trust, 0.5, list("abcdefg"), groups).tolist() == [True, True, False, True, True, False, False]
    assert int(most_trusted(trust, 0.3, list("abcdefg"), groups).sum()) == 2
    spread = torch.tensor([0.9, 0.1, 0.05, 0.8, 0.7, 0.6])  # the second group's next item, not its first, is trusted more
    kept = most_trusted(spread, 0.5, list("abcdef"), torch.tensor([0, 0, 0, 1, 1, 1]))
    assert kept.tolist() == [True, False, False, True, True, False]


@pytest.mark.parametrize(
    ("trust", "keep", "ids", "words"),
    [
        ([1.0], 0.0, ["a"], "keep is 0.0; legal is a share above 0"),
        ([1.0], 1.1, ["a"], "legal is a share above 0 and up to 1"),
        ([1.0], torch.nan, ["a"], "legal is a share above 0"),
        ([1.0, torch.nan], 0.5, ["a", "b"], "ranks nowhere"),
        ([1.0, 2.0], 0.5, ["a"], "2 trusts for 1 items"),
    ],
)
def test_what_cannot_be_ranked_is_refused(trust: list[float], keep: float, ids: list[str], words: str) -> None:
    with pytest.raises(DataError, match=words):
        most_trusted(torch.tensor(trust), keep, ids)
