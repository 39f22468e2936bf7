"""Facts of two small runs, made once for all tests of the report; both are frozen."""

from __future__ import annotations

import pytest

from distrust.report.facts import Facts
from tests.report.worlds import HOSTILE, digits, messages


@pytest.fixture(scope="session")
def digits_facts() -> Facts:
    return digits()


@pytest.fixture(scope="session")
def messages_facts() -> Facts:
    return messages()


@pytest.fixture(scope="session")
def hostile_facts() -> Facts:
    return messages(items=300, hostile=HOSTILE)
