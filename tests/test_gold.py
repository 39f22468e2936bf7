"""Gold: parts are disjoint, folds partition, and nothing depends on anything but items and seed."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from distrust.errors import DataError
from distrust.gold import PURPOSES, Gold
from distrust.labels import LabelSpace

SPACE = LabelSpace(("a", "b", "c", "d"))


def gold(size: int, reserve: dict[str, int] | None = None, seed: int = 0) -> Gold:
    labels = torch.tensor([(row * row) % 4 for row in range(size)], dtype=torch.long)
    return Gold(tuple(f"g{row}" for row in range(size)), labels, SPACE, reserve or {}, seed)


@given(st.integers(0, 40), st.dictionaries(st.sampled_from(PURPOSES), st.integers(0, 5)), st.integers(0, 3))
def test_reserved_parts_are_disjoint_have_their_size_and_leave_the_rest_to_all_others(
    size: int, reserve: dict[str, int], seed: int
) -> None:
    if sum(reserve.values()) > size:
        with pytest.raises(DataError, match=f"reserved but there are only {size}"):
            gold(size, reserve, seed)
        return
    whole = gold(size, reserve, seed)
    own = [set(whole.part(purpose).ids) for purpose in reserve]
    assert [len(part) for part in own] == list(reserve.values())
    shared = {whole.part(purpose).ids for purpose in PURPOSES if purpose not in reserve}
    assert len(shared) <= 1
    everything = [item for part in own for item in part] + [item for part in shared for item in part]
    assert len(set(everything)) == len(everything)
    if shared:
        assert set(everything) == set(whole.ids)
    for purpose in PURPOSES:
        part = whole.part(purpose)
        assert part.labels.tolist() == [int(whole.labels[whole.ids.index(item)]) for item in part.ids]


@given(st.integers(0, 40), st.integers(2, 7), st.sampled_from(PURPOSES))
def test_folds_hold_each_item_once_and_fit_on_all_others(size: int, k: int, purpose: str) -> None:
    whole = gold(size, {"prompt": min(size, 2)})
    part = whole.part(purpose)
    folds = whole.folds(purpose, k)
    assert len(folds) == (0 if len(part) < 2 else max(2, min(k, len(part) // 2)))
    if folds:
        assert Counter(item for fold in folds for item in fold.held.ids) == Counter(part.ids)
        sizes = [len(fold.held) for fold in folds]
        assert max(sizes) - min(sizes) <= 1
    for fold in folds:
        assert set(fold.fit.ids) == set(part.ids) - set(fold.held.ids) and len(fold.fit)


@pytest.mark.parametrize(("size", "folds"), [(0, 0), (1, 0), (2, 2), (3, 2), (4, 2), (9, 4), (10, 5), (50, 5)])
def test_little_gold_has_fewer_folds(size: int, folds: int) -> None:
    assert len(gold(size).folds("trust")) == folds


def test_a_prompt_item_is_in_no_other_part_and_in_no_fold() -> None:
    whole = gold(30, {"prompt": 8})
    quoted = set(whole.part("prompt").ids)
    for purpose in PURPOSES:
        if purpose != "prompt":
            assert not quoted & set(whole.part(purpose).ids)
            assert not quoted & {item for fold in whole.folds(purpose) for item in (*fold.held.ids, *fold.fit.ids)}


def test_a_reserved_part_shows_every_class_before_any_class_twice() -> None:
    labels = torch.tensor([0] * 20 + [1, 2, 3])
    whole = Gold(tuple(str(row) for row in range(23)), labels, SPACE, {"prompt": 4})
    assert sorted(whole.part("prompt").labels.tolist()) == [0, 1, 2, 3]


def test_the_seed_decides_and_the_order_of_the_reserve_does_not() -> None:
    reserve = {"prompt": 5, "stop": 5}
    first, again = gold(40, reserve), gold(40, dict(reversed(reserve.items())))
    other = gold(40, reserve, seed=1)
    assert first.part("stop").ids == again.part("stop").ids != other.part("stop").ids
    held = [fold.held.ids for fold in first.folds("trust")]
    assert held == [fold.held.ids for fold in again.folds("trust")]
    assert held != [fold.held.ids for fold in other.folds("trust")]
    assert held != [fold.held.ids for fold in first.folds("calibrate")]  # purposes fold differently


def test_the_global_random_state_is_left_alone() -> None:
    import random

    before, torch_before = random.getstate(), torch.random.get_rng_state()
    gold(30, {"prompt": 3}).folds("trust")
    assert random.getstate() == before and torch.equal(torch.random.get_rng_state(), torch_before)


def test_missing_classes_are_named() -> None:
    assert Gold(("x",), torch.tensor([1]), SPACE).missing_classes() == ["a", "c", "d"]
    assert gold(0).missing_classes() == list(SPACE.names)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"ids": ("x", "x")}, "listed twice"),
        ({"ids": ("x",)}, "1 gold ids but 2 labels"),
        ({"labels": torch.tensor([0, 4])}, "outside the 4 classes"),
        ({"labels": torch.tensor([0, -1])}, "outside the 4 classes"),
        ({"reserve": {"promt": 1}}, "did you mean 'prompt'"),
        ({"reserve": {"prompt": 3}}, "3 gold items are reserved but there are only 2"),
        ({"reserve": {"prompt": -1}}, "-1 gold items are reserved for 'prompt'"),
    ],
)
def test_what_is_no_gold_is_refused(change: dict[str, object], said: str) -> None:
    whole = {"ids": ("x", "y"), "labels": torch.tensor([0, 1]), "space": SPACE} | change
    with pytest.raises(DataError, match=said):
        Gold(**whole)  # type: ignore[arg-type]


def test_an_unknown_purpose_and_a_single_fold_are_refused() -> None:
    with pytest.raises(DataError, match="did you mean 'judge'"):
        gold(4).part("juge")
    with pytest.raises(DataError, match="folded 1 times"):
        gold(4).folds("judge", k=1)
