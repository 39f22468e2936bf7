"""Prediction files: what a row says, in each kind of file, whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from distrust.data import load_table
from distrust.defer import Deferred
from distrust.errors import DataError, RunError
from distrust.labels import LabelSpace
from distrust.predictions import check_kind, rows, write

NAMES = ("plain", 'quo"te, and comma', "two\nlines", "é\u2028", "=1+1", "f", "g")
SPACE = LabelSpace(NAMES)
CHANCES = torch.tensor([[0.05, 0.1, 0.2, 0.3, 0.25, 0.06, 0.04], [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]], dtype=torch.float64)
DEFERRED = Deferred(torch.tensor([1, 6]), torch.tensor([True, False]), torch.tensor([True, False]), "llm")


def test_a_row_holds_the_five_most_probable_classes_in_order() -> None:
    first, second = rows(("i", "j"), SPACE, CHANCES, None)
    assert first == {
        "id": "i",
        "label": NAMES[3],
        "confidence": 0.3,
        "probabilities": {NAMES[3]: 0.3, NAMES[4]: 0.25, NAMES[2]: 0.2, NAMES[1]: 0.1, "f": 0.06},
        "by": "student",
    }
    assert second["label"] == "g" and second["confidence"] == 1.0 and len(second["probabilities"]) == 5


def test_a_deferred_row_has_the_teachers_label_and_the_students_confidence() -> None:
    first, second = rows(("i", "j"), SPACE, CHANCES, DEFERRED)
    assert (first["label"], first["by"], first["deferred"], first["confidence"]) == (NAMES[1], "llm", True, 0.3)
    assert (second["label"], second["by"], second["deferred"]) == ("g", "student", False)


def test_fewer_classes_than_five() -> None:
    (row,) = rows(("i",), LabelSpace(("a", "b")), torch.tensor([[0.25, 0.75]]), None)
    assert row["probabilities"] == {"b": 0.75, "a": 0.25}


@pytest.mark.parametrize("name", ["p.jsonl", "p.csv", "p.PARQUET"])
def test_every_kind_of_file_reads_back(tmp_path: Path, name: str) -> None:
    path = tmp_path / "deeper" / name
    found = rows(("i", "j"), SPACE, CHANCES, DEFERRED)
    write(path, found)
    table = load_table(str(path))
    assert list(table) == ["id", "label", "confidence", "probabilities", "by", "deferred"]
    said = [json.loads(one) if isinstance(one, str) else one for one in table["probabilities"]]
    assert said == [row["probabilities"] for row in found]
    assert [float(one) for one in table["confidence"]] == [0.3, 1.0]
    assert [str(one) for one in table["deferred"]] == ["True", "False"]
    assert table["label"] == [row["label"] for row in found] and table["by"] == ["llm", "student"]
    assert [one.name for one in path.parent.iterdir()] == [name]


@pytest.mark.parametrize(
    "cell", ["=1+1", "+1-cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\uff1d1", "-1_0", "-inf"]
)
def test_a_spreadsheet_runs_no_cell(tmp_path: Path, cell: str) -> None:
    write(tmp_path / "p.csv", [{"id": cell, "label": "a"}])
    assert load_table(str(tmp_path / "p.csv")) == {"id": [f"'{cell}"], "label": ["a"]}
    write(tmp_path / "p.jsonl", [{"id": cell, "label": "a"}])
    assert load_table(str(tmp_path / "p.jsonl"))["id"] == [cell], "no spreadsheet opens these"


@pytest.mark.parametrize("cell", ["-1", "+2.50", "-1e-05", "a=1", "", "'quoted'", -3, None])
def test_numbers_and_plain_texts_stay_as_they_are(tmp_path: Path, cell: object) -> None:
    write(tmp_path / "p.csv", [{"id": cell, "label": "a"}])
    assert load_table(str(tmp_path / "p.csv"))["id"] == ["" if cell is None else str(cell)]


def test_other_kinds_and_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"did you mean '\.jsonl'\? legal are \.jsonl, \.csv, \.parquet"):
        check_kind(tmp_path / "p.json")
    (tmp_path / "f.csv").mkdir()
    with pytest.raises(DataError, match="is a folder"):
        check_kind(tmp_path / "f.csv")


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match=r"p\.jsonl cannot be written"):
        write(tmp_path / "file" / "p.jsonl", rows(("i", "j"), SPACE, CHANCES, None))
