"""One round of buying: what it says of itself afterwards, and what another ledger lends. Failures are in test_endpoint."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from distrust.budget import Charge
from distrust.labels import LabelSpace
from distrust.ledger import LENT, Answer, Ledger
from distrust.recipe import Budget, Endpoint
from distrust.teachers.buying import Buying, Progress
from distrust.teachers.client import Client
from distrust.teachers.orders import Order, missing
from distrust.teachers.prompt import Prompt
from tests import servers
from tests.annotating import numbered

pytestmark = pytest.mark.usefixtures("forgetful")
SPACE = LabelSpace(servers.LABELS)


def endpoint(address: str, mode: str = "fine", **more: Any) -> Endpoint:
    base = {"kind": "endpoint", "name": "t", "base_url": f"{address}/{mode}/v1", "model": "m", "prompt": "{text}"}
    settings = {"max_tokens": 8, "concurrency": 2, "retries": 1, "price": {"per_call": 0.5}}
    return Endpoint.model_validate(base | settings | more)


def bought(
    recipe: Endpoint, book: Ledger, count: int, total: Budget | None = None, lenders: Sequence[Path] = ()
) -> tuple[Buying, list[int]]:
    """A round of buying what `book` lacks of so many items, and what it told of its progress."""
    prompt, told = Prompt(recipe, SPACE, ()), list[int]()
    setting = book.setting(recipe.name, prompt.setting())

    async def work(books: list[Ledger]) -> Buying:
        one = Buying(recipe, prompt, book, setting, total or Budget(), Client(recipe), books)
        await one.run(missing(recipe, prompt, numbered(count), book, setting.fingerprint), told.append)
        return one

    with ExitStack() as stack:
        books = [stack.enter_context(Ledger(path, readonly=True)) for path in lenders]
        return asyncio.run(work(books)), told


def keys(recipe: Endpoint, book: Ledger, count: int) -> list[bytes]:
    prompt = Prompt(recipe, SPACE, ())
    fingerprint = book.setting(recipe.name, prompt.setting()).fingerprint
    return [prompt.question(numbered(count), row, fingerprint).key for row in range(count)]


@pytest.mark.parametrize(
    ("done", "bought", "left"), [(0, 0, None), (10, 0, None), (4, 2, 6 * 5 / 2), (10, 10, 0.0), (1, 1, 9 * 5.0)]
)
def test_the_time_that_is_left_is_that_of_what_was_bought_so_far(done: int, bought: int, left: float | None) -> None:
    assert Progress("t", done, 10, bought, 5.0, None).seconds_left == left


@pytest.fixture(params=["Python's own", "a caller's", "ignored"])
def interrupts(request: pytest.FixtureRequest) -> Iterator[Any]:
    """What Ctrl-C does before anything is bought."""
    handlers = {"Python's own": signal.default_int_handler, "a caller's": lambda *_: None, "ignored": signal.SIG_IGN}
    before = signal.signal(signal.SIGINT, handlers[request.param])
    yield handlers[request.param]
    signal.signal(signal.SIGINT, before)


def test_a_round_ends_complete_and_tells_of_every_answer(address: str, tmp_path: Path, interrupts: Any) -> None:
    with Ledger(tmp_path / "l") as book:
        one, told = bought(endpoint(address), book, 7)
        assert (one.ended, one.trouble, one.failed, one.bought, sum(told)) == ("complete", None, set(), 7, 7)
        assert not +one.notes
        again, told = bought(endpoint(address), book, 7)
        assert (again.ended, again.bought, told) == ("complete", 0, [])
    assert signal.getsignal(signal.SIGINT) == interrupts, "Ctrl-C is what it was before"


@pytest.mark.parametrize(("own", "total", "ended"), [(3, None, "teachers.t.budget.calls"), (None, 3, "budget.calls")])
def test_a_cap_is_named_and_the_rest_of_the_orders_is_not_even_made(
    address: str, tmp_path: Path, own: int | None, total: int | None, ended: str
) -> None:
    recipe = endpoint(address, budget={"calls": own})
    prompt, made = Prompt(recipe, SPACE, ()), list[Order]()
    with Ledger(tmp_path / "l") as book:
        setting = book.setting("t", prompt.setting())

        def orders() -> Iterator[Order]:
            for order in missing(recipe, prompt, numbered(50), book, setting.fingerprint):
                made.append(order)
                yield order

        one = Buying(recipe, prompt, book, setting, Budget(calls=total), Client(recipe))
        asyncio.run(one.run(orders(), lambda _: None))
        assert (one.ended, one.trouble, one.bought, len(book.samples(keys(recipe, book, 50)))) == (ended, None, 3, 3)
        assert book.totals("t").keys() == {"answered"}, "no reservation is left open or charged"
    assert len(made) <= 3 + 2 * recipe.concurrency


def test_what_was_not_answered_is_known_by_its_question(address: str, tmp_path: Path) -> None:
    recipe = endpoint(address, "poison", prompt="{text} poison", concurrency=1)
    with Ledger(tmp_path / "l") as book:
        one, told = bought(recipe, book, 3)
        assert one.failed == set(keys(recipe, book, 3)) and told == [] and one.bought == 0
        assert one.trouble is None and "HTTP 422: this text is refused" in one.last_failure, "three are no broken server yet"
        assert book.totals("t") == {"failed": (3, Charge(0, 0, 0.0, 0))}, "refused ones are free"
        one, _ = bought(recipe, book, 30)
        assert one.trouble is not None and one.trouble.startswith("it failed 6 times in a row, at last so: HTTP 422")


def lend(path: Path, recipe: Endpoint, samples: Sequence[int], money: float | None) -> None:
    """A ledger that has some samples of the first item, each by a call of its own."""
    with Ledger(path) as book:
        setting = book.setting(recipe.name, Prompt(recipe, SPACE, ()).setting())
        (key,) = keys(recipe, book, 1)

        async def settle() -> None:
            for sample in samples:
                one = Charge(10, 1, money)
                call = await book.reserve(setting, key, "0", one, Budget(), Budget())
                assert call is not None
                await book.settle(call, "answered", one, [Answer(sample, f"lent {sample}")])

        asyncio.run(settle())


@pytest.mark.parametrize(("money", "charged"), [(0.25, 0.75), (None, None)])
def test_a_request_is_lent_as_a_whole_and_costs_what_it_cost(
    address: str, tmp_path: Path, money: float | None, charged: float | None
) -> None:
    recipe = endpoint(address, "many", samples=3, temperature=1.0, honours_n=True)
    lend(tmp_path / "lender", recipe, (0, 1, 2), money)
    with Ledger(tmp_path / "l") as book:
        one, told = bought(recipe, book, 1, lenders=[tmp_path / "lender"])
        assert (one.bought, told) == (3, [3]) and book.totals("t") == {"answered": (1, Charge(30, 3, charged, 3))}
        (answers,) = book.answers(keys(recipe, book, 1)).values()
        assert [answer.text for answer, _ in answers] == ["lent 0", "lent 1", "lent 2"] and book.paid().calls == 0
    assert servers.served(address)["served"] == {} and LENT == "lent"


def test_part_of_a_request_is_not_lent_and_a_second_lender_may_have_all(address: str, tmp_path: Path) -> None:
    recipe = endpoint(address, "many", samples=3, temperature=1.0, honours_n=True)
    lend(tmp_path / "some", recipe, (0, 2), 0.25)
    lend(tmp_path / "all", recipe, (0, 1, 2), 0.25)
    with Ledger(tmp_path / "l") as book:
        bought(recipe, book, 1, lenders=[tmp_path / "some"])
        assert book.paid().calls == 1 and sum(servers.served(address)["served"].values()) == 1, (
            "asked for, all three at once"
        )
    with Ledger(tmp_path / "m") as book:
        bought(recipe, book, 1, lenders=[tmp_path / "some", tmp_path / "all"])
        assert book.paid().calls == 0 and sum(servers.served(address)["served"].values()) == 1
