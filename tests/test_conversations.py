"""Conversations as people store them: lists, their JSON, and what a library made of them on the way to CSV."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from distrust.conversations import spoken
from distrust.data import load_items
from distrust.errors import DataError
from distrust.recipe import Recorded
from distrust.recipe_file import parse_recipe
from distrust.task import load_task
from distrust.teachers.recorded import RecordedTeacher

MESSAGES = [{"role": "user", "content": "it's 2 + 2?"}, {"role": "assistant", "content": "4"}]


@pytest.mark.parametrize("name", ["messages", "prompt"])
def test_conversations_written_down_as_json_are_conversations(tmp_path: Path, name: str) -> None:
    """All that a CSV can hold of them."""
    file = tmp_path / "prompts.csv"
    with file.open("w", newline="") as out:
        csv.writer(out).writerows([[name], [json.dumps(MESSAGES)], [" " + json.dumps(MESSAGES[:1])]])
    items = load_items(str(file), open_answers=True)
    assert items.inputs == ((("user", "it's 2 + 2?"),),) * 2 and items.columns["completion"] == ["4", None]
    assert load_items(str(file), text=name).inputs[0] == json.dumps(MESSAGES), "where answers are classes it is a text"


def test_a_column_of_messages_holds_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "prompts.csv"
    for cell, said in (
        ("2 + 2?", 'row 2: \'messages\' is no list of {"role": text, "content": text}, nor JSON of one.'),
        (
            str(MESSAGES),
            "nor JSON of one; it looks printed by Python: save the table as JSON lines or parquet, which keep lists.",
        ),
        (str(MESSAGES).replace("}, {", "}\n {"), "it looks printed by Python"),  # what Dataset.to_csv leaves of it
        ("[" * 100_000, "row 2: 'messages' is no list of"),
        ("", "row 2: 'messages' is no list of"),
        (json.dumps([{"role": "user", "content": "half \ud800"}]), "row 2: 'messages' holds half a surrogate pair"),
    ):
        with file.open("w", newline="") as out:
            csv.writer(out).writerows([["messages", "id"], [json.dumps(MESSAGES), "1"], [cell, "2"]])
        with pytest.raises(DataError) as refused:
            load_items(str(file), open_answers=True)
        assert said in str(refused.value)


def test_prompts_that_only_quote_messages_are_prompts(tmp_path: Path) -> None:
    file = tmp_path / "prompts.jsonl"
    quoted = "[1] is what?", json.dumps(MESSAGES)
    file.write_text("".join(json.dumps({"prompt": one}) + "\n" for one in quoted))
    assert load_items(str(file), open_answers=True).inputs == quoted


SAID = {"role": "assistant", "content": "4"}


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ([SAID], "4"),
        (json.dumps([SAID]), "4"),
        ("4", "4"),
        (None, None),
        (["4", "5"], ["4", "5"]),
        ([SAID, SAID], [SAID, SAID]),
        ([SAID | {"role": "user"}], [SAID | {"role": "user"}]),
        ('[{"role": broken', '[{"role": broken'),
    ],
)
def test_one_message_of_the_assistant_is_what_it_says(cell: Any, text: Any) -> None:
    assert spoken(cell) == text


def test_prompts_and_completions_as_trl_stores_them(tmp_path: Path) -> None:
    """Prompt, completion and a teacher's column are lists of messages: references and answers are what they say."""
    rows = [{"prompt": [{"role": "user", "content": f"1 + {n}?"}], "completion": [SAID], "llm": [SAID]} for n in range(4)]
    file = tmp_path / "pool.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    raw = {
        "task": "generation",
        "data": {"pool": {"path": str(file)}, "test": {"path": str(file)}},
        "gold": {"size": 2},
        "student": {"kind": "causal", "model": "none"},
    }
    task = load_task(parse_recipe(raw))
    assert task.gold_items.columns["reference"] == ["4", "4"] and task.pool.inputs[1] == (("user", "1 + 1?"),)
    assert task.test is not None and task.test[0].columns["reference"] == ["4"] * 4
    answers = task.answers
    assert answers is not None
    told = Recorded(kind="recorded", name="llm", column="llm")
    assert RecordedTeacher(told, task.space, task.pool, answers).ask(task.pool).texts == [["4"]] * 4
    file.write_text(json.dumps(rows[0] | {"completion": [SAID, SAID]}))
    with pytest.raises(DataError, match=r"A label is .*'assistant'.*, a list; each item has one label, a text"):
        load_task(parse_recipe(raw | {"gold": {"size": 1}}))
