from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distrust.budget import Accounts, CapReachedError, Charge, money, refuse_unkeepable
from distrust.errors import BudgetError
from distrust.recipe import Budget, Price

FREE = Budget()


def test_money_by_hand_and_unknown_is_not_zero() -> None:
    tokens = Price(per_million_prompt_tokens=2, per_million_completion_tokens=10)
    assert money(tokens, 1000, 100) == pytest.approx(0.002 + 0.001)
    assert money(Price(per_call=0.5), 1000, 100) == 0.5
    assert money(Price(per_call=0), 1, 1) == 0.0
    assert money(Price(), 1, 1) is None
    assert money(Price(per_million_prompt_tokens=2), 1, 1) is None


@pytest.mark.parametrize(
    ("price", "max_tokens", "own", "total", "words"),
    [
        (Price(), 5, Budget(money=1), FREE, r"teachers\.t\.budget\.money .* price is unknown"),
        (Price(), 5, FREE, Budget(money=1), r"^budget\.money .* price is unknown"),
        (Price(per_call=1), None, Budget(tokens=9), FREE, r"teachers\.t\.budget\.tokens .* set its `max_tokens`"),
        (
            Price(per_million_prompt_tokens=1, per_million_completion_tokens=1),
            None,
            FREE,
            Budget(money=9),
            r"^budget\.money .* set its `max_tokens`",
        ),
    ],
)
def test_caps_that_cannot_be_kept_are_refused(price: Price, max_tokens: Any, own: Budget, total: Budget, words: str) -> None:
    with pytest.raises(BudgetError, match=words):
        refuse_unkeepable("t", price, max_tokens, own, total)


def test_caps_that_can_be_kept_are_not() -> None:
    refuse_unkeepable("t", Price(), None, Budget(calls=3), FREE)
    refuse_unkeepable("t", Price(per_call=1), None, Budget(money=3), FREE)


def test_a_call_waits_for_those_in_flight_and_ends_buying_only_without_them() -> None:
    accounts, cap, worst = Accounts(), Budget(tokens=100), Charge(10, 50, 0.0)
    assert accounts.reserve("t", worst, cap, FREE)
    assert not accounts.reserve("t", worst, cap, FREE)  # 60 of 100 reserved: wait
    accounts.settle("t", worst, Charge(10, 2, 0.0))
    assert accounts.reserve("t", worst, cap, FREE)
    accounts.settle("t", worst, Charge(10, 50, 0.0))
    with pytest.raises(CapReachedError, match=r"^teachers\.t\.budget\.tokens$"):
        accounts.reserve("t", worst, cap, FREE)


def test_the_total_cap_counts_every_teacher() -> None:
    accounts, call = Accounts(), Charge(1, 1, 0.01)
    for teacher in ("a", "b"):
        assert accounts.reserve(teacher, call, FREE, Budget(calls=2))
        accounts.settle(teacher, call, call)
    with pytest.raises(CapReachedError, match=r"^budget\.calls$"):
        accounts.reserve("a", call, FREE, Budget(calls=2))


def test_a_hundred_cents_fill_a_cap_of_one() -> None:
    accounts, cent = Accounts(), Charge(1, 1, 0.01)
    for _ in range(100):
        assert accounts.reserve("t", cent, Budget(money=1.0), FREE)
        accounts.settle("t", cent, cent)
    with pytest.raises(CapReachedError):
        accounts.reserve("t", cent, Budget(money=1.0), FREE)


def test_money_spent_at_an_unknown_price_makes_a_money_cap_impossible() -> None:
    accounts = Accounts()
    accounts.reserve("t", Charge(1, 1, None), FREE, FREE)
    accounts.settle("t", Charge(1, 1, None), Charge(1, 1, None))
    assert accounts.money("t") is None
    with pytest.raises(BudgetError, match="1 earlier calls"):
        accounts.reserve("t", Charge(1, 1, 0.1), FREE, Budget(money=1.0))


@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40), st.booleans()), max_size=60),
    st.integers(0, 200),
    st.integers(0, 9),
)
def test_no_order_of_calls_breaks_a_cap(calls: list[tuple[int, int, bool]], tokens: int, count: int) -> None:
    """Whatever is reserved and settled in whatever order, what is spent and reserved stays within every cap."""
    accounts, cap, open_ = Accounts(), Budget(tokens=tokens, calls=count), []
    for worst, actual, settle_now in calls:
        charge = Charge(worst, 0, 0.0)
        try:
            if accounts.reserve("t", charge, FREE, cap):
                open_.append((charge, Charge(min(actual, worst), 0, 0.0)))
        except CapReachedError:
            pass
        if settle_now and open_:
            accounts.settle("t", *open_.pop(0))
        sums = [one["t"] for one in (accounts.settled, accounts.reserved) if "t" in one]
        assert sum(one.tokens for one in sums) <= tokens
        assert sum(one.calls for one in sums) <= count
