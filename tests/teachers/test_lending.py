"""What one ledger has paid for another books as if it had asked: nothing is sent twice, and caps hold all the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from distrust.labels import LabelSpace
from distrust.ledger import Ledger
from distrust.recipe import Budget, Endpoint
from distrust.teachers.endpoint import EndpointTeacher
from tests import servers
from tests.annotating import numbered

SPACE = LabelSpace(servers.LABELS)


def teacher(ledger: Ledger, address: str, total: Budget | None = None, **more: Any) -> EndpointTeacher:
    known = {"kind": "endpoint", "name": "t", "base_url": f"{address}/fine/v1", "model": "m", "price": {"per_call": 1.0}}
    return EndpointTeacher(Endpoint.model_validate({**known, "concurrency": 1, **more}), SPACE, ledger, total or Budget())


@pytest.mark.parametrize("samples", [1, 3])
def test_what_is_lent_is_booked_and_not_sent(samples: int, tmp_path: Path) -> None:
    with servers.loopback() as address:
        with Ledger(tmp_path / "first") as book:
            first = teacher(book, address, samples=samples, seed=0).ask(numbered(5))
        with Ledger(tmp_path / "second") as book:
            other = teacher(book, address, samples=samples, seed=0)
            other.lenders = [tmp_path / "first"]
            found = other.ask(numbered(8))
            assert other.spending().calls == 8 * samples and other.spending().money == 8.0 * samples
            assert (book.paid().calls, book.paid().money) == (3 * samples, 3.0 * samples), "what was lent was paid elsewhere"
        said = servers.served(address)["served"]
    assert len(said) == 8 * samples and set(said.values()) == {1}, "five were lent, three were bought"
    assert found.on(first.ids).claims.equal(first.claims) and (found.claims >= 0).all()


def test_a_cap_holds_for_what_is_lent_too(tmp_path: Path) -> None:
    with servers.loopback() as address:
        with Ledger(tmp_path / "first") as book:
            teacher(book, address).ask(numbered(5))
        with Ledger(tmp_path / "second") as book:
            other = teacher(book, address, Budget(calls=3))
            other.lenders = [tmp_path / "first"]
            found = other.ask(numbered(5))
            assert other.spending().calls == 3 and other.spending().ended == "budget.calls"
        assert int((found.claims >= 0).sum()) == 3 and len(servers.served(address)["served"]) == 5


def test_another_question_is_not_lent(tmp_path: Path) -> None:
    with servers.loopback() as address:
        with Ledger(tmp_path / "first") as book:
            teacher(book, address).ask(numbered(2))
        with Ledger(tmp_path / "second") as book:
            other = teacher(book, address, prompt="Another: {text}")
            other.lenders = [tmp_path / "first"]
            other.ask(numbered(2))
        assert len(servers.served(address)["served"]) == 4
