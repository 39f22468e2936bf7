from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from distrust.build import LEDGER, few_shot
from distrust.errors import BudgetError
from distrust.ledger import Ledger
from distrust.plan import Planned, plan
from distrust.recipe import Budget, Endpoint, Recipe
from distrust.recipe_file import parse_recipe
from distrust.task import load_task
from distrust.teachers.endpoint import EndpointTeacher
from tests import servers

PRICE = {"per_million_prompt_tokens": 1.0, "per_million_completion_tokens": 10.0}


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with servers.loopback() as address:
        yield address


def recipe(folder: Path, address: str, total: dict[str, Any] | None = None, **more: Any) -> Recipe:
    rows = [
        f"i{number},a {list(servers.COLOURS)[number % 3]} thing {number},{servers.LABELS[number % 3]}"
        for number in range(12)
    ]
    (folder / "pool.csv").write_text("\n".join(["id,text,label", *rows]))
    (folder / "gold.csv").write_text("text,label\na red thing 0,alpha\nsomething new,beta\n")
    teacher = {
        "kind": "endpoint",
        "name": "t",
        "base_url": f"{address}/fine/v1",
        "model": "m",
        "max_tokens": 8,
        "price": PRICE,
    }
    return parse_recipe(
        {
            "data": {"pool": {"path": str(folder / "pool.csv"), "id": "id"}},
            "labels": list(servers.LABELS),
            "gold": {"path": str(folder / "gold.csv")},
            "teachers": [teacher | more, {"kind": "recorded", "name": "past", "column": "label"}],
            "budget": total or {},
            "output_dir": str(folder / "run"),
        }
    )


def buy(given: Recipe, calls: int) -> EndpointTeacher:
    task, options = load_task(given), given.teachers[0]
    assert isinstance(options, Endpoint)
    with Ledger(Path(given.output_dir) / LEDGER) as ledger:
        teacher = EndpointTeacher(options, task.space, ledger, Budget(calls=calls), few_shot(task, options))
        teacher.buy(task.pool)
        return teacher


def test_a_plan_before_anything_is_bought(tmp_path: Path, address: str) -> None:
    given = recipe(tmp_path, address, samples=2)
    paid, past = plan(given)
    items = 12 + 1  # gold of its own file, joined by text: one of the two is the pool's
    assert (paid.wanted, paid.there, paid.calls, paid.calls_on_gold) == (2 * items, 0, 2 * items, 2)
    assert paid.prompt_tokens.expected is not None and paid.prompt_tokens.worst is not None
    assert 0 < paid.prompt_tokens.expected < paid.prompt_tokens.worst
    assert paid.completion_tokens.worst == 8 * 2 * items
    assert paid.money.worst == pytest.approx(paid.prompt_tokens.worst * 1e-6 + 8 * 2 * items * 1e-5)
    assert paid.ends == "complete"
    assert past == Planned("past", "recorded", items, items, 0, 0, past.money, past.money, past.money, "complete")
    assert past.money.expected == 0
    assert not Path(given.output_dir).exists()


def test_the_worst_case_bounds_what_is_then_spent_and_the_rest_shrinks(tmp_path: Path, address: str) -> None:
    given = recipe(tmp_path, address)
    before = plan(given)[0]
    teacher = buy(given, calls=5)
    after = plan(given)[0]
    assert (after.there, after.calls) == (5, before.calls - 5)
    buy(given, calls=100)
    with Ledger(Path(given.output_dir) / LEDGER, readonly=True) as ledger:
        money = ledger.totals(teacher.name)["answered"][1].money
    assert money is not None and before.money.worst is not None and money <= before.money.worst
    assert plan(given)[0].calls == before.calls_on_gold
    assert plan(given)[0].completion_tokens.expected == 2 * before.calls_on_gold  # as long as those it has


def test_unknown_is_unknown(tmp_path: Path, address: str) -> None:
    unpriced = plan(recipe(tmp_path, address, price={}))[0]
    assert unpriced.money.expected is None and unpriced.money.worst is None
    unbounded = plan(recipe(tmp_path, address, max_tokens=None))[0]
    assert unbounded.money.expected is not None and unbounded.money.worst is None
    assert unbounded.completion_tokens.worst is None


@pytest.mark.parametrize(
    ("budget", "own", "ends"),
    [
        ({"calls": 12}, {}, "budget.calls"),
        ({"calls": 13}, {}, "complete"),
        ({}, {"calls": 3}, "teachers.t.budget.calls"),
        ({"money": 1e-9}, {}, "budget.money"),
        ({"tokens": 9}, {}, "budget.tokens"),
    ],
)
def test_the_cap_that_will_end_buying_is_named(tmp_path: Path, address: str, budget: Any, own: Any, ends: str) -> None:
    assert plan(recipe(tmp_path, address, total=budget, budget=own))[0].ends == ends


def test_caps_that_cannot_be_kept_are_refused_here_already(tmp_path: Path, address: str) -> None:
    with pytest.raises(BudgetError, match="price is unknown"):
        plan(recipe(tmp_path, address, {"money": 1}, price={}))


def test_a_method_that_chooses_is_priced_by_what_it_asks_about(tmp_path: Path, address: str) -> None:
    given = recipe(tmp_path, address)
    whole = plan(given)[0]
    chosen = given.model_dump(mode="json") | {"method": {"name": "ta-in-the-loop", "options": {"budget": 5}}}
    less = plan(parse_recipe(chosen))
    assert [(one.teacher, one.wanted, one.calls) for one in less] == [("t", 5, 5), ("past", 5, 0)]
    assert whole.calls == 13 and less[0].calls_on_gold == 0
    assert less[0].money.expected == pytest.approx(5 / 13 * (whole.money.expected or 0), rel=0.2)
    assert less[0].money.worst is not None and less[0].money.worst < (whole.money.worst or 0)
    buy(given, 2)
    assert (plan(parse_recipe(chosen))[0].there, plan(parse_recipe(chosen))[0].calls) == (2, 3)


@pytest.mark.parametrize(
    ("assistant", "options", "calls"),
    [
        ({}, {}, 11 + 2),  # its own answers to all that is no gold, and to gold
        ({}, {"signals": ["s1", "s3"]}, 5),
        ({"knows": ["True", "False"], "prompt": "{text}"}, {}, 10 + 2 + 5),  # of 11 that are no gold 1 is bought first
        ({"knows": ["True", "False"], "prompt": "{text}"}, {"signals": ["s3"]}, 5),
        ({"prompt": "{text}"}, {"confidence": "stated", "signals": ["s3"]}, 5),
    ],
)
def test_an_assistant_is_priced_by_the_claims_that_it_judges(
    assistant: dict[str, Any], options: dict[str, Any], calls: int, tmp_path: Path, address: str
) -> None:
    raw = recipe(tmp_path, address).model_dump(mode="json")
    raw["assistant"] = {k: v for k, v in raw["teachers"][0].items() if k != "few_shot"} | {"name": "cheap"} | assistant
    raw["method"] = {"name": "ta-in-the-loop", "options": {"budget": 5, "warm_up": 0.2, **options}}
    found = plan(parse_recipe(raw))[-1]
    assert (found.teacher, found.calls) == ("cheap", calls)
    assert found.money.expected is not None and found.money.expected > 0
