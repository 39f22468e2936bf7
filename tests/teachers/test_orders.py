"""What is still to be asked, and what it may cost: by a real ledger, and by hand."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from distrust.budget import Charge
from distrust.data import Items
from distrust.labels import LabelSpace
from distrust.ledger import CHUNK, Answer, Ledger
from distrust.recipe import Budget, Endpoint
from distrust.teachers.orders import in_chunks, missing, worst_case
from distrust.teachers.prompt import Prompt

SPACE = LabelSpace(("yes", "no"))


def prompted(**more: Any) -> tuple[Endpoint, Prompt]:
    base = {"kind": "endpoint", "name": "t", "base_url": "http://h/v1", "model": "m", "prompt": "{text}"}
    recipe = Endpoint.model_validate(base | more)
    return recipe, Prompt(recipe, SPACE, ())


def items(count: int) -> Items:
    return Items(tuple(str(row) for row in range(count)), tuple(f"text {row}" for row in range(count)))


@pytest.mark.parametrize(("honours", "orders"), [(True, [(0, 2), (0, 1, 2)]), (False, [(0,), (2,), (0,), (1,), (2,)])])
def test_what_the_ledger_lacks_is_ordered(tmp_path: Path, honours: bool, orders: list[tuple[int, ...]]) -> None:
    recipe, prompt = prompted(samples=3, honours_n=honours, temperature=1.0)
    with Ledger(tmp_path / "l") as ledger:
        setting = ledger.setting("t", prompt.setting())
        (questions,) = in_chunks(prompt, items(4), setting.fingerprint)

        async def bought() -> None:
            for question, samples in ((questions[0], (0, 1, 2)), (questions[1], (1,))):
                one = Charge(1, 1, None)
                call = await ledger.reserve(setting, question.key, question.item, one, Budget(), Budget())
                assert call is not None
                await ledger.settle(call, "answered", one, [Answer(sample, "yes") for sample in samples])

        asyncio.run(bought())
        skip = {questions[3].key}  # it was refused, and is not asked again
        found = list(missing(recipe, prompt, items(4), ledger, setting.fingerprint, skip))
    assert [one.samples for one in found] == orders
    assert [one.question.item for one in found] == sorted(one.question.item for one in found)
    assert {one.question.key for one in found} == {questions[1].key, questions[2].key}
    assert len(list(missing(recipe, prompt, items(4), None, setting.fingerprint))) == (4 if honours else 12)


def test_questions_come_as_many_at_a_time_as_one_look_up_takes() -> None:
    _, prompt = prompted()
    sizes = [len(one) for one in in_chunks(prompt, items(CHUNK + 3), "s")]
    assert sizes == [CHUNK, 3] and list(in_chunks(prompt, items(0), "s")) == []


def test_the_worst_case_by_hand() -> None:
    price = {"per_million_prompt_tokens": 2.0, "per_million_completion_tokens": 10.0}
    recipe, prompt = prompted(max_tokens=7, price=price)
    tokens = prompt.most_tokens("ask")
    assert worst_case(recipe, prompt, "ask", 3) == Charge(tokens, 21, pytest.approx((2 * tokens + 10 * 21) / 1e6))
    endless, prompt = prompted(price=price)
    assert worst_case(endless, prompt, "ask", 3) == Charge(tokens, 0, None), "an answer without end has no price"
    by_call, prompt = prompted(price={"per_call": 0.5})
    assert worst_case(by_call, prompt, "ask", 3) == Charge(tokens, 0, 0.5), "a call has one, however long its answer"
    half, prompt = prompted(max_tokens=7, price={"per_million_prompt_tokens": 2.0})
    assert worst_case(half, prompt, "ask", 1).money is None
