"""First recipes for prompts: which tables they are for, and that they load whatever a column is called."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from distrust.errors import DataError
from distrust.initial_open import look_for_prompts, open_recipe_text
from distrust.recipe import Recipe, Recorded
from distrust.recipe_file import parse_recipe
from distrust.task import load_task
from tests.test_initial import NASTY

USER, SAID = {"role": "user", "content": "2 + 2?"}, {"role": "assistant", "content": "4"}


def written(table: dict[str, list[Any]], path: str = "t.jsonl") -> Recipe:
    found = look_for_prompts(table)
    assert found is not None
    return parse_recipe(yaml.safe_load(open_recipe_text(found, path)))


def test_prompts_and_completions() -> None:
    table = {
        "key": ["a", "b", "c"],
        "prompt": ["one", "two", "three"],
        "completion": ["1", None, " "],
        "gpt": ["I", "II", "III"],
        "gpt_confidence": [0.1, 0.2, 0.3],
    }
    made = written(table)
    assert (made.task, made.data.pool.text, made.data.pool.id, made.student.kind) == (
        "generation",
        "prompt",
        "key",
        "causal",
    )
    assert made.gold is not None and made.gold.label == "completion" and made.method.name == "distill"
    assert [one.column for one in made.teachers if isinstance(one, Recorded)] == ["gpt"]
    found = look_for_prompts(table)
    assert found is not None and found.references == 1
    assert found.reasons["gpt_confidence"][0] == "not used" and list(found.reasons) == list(table)


@pytest.mark.parametrize("cell", [[USER, SAID], json.dumps([USER, SAID])])
def test_conversations(cell: Any) -> None:
    found = look_for_prompts({"messages": [cell, [USER]] if isinstance(cell, list) else [cell, json.dumps([USER])]})
    assert found is not None and (found.text, found.references, found.teachers) == ("messages", 1, ())
    made = parse_recipe(yaml.safe_load(open_recipe_text(found, "t.csv")))
    assert made.gold is not None and made.method.name == "gold-only" and not made.teachers


def test_what_it_reads_is_what_a_run_reads(tmp_path: Path) -> None:
    rows = [{"messages": [USER, SAID], "llm": "5"}, {"messages": [USER], "llm": "4"}]
    path = tmp_path / "t.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    task = load_task(written({name: [row[name] for row in rows] for name in rows[0]}, str(path)))
    assert task.pool.inputs == ((("user", "2 + 2?"),),) * 2 and task.gold_items.columns["reference"] == ["4"]


@pytest.mark.parametrize("table", [{"text": ["a b"], "label": ["c"]}, {"prompt": ["a"]}, {"messages": ["hello"]}, {}])
def test_other_tables_are_none_of_prompts(table: dict[str, list[Any]]) -> None:
    assert look_for_prompts(table) is None


@pytest.mark.parametrize("name", [one for one in NASTY if "\n" not in one])
def test_a_column_of_any_name_means_nothing_but_itself(name: str) -> None:
    column = f"gpt {name}"
    made = written({"prompt": ["a", "b"], "completion": [None, None], column: ["x", "y"]})
    assert [one.column for one in made.teachers if isinstance(one, Recorded)] == [column] and made.gold is None


def test_a_path_that_means_an_environment_variable_is_refused() -> None:
    with pytest.raises(DataError, match="reads as an environment variable"):
        written({"prompt": ["a"], "completion": ["b"]}, "${HOME}.jsonl")
