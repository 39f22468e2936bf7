"""An endpoint teacher whose answers are open: bought as ever, read as the task says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from distrust.answers import NO_ANSWER, Answers
from distrust.claimed import Claim, final
from distrust.data import Items
from distrust.labels import OPEN
from distrust.ledger import Ledger
from distrust.recipe import Answer, Budget, Endpoint
from distrust.teachers.endpoint import EndpointTeacher
from tests import servers
from tests.loopback import label_of

ITEMS = Items(("r", "g", "c"), ("a red thing", "a green thing", (("system", "look"), ("user", "a blue thing"))))


def teacher(address: str, ledger: Ledger, how: Answer | None = None, **more: Any) -> EndpointTeacher:
    raw = {"kind": "endpoint", "name": "llm", "base_url": f"{address}/fine/v1", "model": "m", "prompt": "{text}"}
    made = Endpoint.model_validate({**raw, "price": {"per_call": 0.5}, **more})
    return EndpointTeacher(made, OPEN, ledger, Budget(), answers=Answers(how or Answer(kind="short")))


@pytest.fixture
def ledger(tmp_path: Path) -> Any:
    with Ledger(tmp_path / "ledger.sqlite") as book:
        yield book


def test_texts_are_bought_once_and_read_as_the_task_says(ledger: Ledger) -> None:
    with servers.loopback() as address:
        said = teacher(address, ledger).ask(ITEMS)
    shown = ("a red thing", "a green thing", "system: look\nuser: a blue thing")
    assert final(said, ITEMS) == [Claim(label_of(prompt), label_of(prompt)) for prompt in shown]
    assert said.cost is not None and said.cost.money.tolist() == [0.5] * 3 and said.logits is None
    again = teacher("http://127.0.0.1:9", ledger).ask(ITEMS)  # nobody is there: all of it is in the ledger
    assert again.texts == said.texts and not again.notes
    otherwise = teacher("http://127.0.0.1:9", ledger, Answer(kind="number")).ask(ITEMS)
    assert otherwise.notes == {NO_ANSWER: 3} and final(otherwise, ITEMS) == [None] * 3
    assert teacher("x", ledger).fingerprint != teacher("x", ledger, Answer(kind="number")).fingerprint


def test_what_a_cap_leaves_unbought_is_no_answer_and_said_to_be_unbought(ledger: Ledger) -> None:
    with servers.loopback() as address:
        said = teacher(address, ledger, budget={"calls": 2}, concurrency=1).ask(ITEMS)
    assert sum(one is not None for one in final(said, ITEMS)) == 2
    assert list(said.notes.values()) == [1] and NO_ANSWER not in said.notes
