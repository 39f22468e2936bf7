"""The files that items come from: what is read, and what is refused in which words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from distrust.data import column, load_items, load_table
from distrust.errors import DataError
from tests.data.tables import parquet, written


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
