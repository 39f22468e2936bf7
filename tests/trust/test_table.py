"""Label tables: what is refused, and the laws that every estimator keeps."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from distrust.errors import DataError
from distrust.trust import ESTIMATORS, Table, find
from tests.trust.tables import table

CLAIMS = torch.tensor([[0, 1, -1], [1, 1, 0]])
ROWS = torch.tensor([0, 2])


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"claims": torch.zeros(3, dtype=torch.long)}, r"legal is \(teachers, items\)"),
        ({"claims": torch.zeros(0, 3, dtype=torch.long)}, r"legal is \(teachers, items\)"),
        ({"claims": torch.zeros(2, 0, dtype=torch.long)}, "holds no item"),
        ({"claims": CLAIMS.double()}, "int64"),
        ({"claims": CLAIMS + 1}, r"outside the 2 classes; legal are -1 \(abstains\) to 1"),
        ({"claims": CLAIMS - 1}, "outside the 2 classes"),
        ({"classes": 0}, "outside the 0 classes"),
        ({"gold_rows": ROWS, "gold_labels": ROWS[:1]}, r"legal is \(n,\) of both"),
        ({"gold_rows": torch.tensor([1, 1]), "gold_labels": torch.tensor([0, 0])}, "listed twice"),
        ({"gold_rows": ROWS + 1, "gold_labels": torch.tensor([0, 1])}, "none of the table's 3 items"),
        ({"gold_rows": ROWS, "gold_labels": ROWS}, "outside the 2 classes; legal are 0 to 1"),
        ({"known": torch.ones(2, 3, dtype=torch.bool)}, r"legal is \(2, 2\) bool"),
        ({"known": torch.tensor([[True, True], [True, False]]), "names": ("a", "b")}, "b claims a class it is said not"),
        ({"probabilities": torch.ones(2, 3, 3) / 3}, r"legal is \(2, 3, 2\)"),
        ({"probabilities": torch.ones(2, 3, 2)}, "no distribution"),
        ({"probabilities": torch.tensor([1.5, -0.5]).expand(2, 3, 2)}, "no distribution"),
        ({"probabilities": torch.full((2, 3, 2), torch.nan)}, "no distribution"),
        ({"names": ("only one",)}, "1 names for 2 teachers"),
    ],
)
def test_tables_that_are_none_are_refused(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        Table(**{"claims": CLAIMS, "classes": 2, **changes})


def test_patterns_are_the_distinct_columns_gold_told_apart() -> None:
    claims = torch.tensor([[0, 0, 0, 1, -1], [1, 1, 1, 1, -1]])
    found = Table(claims, 2, torch.tensor([1]), torch.tensor([1])).patterns()
    assert sorted(found.count.tolist()) == [1, 1, 1, 2] and found.of_item[0] == found.of_item[2] != found.of_item[1]
    assert torch.equal(found.claims[:, found.of_item], claims)
    assert found.gold[found.of_item].tolist() == [-1, 1, -1, -1, -1]
    clamped = found.clamped(torch.full((4, 2), 0.5).double())[found.of_item]
    assert clamped.tolist() == [[0.5, 0.5], [0, 1], [0.5, 0.5], [0.5, 0.5], [0.5, 0.5]]


def test_an_unknown_estimator_is_refused_by_its_nearest() -> None:
    with pytest.raises(DataError, match="did you mean 'dawid-skene'"):
        find("david-skene")


# laws of every estimator


@pytest.mark.parametrize("name", sorted(ESTIMATORS))
def test_posteriors_are_distributions_and_the_table_and_the_random_state_stay_as_they_were(name: str) -> None:
    given, _ = table()
    before, state = given.claims.clone(), torch.get_rng_state()
    chances = find(name).fit(given).posterior(given.claims)
    assert chances.shape == (60, 3) and bool((chances >= 0).all())
    torch.testing.assert_close(chances.sum(-1).double(), torch.ones(60).double(), atol=1e-6, rtol=0)
    assert torch.equal(given.claims, before) and torch.equal(torch.get_rng_state(), state)
    again = find(name).fit(given).posterior(given.claims)
    assert torch.equal(chances, again), "the same table gives the same trust, bit for bit"


@pytest.mark.parametrize("name", sorted(ESTIMATORS))
def test_the_order_of_teachers_and_the_names_of_classes_change_nothing(name: str) -> None:
    given, _ = table(gold=24)
    plain = find(name).fit(given).posterior(given.claims)
    order = torch.tensor([2, 0, 3, 1])
    moved = Table(given.claims[order], 3, given.gold_rows, given.gold_labels)
    torch.testing.assert_close(find(name).fit(moved).posterior(moved.claims), plain, rtol=1e-3, atol=1e-4)
    renamed = torch.tensor([1, 2, 0, -1])  # the last: who abstains still does
    other = Table(renamed[given.claims], 3, given.gold_rows, renamed[given.gold_labels])
    found = find(name).fit(other).posterior(other.claims)
    torch.testing.assert_close(found[:, renamed[:3]], plain, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", sorted(ESTIMATORS))
def test_a_teacher_that_never_speaks_changes_nothing_and_one_teacher_is_enough(name: str) -> None:
    given, _ = table(gold=24)
    mute = torch.full((1, 60), -1)
    more = Table(torch.cat([given.claims, mute]), 3, given.gold_rows, given.gold_labels)
    plain, beside = (find(name).fit(one).posterior(one.claims) for one in (given, more))
    tolerance = 0.05 if name in ("weighted-vote", "stacking", "auto") else 1e-6  # a common weight has one more voice
    torch.testing.assert_close(beside, plain, rtol=tolerance, atol=tolerance)
    alone = Table(given.claims[:1], 3, given.gold_rows, given.gold_labels)
    assert bool(find(name).fit(alone).posterior(alone.claims).isfinite().all())


@pytest.mark.parametrize("name", sorted(ESTIMATORS))
def test_claims_of_others_are_refused_and_items_of_no_claim_get_a_prior(name: str) -> None:
    given, _ = table()
    fitted = find(name).fit(given)
    with pytest.raises(DataError, match="3 teachers but trust was fitted on 4"):
        fitted.posterior(given.claims[:3])
    with pytest.raises(DataError, match="outside the 3 classes"):
        fitted.posterior(given.claims + 2)
    silence = fitted.posterior(torch.full((4, 1), -1))
    assert silence.shape == (1, 3) and float(silence.min()) > 0.05
    assert fitted.posterior(given.claims[:, :0]).shape == (0, 3)


@pytest.mark.parametrize("name", [name for name, one in ESTIMATORS.items() if one.needs_gold])
def test_without_gold_those_that_need_it_say_so(name: str) -> None:
    given, _ = table(gold=0)
    with pytest.raises(DataError, match=f"{name} is fitted on gold, and there is none; dawid-skene and auto need none"):
        find(name).fit(given)


@pytest.mark.parametrize("name", sorted(ESTIMATORS))
@pytest.mark.parametrize("gold", [1, 2, 3, 5])
def test_any_amount_of_gold_will_do(name: str, gold: int) -> None:
    given, _ = table(gold=gold)
    assert bool(find(name).fit(given).posterior(given.claims).isfinite().all())


@pytest.mark.parametrize("name", sorted(ESTIMATORS))
def test_not_to_know_a_class_is_not_to_deny_it(name: str) -> None:
    """Two teachers say a; one that knows only b and c must not talk an item out of a more than one that knows a."""
    draw = torch.Generator().manual_seed(0)
    labels = torch.randint(3, (300,), generator=draw)
    wrong = (labels + torch.randint(1, 3, (300,), generator=draw)) % 3
    claims = torch.stack([torch.where(torch.rand(300, generator=draw) < 0.6, labels, wrong) for _ in range(3)])
    claims[2] = torch.where(labels == 0, torch.randint(1, 3, (300,), generator=draw), claims[2].clamp(min=1))
    known = torch.ones(3, 3, dtype=torch.bool)
    known[2, 0] = False
    rows = torch.arange(100)
    asked = torch.tensor([[0], [0], [1]])
    told, untold = (
        find(name).fit(Table(claims, 3, rows, labels[:100], one)).posterior(asked)[0, 0] for one in (known, None)
    )
    assert float(told) >= float(untold) - 1e-6
