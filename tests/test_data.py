"""Items and the files they come from: what is read, and what is refused in which words."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
import torch

from distrust.data import Items, column, concatenate, content_id, load_items, load_table
from distrust.errors import DataError


def written(folder: Path, name: str, content: str | bytes) -> str:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(path)


def parquet(folder: Path, table: dict[str, list[object]], name: str = "t.parquet") -> str:
    pyarrow.parquet.write_table(pyarrow.table(table), folder / name)
    return str(folder / name)


# --- items -----------------------------------------------------------------------------------------------------------


def test_items_are_selected_and_joined_with_all_their_columns() -> None:
    items = Items(("a", "b", "c"), ("x", "y", "z"), {"label": [1, 2, 3], "only": [4, 5, 6]})
    assert items.select([2, 0]) == Items(("c", "a"), ("z", "x"), {"label": [3, 1], "only": [6, 4]})
    assert items.select(torch.tensor([1])).ids == ("b",) and len(items.select([])) == 0
    assert items.rows(["c", "a"]) == [2, 0] and items.text(1) == "y"
    both = concatenate(items, Items(("d",), ("w",), {"label": [7]}))
    assert both.ids == ("a", "b", "c", "d") and both.columns == {"label": [1, 2, 3, 7]}


def test_tensors_and_pairs_are_inputs_too() -> None:
    images = Items(("a", "b"), torch.arange(8.0).reshape(2, 2, 2))
    assert images.select([1]).inputs.tolist() == [[[4, 5], [6, 7]]]  # type: ignore[union-attr]
    assert (
        images.text(0) == "tensor of shape (2, 2)" and concatenate(images, Items(("c",), torch.zeros(1, 2, 2))).ids[2] == "c"
    )
    pairs = Items(("a",), (("premise", "hypothesis"),))
    assert pairs.text(0) == "premise\nhypothesis"
    with pytest.raises(DataError, match="cannot be mixed"):
        concatenate(images, pairs)


def test_the_key_of_items_is_that_of_ids_and_inputs() -> None:
    items = Items(("a", "b"), ("x", "y"), {"label": [1, 2]})
    assert items.key == Items(("a", "b"), ("x", "y")).key
    others = [Items(("a", "b"), ("x", "z")), Items(("a", "c"), ("x", "y")), Items(("b", "a"), ("y", "x"))]
    others += [Items(("a", "b"), torch.tensor([0.0, 1])), Items(("a", "b"), torch.tensor([0.0, 2]))]
    assert len({items.key, *(one.key for one in others)}) == 6


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ((("a", "b"), ("x",)), "2 ids but 1 inputs"),
        ((("a", "a"), ("x", "y")), "'a' stands for two items"),
        ((("a", "b"), ("x", "y"), {"label": [1]}), "'label' has 1 values for 2 items"),
    ],
)
def test_what_are_no_items_is_refused(parts: tuple, said: str) -> None:  # type: ignore[type-arg]
    with pytest.raises(DataError, match=said):
        Items(*parts)


def test_an_unknown_id_is_named() -> None:
    with pytest.raises(DataError, match="'z' is none of the 1 items"):
        Items(("a",), ("x",)).rows(["a", "z"])


# --- reading ---------------------------------------------------------------------------------------------------------


def test_every_format_gives_the_same_items(tmp_path: Path) -> None:
    rows = [{"text": "plain", "label": "a"}, {"text": 'a "quoted", comma\nand a new line', "label": "b"}]
    quoted = 'text,label\nplain,a\n"a ""quoted"", comma\nand a new line",b\n'
    files = [
        written(tmp_path, "t.csv", quoted),
        written(tmp_path, "bom.csv", "﻿" + quoted.replace("\n", "\r\n").replace("comma\r\nand", "comma\nand")),
        written(
            tmp_path, "t.tsv", quoted.replace("text,label", "text\tlabel").replace(",a\n", "\ta\n").replace('",b', '"\tb')
        ),
        written(tmp_path, "t.jsonl", "\n".join(json.dumps(row) for row in rows) + "\n\n"),
        written(tmp_path, "t.json", json.dumps(rows, indent=1)),
        written(tmp_path, "T.NDJSON", "﻿" + "\r\n".join(json.dumps(row) for row in rows)),
        parquet(tmp_path, {"text": [row["text"] for row in rows], "label": ["a", "b"]}),
    ]
    expected = load_items(files[0])
    assert expected.inputs == ("plain", 'a "quoted", comma\nand a new line') and expected.columns["label"] == ["a", "b"]
    for path in files[1:]:
        assert load_items(path) == expected, path


def test_json_lines_keep_rare_line_separators_inside_strings_and_fill_missing_keys(tmp_path: Path) -> None:
    path = written(tmp_path, "t.jsonl", '{"text": "one\u2028two\x85three"}\n{"text": null, "label": "a"}\n')
    items = load_items(path)
    assert items.inputs == ("one\u2028two\x85three", "") and items.columns["label"] == [None, "a"]


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
    ("name", "content", "said"),
    [
        ("t.csv", "text,label\na,b\nc\n", r"t\.csv, line 3: 1 fields, but the header names 2 columns"),
        ("t.csv", 'text,label\n"a\nb",c\nd,e,f\n', r"line 4: 3 fields"),
        ("t.csv", 'text,label\n"never closed,b\n', "cannot be read as csv"),
        ("t.csv", "", "is empty; its first line names the columns"),
        ("t.csv", "text,label\n", "has no rows"),
        ("t.csv", "text,text\na,b\n", "names the column 'text' twice"),
        ("t.csv", "txt,label\na,b\n", r"no column 'text'; did you mean 'txt'\? it has txt, label"),
        ("t.csv", b"text\n\xff\xfe\n", r"t\.csv cannot be read as csv: it is no text in UTF-8; save it so, or as parquet"),
        ("t.jsonl", '{"text": "a"}'.encode("utf-16"), "it is no text in UTF-8"),
        ("t.csv", "text;label\na;b\n", "separates columns by ';'; legal is a comma, and a tab in .tsv"),
        ("t.csv", "text\tlabel\na\tb\n", r"separates columns by '\\t'"),
        ("t.tsv", "text,label\na,b\n", "separates columns by ','"),
        ("t.jsonl", '{"text": "a"}\n{"text": \n', r"t\.jsonl, line 2 is no JSON .*; each line is one object"),
        ("t.jsonl", '{"text": "a"}\n3\n', "does not hold objects"),
        ("t.jsonl", "", "has no rows"),
        ("t.json", "[]", "has no rows"),
        ("t.json", '[{"text": "a"}', "cannot be read as json"),
        ("t.jsonl", '{"text": "\\ud800"}\n', "row 1: 'text' holds half a surrogate pair"),
        ("t.parquet", b"PAR1 and nothing else", "cannot be read as parquet"),
        ("t.parquet", b"", "cannot be read as parquet"),
        ("t.docx", "text\na\n", r"is no file that can be read; legal are \.csv"),
    ],
)
def test_a_damaged_file_is_refused_in_a_sentence(tmp_path: Path, name: str, content: str | bytes, said: str) -> None:
    with pytest.raises(DataError, match=said) as refusal:
        load_items(written(tmp_path, name, content))
    assert "\n" not in str(refusal.value)


def test_a_parquet_cut_anywhere_is_refused(tmp_path: Path) -> None:
    whole = Path(parquet(tmp_path, {"text": [f"text {row}" for row in range(500)]})).read_bytes()
    for size in (4, len(whole) // 2, len(whole) - 1):
        with pytest.raises(DataError, match=r"[^.]; it may be truncated"):
            load_items(written(tmp_path, "cut.parquet", whole[:size]))


def test_a_missing_file_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    written(tmp_path, "train.csv", "text\na\n")
    with pytest.raises(DataError, match=r"There is no file .*trian\.csv; did you mean 'train\.csv'"):
        load_items(str(tmp_path / "trian.csv"))
    with pytest.raises(DataError, match="the folder has none"):
        load_items(str(tmp_path / "nowhere" / "t.csv"))


def test_what_is_neither_file_nor_data_set_says_so_offline(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no-such-thing is no file here and could not be loaded as a data set"):
        load_table("no-such-thing")


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


def test_a_column_by_name() -> None:
    assert column({"a": [1]}, "a", "t.csv") == [1]
    with pytest.raises(DataError, match=r"t\.csv has no column 'lable'; did you mean 'label'"):
        column({"label": []}, "lable", "t.csv")


def test_a_long_field_is_read(tmp_path: Path) -> None:
    path = written(tmp_path, "t.csv", f"text\n{'x' * 1_000_000}\n")
    assert len(load_items(path).inputs[0]) == 1_000_000


def test_real_parquet(data_folder: Path) -> None:
    items = load_items(str(data_folder / "r52_gpt" / "train_chatgpt.parquet"), text="text_norm")
    assert len(items) == 5007 and len(set(items.ids)) == 5007


def test_a_text_that_no_file_can_hold_still_has_an_id() -> None:
    assert content_id("\ud800") != content_id("\ud801")


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
