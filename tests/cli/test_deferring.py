"""Asking back: which options go together, who may be judged by what, and one honest line of what it cost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from distrust.cli.deferring import Cost, Deferral, ask_back, deferral, told, unquoted
from distrust.data import load_items
from distrust.defer import Deferred
from distrust.errors import DataError, RecipeError
from distrust.labels import LabelSpace
from tests.cli.world import LABELS, news, write

SPACE = LabelSpace(LABELS)
LLM = {"kind": "endpoint", "name": "llm", "base_url": "http://127.0.0.1:1/v1", "model": "m"}


def over(folder: Path, count: int, **teacher: Any) -> tuple[Deferral, Path]:
    """Deferring below 1 to one teacher of a table of items."""
    table = write(folder / "t.csv", news(count))
    raw = {"data": {"pool": {"path": str(table), "id": "id"}}, "gold": {"label": "label"}, "teachers": [teacher]}
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(raw | {"labels": list(LABELS), "output_dir": str(folder / "run")}))
    return Deferral(1.0, path, None), table


def test_options_that_say_nothing_say_nothing() -> None:
    assert deferral(None, None, None) is None
    assert deferral(0.0, Path("r"), None) == Deferral(0.0, Path("r"), None)
    assert deferral(1.0, Path("r"), "t") == Deferral(1.0, Path("r"), "t")
    with pytest.raises(RecipeError, match="--defer-below, which is missing"):
        deferral(None, None, "t")


@pytest.mark.parametrize(("price", "money"), [({}, None), ({"per_call": 0}, 0.0), ({"per_call": 0.5}, 1.5)])
def test_answers_that_were_bought_before_cost_what_they_cost(
    tmp_path: Path, price: dict[str, float], money: float | None
) -> None:
    asked, table = over(tmp_path, 9, kind="recorded", name="old", column="gpt_label", price=price)
    items = load_items(str(table), id="id")
    chances = torch.eye(3)[torch.zeros(9, dtype=torch.long)]
    chances[[1, 4, 8]] = torch.tensor([0.5, 0.25, 0.25])
    deferred, cost = ask_back(asked, items, SPACE, chances)
    assert deferred.asked.nonzero().flatten().tolist() == [1, 4, 8] and cost == Cost(0, money, "complete")
    said = [LABELS.index(one) for one in items.columns["gpt_label"]]
    assert deferred.claims.tolist() == [said[row] if row in (1, 4, 8) else 0 for row in range(9)]
    assert not (tmp_path / "run").exists(), "nothing is bought, so there is no ledger"


def test_whoever_is_quoted_no_prompt_may_be_judged_on_all(tmp_path: Path) -> None:
    asked, table = over(tmp_path, 6, kind="recorded", name="old", column="gpt_label")
    assert unquoted(asked, load_items(str(table), id="id")) == list(range(6))
    asked, _ = over(tmp_path, 6, **LLM)
    assert unquoted(asked, load_items(str(table), id="id")) == list(range(6))


def test_a_quoted_text_is_left_out_under_any_id(tmp_path: Path) -> None:
    few = {"few_shot": 2, "prompt": "{examples}{text}"}
    asked, table = over(tmp_path, 6, **LLM, **few)
    plain = load_items(str(table))  # ids of their own, the same texts
    left = unquoted(asked, plain)
    assert len(left) == 4 and unquoted(asked, plain.select(left)) == [0, 1, 2, 3]
    quoted = [row for row in range(6) if row not in left]
    with pytest.raises(DataError, match="The prompt of llm quotes every one of these items, so none is left to judge by"):
        unquoted(asked, plain.select(quoted))


def deferred(asked: list[bool], answered: list[bool], teacher: str = "llm") -> Deferred:
    return Deferred(torch.zeros(len(asked), dtype=torch.long), torch.tensor(asked), torch.tensor(answered), teacher)


@pytest.mark.parametrize(
    ("who", "cost", "line"),
    [
        (
            deferred([True, False], [True, False]), Cost(2, 0.25, "complete"),
            "1 of 2 items were deferred to llm; 2 new calls, cost 0.2500.",
        ),
        (deferred([False], [False]), Cost(0, 0.0, "complete"), "0 of 1 items were deferred to llm; cost 0.0000."),
        (
            deferred([True, True], [True, False], "\x1b[2J[x]"),
            Cost(3, None, "budget.calls"),
            r"2 of 2 items were deferred to \x1b[2J[x], which had no usable answer to 1: there the student's label stands; "
            "3 new calls, cost unknown. Buying ended at budget.calls.",
        ),
    ],
)  # fmt: skip
def test_one_line_says_what_was_asked_answered_and_paid(who: Deferred, cost: Cost, line: str) -> None:
    assert told(who, cost) == line
