"""From a table to items: ids, copies, pairs, prompts and conversations."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from distrust.data import content_id, load_items
from distrust.errors import DataError
from tests.data.tables import parquet, written


def test_ids_come_from_the_content_and_copies_are_numbered(tmp_path: Path) -> None:
    path = written(tmp_path, "t.csv", "text,label\nsame,a\nother,b\nsame,c\nsame,c\n")
    items = load_items(path)
    first, other = content_id("same"), content_id("other")
    assert items.ids == (first, other, f"{first}-2", f"{first}-3")
    assert first == "0967115f2813a354"  # of sha256: answers are joined by it across releases
    reordered = load_items(written(tmp_path, "u.csv", "label,text\nb,other\na,same\n"))
    assert reordered.ids == (other, first)


def test_pairs_are_read_from_two_columns(tmp_path: Path) -> None:
    path = written(tmp_path, "t.csv", "a,b\nx,y\n")
    items = load_items(path, text="a", text_pair="b")
    assert items.inputs == (("x", "y"),) and items.ids == (content_id("x\ny"),)


def test_identical_copies_of_an_id_are_kept_once_and_missing_values_are_identical(tmp_path: Path) -> None:
    nan = float("nan")
    path = parquet(tmp_path, {"id": [7, 8, 7], "text": ["x", "y", "x"], "score": [nan, 1.0, nan]})
    items = load_items(path, id="id")
    assert items.ids == ("7", "8") and items.inputs == ("x", "y") and items.columns["score"] == [None, 1.0]


def test_the_first_rows_can_be_asked_for(tmp_path: Path) -> None:
    path = written(tmp_path, "t.csv", "text\na\nb\nc\n")
    assert load_items(path, limit=2).inputs == ("a", "b") and len(load_items(path, limit=9)) == 3


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"id": ["a", "b", "a"], "text": ["x", "y", "z"]}, "id 'a' stands in rows 1 and 3 with different 'text'"),
        ({"id": ["a", "a"], "text": ["x", "x"], "label": ["0", "1"]}, "rows 1 and 2 with different 'label'"),
        ({"id": ["a", None], "text": ["x", "y"]}, "row 2 has no id in 'id'"),
        ({"key": ["a"], "text": ["x"]}, "no column 'id'"),
    ],
)
def test_ids_that_contradict_or_are_missing_are_refused(tmp_path: Path, table: dict[str, list[object]], said: str) -> None:
    with pytest.raises(DataError, match=said):
        load_items(parquet(tmp_path, table), id="id")


def test_prompts_are_found_under_the_names_that_people_use(tmp_path: Path) -> None:
    file = tmp_path / "prompts.jsonl"
    file.write_text('{"prompt": "one", "completion": "1"}\n{"prompt": "two", "completion": null}\n')
    items = load_items(str(file), open_answers=True)
    assert items.inputs == ("one", "two") and items.columns["completion"] == ["1", None]
    with pytest.raises(DataError, match="no column 'text'"):
        load_items(str(file))
    with pytest.raises(DataError, match="no column 'prmpt'; did you mean 'prompt'"):
        load_items(str(file), text="prmpt", open_answers=True)


def test_conversations_end_before_what_the_assistant_says_last(tmp_path: Path) -> None:
    def turns(*said: tuple[str, str]) -> str:
        return json.dumps({"messages": [{"role": role, "content": content} for role, content in said]}) + "\n"

    file = tmp_path / "chats.jsonl"
    file.write_text(turns(("user", "hi"), ("assistant", "ho")) + turns(("system", "s"), ("user", "hi")))
    items = load_items(str(file), open_answers=True)
    assert items.inputs == ((("user", "hi"),), (("system", "s"), ("user", "hi")))
    assert items.columns["completion"] == ["ho", None]
    assert items.text(1) == "system: s\nuser: hi" and len(set(items.ids)) == 2
    for wrong in ('{"messages": [{"role": "user"}]}', '{"messages": []}', '{"messages": ["hi"]}'):
        file.write_text(wrong)
        with pytest.raises(DataError, match="row 1: 'messages' is no list of"):
            load_items(str(file), open_answers=True)
    file.write_text(turns(("assistant", "ho")))
    with pytest.raises(DataError, match="begins with the assistant"):
        load_items(str(file), open_answers=True)


def test_a_table_without_prompts_is_told_the_names_that_are_read(tmp_path: Path) -> None:
    file = tmp_path / "prompts.jsonl"
    file.write_text('{"prompts": "one", "answer": "1"}\n')
    with pytest.raises(DataError) as refused:
        load_items(str(file), open_answers=True)
    assert str(refused.value) == (
        f"{file} has no column of prompts, `text`, `prompt` or `messages`; name it in `text`; "
        "did you mean 'prompts'? it has prompts, answer."
    )
