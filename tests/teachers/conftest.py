"""A loopback server for each file that asks one, and its record forgotten before a test that counts what it was asked."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from distrust.teachers import buying
from tests import servers


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with servers.loopback() as address:
        yield address


@pytest.fixture
def forgetful(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server remembers no earlier test, and nobody waits long before asking it again."""
    servers.forget(address)
    monkeypatch.setattr(buying, "FIRST_WAIT", 0.01)
