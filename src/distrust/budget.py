"""Money before it is spent: what a call may cost at worst, and whether the caps leave room for it.

Knows prices, caps and sums. Knows nothing of servers, prompts or where the sums are kept.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from distrust.errors import BudgetError
from distrust.recipe import Budget, Price

NO_CAP = Budget()
ROUNDING = 1e-9  # relative; a hundred calls at 0.01 fill a cap of 1.00 although their float sum is a hair above


@dataclass(frozen=True)
class Charge:
    """What one call costs, or is reserved at."""

    prompt_tokens: int
    completion_tokens: int
    money: float | None  # None is "unknown", never 0
    calls: int = 1


NOTHING = Charge(0, 0, 0.0, 0)


def money(price: Price, prompt_tokens: int, completion_tokens: int) -> float | None:
    """Price of one call in the recipe's currency; None where the recipe does not say enough."""
    if not price.known:
        return None
    return (
        (price.per_call or 0.0)
        + (price.per_million_prompt_tokens or 0.0) * prompt_tokens / 1e6
        + (price.per_million_completion_tokens or 0.0) * completion_tokens / 1e6
    )


def refuse_unkeepable(teacher: str, price: Price, max_tokens: int | None, own: Budget, total: Budget) -> None:
    """Refuse caps that cannot be kept. Raises BudgetError: no `max_tokens` or no price under a cap that needs it."""
    caps = {f"teachers.{teacher}.budget": own, "budget": total}
    for key, cap in caps.items():
        if cap.money is not None and not price.known:
            raise BudgetError(
                f"{key}.money caps what teacher {teacher!r} may cost, but its price is unknown; set `price` (both "
                "prices per million tokens, or `per_call`), 0 where it is free."
            )
        needed = "tokens" if cap.tokens is not None else "money" if cap.money is not None else None
        by_call_alone = needed == "money" and price.per_million_completion_tokens is None
        if needed is not None and max_tokens is None and not by_call_alone:
            raise BudgetError(
                f"{key}.{needed} is a cap, so the longest answer of teacher {teacher!r} must be known before a call is "
                "sent; set its `max_tokens`."
            )


@dataclass
class Sum:
    """Charges added up. `unpriced` counts the calls of unknown price, which `money` leaves out."""

    calls: int = 0
    tokens: int = 0
    money: float = 0.0
    unpriced: int = 0

    def add(self, charge: Charge, sign: int = 1) -> None:
        self.calls += sign * charge.calls
        self.tokens += sign * (charge.prompt_tokens + charge.completion_tokens)
        self.money += sign * (charge.money or 0.0)
        self.unpriced += sign * (charge.money is None)

    def include(self, other: Sum) -> None:
        self.calls += other.calls
        self.tokens += other.tokens
        self.money += other.money
        self.unpriced += other.unpriced

    def __add__(self, other: Sum) -> Sum:
        both = Sum(self.calls, self.tokens, self.money, self.unpriced)
        both.include(other)
        return both

    def exceeded(self, more: Charge, cap: Budget) -> str | None:
        """The cap that `more` on top of this sum would break: "calls", "tokens" or "money"; None where it fits."""
        if cap.calls is not None and self.calls + more.calls > cap.calls:
            return "calls"
        if cap.tokens is not None and self.tokens + more.prompt_tokens + more.completion_tokens > cap.tokens:
            return "tokens"
        if cap.money is not None and self.money + (more.money or 0.0) > cap.money * (1 + ROUNDING):
            return "money"
        return None


@dataclass
class Accounts:
    """What each teacher has spent and reserved, safe to use from several threads.

    `settled` and `reserved` are by teacher. Reservations count against a cap like money spent; since most of them end
    lower, a call that does not fit beside them waits for them, and only one that would not fit without them is the end.
    """

    settled: dict[str, Sum] = field(default_factory=dict)
    reserved: dict[str, Sum] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def reserve(self, teacher: str, worst: Charge, own: Budget, total: Budget) -> bool:
        """Take room for a call. True: taken; False: wait for calls in flight.

        Raises:
            CapReachedError: no room even when nothing is in flight.
            BudgetError: a money cap over earlier calls of unknown price.
        """
        with self._lock:
            fits = True
            for key, cap, names in (
                (f"teachers.{teacher}.budget", own, [teacher]),
                ("budget", total, list(self.settled.keys() | self.reserved.keys() | {teacher})),
            ):
                if cap == NO_CAP:
                    continue
                spent, open_ = self._sum(self.settled, names), self._sum(self.reserved, names)
                if cap.money is not None and spent.unpriced + open_.unpriced:
                    raise BudgetError(
                        f"{key}.money cannot be kept: {spent.unpriced + open_.unpriced} earlier calls in this ledger have "
                        "no known price; use a new output_dir or leave the money cap out."
                    )
                broken = spent.exceeded(worst, cap)
                if broken is not None:
                    raise CapReachedError(f"{key}.{broken}")
                fits = fits and (spent + open_).exceeded(worst, cap) is None
            if fits:
                self.reserved.setdefault(teacher, Sum()).add(worst)
            return fits

    def settle(self, teacher: str, worst: Charge, actual: Charge) -> None:
        """Give a reservation back and book what the call really cost."""
        with self._lock:
            self.reserved[teacher].add(worst, sign=-1)
            self.settled.setdefault(teacher, Sum()).add(actual)

    def money(self, teacher: str) -> float | None:
        """What a teacher has cost so far, reservations left out; None where a call's price is unknown."""
        spent = self.settled.get(teacher, Sum())
        return None if spent.unpriced else spent.money

    @staticmethod
    def _sum(sums: dict[str, Sum], names: list[str]) -> Sum:
        total = Sum()
        for one in (sums[name] for name in names if name in sums):
            total.include(one)
        return total


class CapReachedError(Exception):
    """The normal end of buying; its text is the recipe key of the cap, such as "budget.calls"."""
