"""One call: what its outcome means for the bill and for going on, and addresses and keys that are none."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from distrust.errors import RecipeError
from distrust.recipe import Endpoint
from distrust.teachers.client import Client, Failure, retry_after
from distrust.teachers.wire import Reply
from tests import servers

BODY = {"model": "m", "messages": [{"role": "user", "content": "ask"}]}


def endpoint(url: str, **more: Any) -> Endpoint:
    return Endpoint.model_validate({"kind": "endpoint", "name": "t", "base_url": url, "model": "m", "timeout": 3} | more)


def asked(url: str) -> Reply | Failure:
    async def ask() -> Reply | Failure:
        async with Client(endpoint(url)) as client:
            return await client.ask(BODY)

    return asyncio.run(ask())


@pytest.mark.parametrize(
    ("mode", "outcome", "again", "everywhere"),
    [
        ("unauthorized", "refused", False, True),
        ("no_model", "refused", False, True),
        ("redirect", "refused", False, True),
        ("busy", "refused", True, True),
        ("error_once", "refused", True, False),
        ("html", "lost", False, False),
        ("wrong_json", "lost", False, False),
        ("reset", "lost", True, False),
    ],
)
def test_what_an_outcome_means(address: str, mode: str, outcome: str, again: bool, everywhere: bool) -> None:
    failure = asked(f"{address}/{mode}/v1")
    assert isinstance(failure, Failure), failure
    assert (failure.outcome, failure.again, failure.everywhere) == (outcome, again, everywhere), failure
    assert "\n" not in failure.reason


def test_an_answer_is_one_and_nobody_there_is_unsent(address: str) -> None:
    assert isinstance(asked(f"{address}/fine/v1"), Reply)
    gone = asked(f"http://127.0.0.1:{servers.free_port()}/v1")
    assert isinstance(gone, Failure) and (gone.outcome, gone.again, gone.everywhere) == ("unsent", True, True)


def test_addresses_and_keys_that_are_none_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for url in ("localhost:8000/v1", "ftp://h/v1", "http:///v1", ""):
        with pytest.raises(RecipeError, match="it looks like http://host:8000/v1"):
            Client(endpoint(url))
    monkeypatch.setenv("ODD_KEY", "sk-one\nX-Admin: 1")
    with pytest.raises(RecipeError, match="holds a line break or a character that no key has") as refused:
        Client(endpoint("http://h/v1", api_key="${ODD_KEY}"))
    assert "sk-one" not in str(refused.value)


def test_retry_after_in_seconds_and_as_a_date() -> None:
    now = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
    assert retry_after("2.5", now) == 2.5
    assert retry_after("Sat, 21 Nov 2026 12:00:07 GMT", now) == 7
    assert retry_after("Sat, 21 Nov 2026 11:00:00 GMT", now) == 0
    assert retry_after("-3", now) == 0
    assert retry_after("soon", now) is None and retry_after("nan", now) is None and retry_after(None, now) is None
