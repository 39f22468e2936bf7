"""Buying answers: many questions in flight, each reserved before it is sent and durable before it counts.

Knows the ledger, the budget, retries and when to stop. Does not know how an answer is read or what it is for.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from aiolimiter import AsyncLimiter

from distrust.budget import NOTHING, CapReachedError, Charge, money
from distrust.errors import RunError
from distrust.ledger import LENT, Answer, Call, Ledger, Setting
from distrust.recipe import Budget, Endpoint
from distrust.secrets import redact, show
from distrust.teachers.client import Client, Failure
from distrust.teachers.interrupts import interrupts
from distrust.teachers.orders import Order, worst_case
from distrust.teachers.prompt import Prompt, Question
from distrust.teachers.wire import Reply, payload

FIRST_WAIT = 0.5  # seconds; doubled at each try, with jitter
LONGEST_WAIT = 30.0
PATIENCE = 600.0  # a server that asks for a longer pause than this ends buying for now
GRACE = 5.0  # seconds that calls in flight get after Ctrl-C
FAILED_IN_A_ROW = 5  # items beyond those in flight, without an answer in between: the server is broken, not the item
_jitter = random.Random()  # of its own: asking leaves the global random state alone


@dataclass(frozen=True)
class Bought:
    """Answers that came; they count once they are written."""

    count: int
    written: asyncio.Future[None]


@dataclass(frozen=True)
class Progress:
    """How far buying has come: `done` of `wanted` answers are there, `bought` of them in these `seconds`."""

    teacher: str
    done: int
    wanted: int
    bought: int
    seconds: float
    money: float | None  # charged to this teacher so far, None where unknown

    @property
    def seconds_left(self) -> float | None:
        """At the pace so far; None before the first answer."""
        return (self.wanted - self.done) * self.seconds / self.bought if self.bought else None


class Buying:
    """One round of buying from one server.

    The loop of tries is written out here rather than left to a retry library, because what a failed try means for the
    bill decides how it may be tried again: a refused one keeps its reservation, a lost one is charged and needs another.

    After `run`: `ended` is "complete", the recipe key of the cap that was reached, or "interrupted"; `trouble` is why
    the server was given up on, or None; `failed` holds the keys of questions that it would not answer; `notes` counts
    what a reader of the evidence should know.
    """

    def __init__(
        self,
        recipe: Endpoint,
        prompt: Prompt,
        ledger: Ledger,
        setting: Setting,
        total: Budget,
        client: Client,
        lenders: Sequence[Ledger] = (),
    ) -> None:
        self.recipe, self.prompt, self.ledger, self.setting = recipe, prompt, ledger, setting
        self.total, self.client, self.lenders = total, client, lenders
        self.ended = "complete"
        self.trouble: str | None = None
        self.notes: Counter[str] = Counter()
        self.failed: set[bytes] = set()
        self.last_failure = ""
        self.bought = 0
        self._lost_in_a_row = 0
        self._failed_in_a_row = 0
        self._not_before = 0.0  # monotonic; a pause that one request was told holds for all
        self._stop = asyncio.Event()
        minute = recipe.requests_per_minute  # one at a time: a full bucket would let twice the rate through at first
        self._limiter = None if minute is None else AsyncLimiter(1, 60 / minute)

    async def run(self, orders: Iterator[Order], progress: Callable[[int], None]) -> None:
        """Fill the orders; `progress` hears the number of new answers. Raises RunError or BudgetError, after tidying up."""
        with interrupts(self._interrupt):
            async with self.client:
                workers = [asyncio.create_task(self._work(orders, progress)) for _ in range(self.recipe.concurrency)]
                stopped = asyncio.create_task(self._stop.wait())
                try:
                    await self._gather(workers, stopped)
                finally:
                    stopped.cancel()
                    for worker in workers:
                        worker.cancel()
                    await asyncio.gather(*workers, return_exceptions=True)
                    await self._abandon()

    async def _gather(self, workers: list[asyncio.Task[None]], stopped: asyncio.Task[bool]) -> None:
        everyone = asyncio.gather(*workers)
        await asyncio.wait((everyone, stopped), return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait((everyone,), timeout=GRACE if self.ended == "interrupted" else None)
        if everyone.done():
            everyone.result()  # raises for a full disk, or a cap that cannot be kept

    async def _abandon(self) -> None:
        try:
            lost = await self.ledger.abandon(self.setting)
        except RunError:  # the disk is full: the next start finds these reservations and says the same of them
            return
        self.notes["stopped in flight, charged at the reservation"] += lost

    def _interrupt(self) -> None:
        self.ended = "interrupted"
        self._stop.set()

    async def _work(self, orders: Iterator[Order], progress: Callable[[int], None]) -> None:
        before: Bought | None = None  # on its way to the disk while the next question is asked
        for order in orders:  # shared by all workers: each takes the next
            if self._stop.is_set():
                break
            missing = order.samples
            together = self.recipe.honours_n
            while missing and not self._stop.is_set():
                batch = missing if together else missing[:1]
                bought = await self._buy(order.question, batch)
                if bought is None:
                    break
                if bought.count < len(batch):
                    self.notes["fewer choices than asked for; the rest was asked singly"] += 1
                    together = False
                missing = missing[bought.count :]
                await self._confirm(before, progress)
                before = bought
        await self._confirm(before, progress)

    async def _confirm(self, bought: Bought | None, progress: Callable[[int], None]) -> None:
        if bought is not None:
            await bought.written
            self.bought += bought.count
            progress(bought.count)

    async def _buy(self, question: Question, samples: tuple[int, ...]) -> Bought | None:
        """Buy some samples of a question in one request, trying again where that can help; None where none came."""
        worst = worst_case(self.recipe, self.prompt, question.prompt, len(samples))
        body = payload(self.recipe, self.prompt.answers, question.prompt, samples[0], len(samples))
        call: Call | None = None
        for tries in range(self.recipe.retries + 1):
            if not await self._may_send():
                break
            call = call or await self._reserve(question, worst)
            if call is None:
                break
            lent = self._lent(question, samples)
            if lent is not None:
                return Bought(len(samples), self.ledger.settle(call, "answered", *lent, detail=LENT))
            outcome = await self.client.ask(body)
            if isinstance(outcome, Reply):
                return self._keep(call, samples, outcome)
            if outcome.outcome == "lost":
                await self.ledger.settle(call, "unknown", worst, detail=show(outcome.reason))
                call = None
            last = tries == self.recipe.retries or not outcome.again
            self._note(outcome, last)
            if last or self._stop.is_set():
                if call is not None:
                    await self.ledger.settle(call, "failed", NOTHING, detail=show(outcome.reason))
                self.failed |= {question.key} if last else set()
                return None
            await self._wait(outcome, tries)
        if call is not None:
            await self.ledger.release(call)
        return None

    def _lent(self, question: Question, samples: tuple[int, ...]) -> tuple[Charge, list[Answer]] | None:
        """What another ledger paid for these very samples, and what it got: this one books it as if it had asked itself."""
        for lender in self.lenders:
            found = {one.sample: (one, charge) for one, charge in lender.answers([question.key]).get(question.key, [])}
            if all(sample in found for sample in samples):
                parts = [found[sample] for sample in samples]
                prices = [charge.money for _, charge in parts]
                known = [price for price in prices if price is not None]
                charge = Charge(
                    sum(one.prompt_tokens for _, one in parts),
                    sum(one.completion_tokens for _, one in parts),
                    sum(known) if len(known) == len(prices) else None,
                    max(1, sum(one.calls for _, one in parts)),
                )
                return charge, [one for one, _ in parts]
        return None

    async def _reserve(self, question: Question, worst: Charge) -> Call | None:
        while not self._stop.is_set():
            try:
                call = await self.ledger.reserve(
                    self.setting, question.key, question.item, worst, self.recipe.budget, self.total
                )
            except CapReachedError as cap:
                self.ended = str(cap)
                self._stop.set()
                return None
            if call is not None:
                return call
            await asyncio.sleep(0.01)  # calls in flight hold the room; most end below their reservation
        return None

    def _keep(self, call: Call, samples: tuple[int, ...], reply: Reply) -> Bought:
        self._lost_in_a_row = self._failed_in_a_row = 0
        worst = call.worst
        if reply.prompt_tokens is None or reply.completion_tokens is None:
            self.notes["tokens not reported: charged at the reservation"] += 1
            charge = worst
        else:
            price = money(self.recipe.price, reply.prompt_tokens, reply.completion_tokens)
            charge = Charge(reply.prompt_tokens, reply.completion_tokens, price)
        kept = [
            Answer(sample, redact(choice.text), choice.finish, None if choice.logprobs is None else redact(choice.logprobs))
            for sample, choice in zip(samples, reply.choices, strict=False)
        ]
        return Bought(len(kept), self.ledger.settle(call, "answered", charge, kept))

    async def _may_send(self) -> bool:
        """Wait for the rate limit and for a pause the server asked for; False when buying has stopped meanwhile."""
        if self._limiter is not None:
            turn, stopped = asyncio.ensure_future(self._limiter.acquire()), asyncio.ensure_future(self._stop.wait())
            await asyncio.wait((turn, stopped), return_when=asyncio.FIRST_COMPLETED)
            turn.cancel()
            stopped.cancel()
        while (left := self._not_before - time.monotonic()) > 0 and not self._stop.is_set():
            await self._sleep(left)
        return not self._stop.is_set()

    async def _wait(self, failure: Failure, tries: int) -> None:
        if failure.wait is not None:
            self._not_before = max(self._not_before, time.monotonic() + failure.wait)
            return  # the pause holds for all, before the next request
        await self._sleep(min(FIRST_WAIT * 2**tries, LONGEST_WAIT) * _jitter.uniform(0.5, 1.0))

    async def _sleep(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stop.wait(), seconds)
        except TimeoutError:
            return

    def _note(self, failure: Failure, last: bool) -> None:
        """Decide whether a failure ends buying: it would be the same everywhere, or too many came in a row."""
        self.last_failure = failure.reason
        self._lost_in_a_row += failure.outcome == "lost"
        self._failed_in_a_row += last
        width = self.recipe.concurrency  # a refusal is quicker than an answer: a whole round of them may come first
        too_long = failure.wait is not None and failure.wait > PATIENCE
        if too_long:
            self.trouble = f"it asks for a pause of {failure.wait:.0f} s ({failure.reason})"
        elif failure.everywhere and last:
            self.trouble = failure.reason
        elif self._failed_in_a_row >= FAILED_IN_A_ROW + width or self._lost_in_a_row > self.recipe.retries + 2 * width:
            times = max(self._failed_in_a_row, self._lost_in_a_row)
            self.trouble = f"it failed {times} times in a row, at last so: {failure.reason}"
        else:
            return
        self._stop.set()
