"""Tables on the terminal: figures as they are, unknown is never 0, and no name is obeyed, by the terminal or by rich."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import torch

from distrust.cli.tables import classes_table, plan_table, spending_table, summary, table
from distrust.errors import RunError
from distrust.evidence import Evidence
from distrust.files import write_json
from distrust.labels import LabelSpace
from distrust.plan import FREE, Planned, Span
from distrust.report.facts import Spending
from tests.methods.specialist_worlds import work

ODD = "a [/b] [red]x[link=file:///etc] \x1b[31m\x07\nb"
SHOWN = r"a [/b] [red]x[link=file:///etc] \x1b[31m\x07 b"


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")


def test_a_name_is_shown_as_it_is_wherever_it_stands(capsys: pytest.CaptureFixture[str]) -> None:
    table(ODD, (ODD, "n"), [(ODD, 1), ("plain", ODD)])
    said = capsys.readouterr().out
    assert said.count(SHOWN) == 4 and "\x1b" not in said and "\x07" not in said


def test_columns_stand_below_each_other_and_none_is_no_trouble(capsys: pytest.CaptureFixture[str]) -> None:
    table("T", ("name", "n"), [("a", 1), ("long", 22)])
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines == ["T", "name   n", "a      1", "long  22"]
    table("T", ("", ""), [], header=False)
    assert capsys.readouterr().out.split() == ["T"]


def test_a_plan_says_what_is_expected_and_what_is_unknown(capsys: pytest.CaptureFixture[str]) -> None:
    free = Planned("old", "recorded", 7, 7, 0, 0, FREE, FREE, FREE, "complete")
    tokens, unknown = Span(1234.4, 5000.0), Span(None, None)
    paid = Planned(ODD, "endpoint", 9, 2, 7, 3, tokens, Span(70, None), unknown, "budget.calls")
    plan_table([free, paid])
    said = [line.rstrip() for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert said[0] == "old (recorded)" and "to buy" in said[2] and said[3] == f"{SHOWN} (endpoint)", (
        "nothing more of a free one"
    )
    for row in (
        "9 wanted, 2 there already",
        "7 calls, 3 of them on gold outside the pool",
        "1,234 expected, 5,000 at most",
        "70 expected, unknown at most",
        "budget.calls",
    ):
        assert sum(line.endswith(row) for line in said) == 1, row
    assert next(line for line in said if line.startswith("money")).split() == ["money", "unknown"]
    assert said[-1] == "Nothing was asked or spent."


def test_what_was_bought_counts_items_with_any_answer(capsys: pytest.CaptureFixture[str]) -> None:
    space = LabelSpace(("a", "b"))
    said = [
        Evidence("gpt", ("1", "2", "3"), space, torch.tensor([[0, -1, -1], [1, -1, 1]])),
        Evidence("nobody", (), space, torch.zeros(1, 0, dtype=torch.long)),
    ]
    spent = [Spending("gpt", 4, 10, 5, None, ended="budget.calls"), Spending("nobody", 0, 0, 0, 0.0)]
    spending_table(spent, said)
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["gpt", "2", "of", "3", "4", "15", "unknown", "budget.calls"] in rows
    assert ["nobody", "0", "of", "0", "0", "0", "0.0000", "complete"] in rows


def test_how_a_run_ended(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    interval = {"value": 0.875, "low": 0.5, "high": None}
    found: dict[str, Any] = {
        "verdict": f"Better. {ODD}",
        "labels": ["a", "b"],
        "test": {
            "student": {"accuracy": interval, "macro_f1": None},
            "gold_only": {"accuracy": {"value": None}},
            "items": 9,
        },
        "teachers": {ODD: {"accuracy": None, "coverage": 0.5}, "silent": {"coverage": None}},
    }
    write_json(tmp_path / "m.json", found)
    summary(tmp_path / "m.json")
    said = capsys.readouterr().out
    assert f"Better. {SHOWN}" in said and "\x1b" not in said and "macro F1" in said
    rows = [line.split() for line in said.splitlines()]
    assert ["student", "87.5", "%", "[50.0,", "nan]", "-"] in rows and ["gold-only", "-", "-"] in rows
    assert ["silent", "-", "-"] in rows and any(
        line.startswith(SHOWN) and line.split()[-2:] == ["50", "%"] for line in said.splitlines()
    )
    write_json(tmp_path / "open.json", {"verdict": "v", "test": None, "teachers": None})
    summary(tmp_path / "open.json")
    assert capsys.readouterr().out.split() == ["v"]


def test_half_a_file_of_figures_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "m.json").write_text('{"verdict": "Bet')
    with pytest.raises(RunError, match=r"m\.json is damaged"):
        summary(tmp_path / "m.json")


def test_classes_are_listed_with_who_knows_them_where_teachers_differ(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with closing(work(tmp_path / "alike", "abcdef", "abcdef")) as run:
        classes_table(run)
        assert capsys.readouterr().out == ""
        classes_table(run, always=True)
        assert "6 classes of 2 teachers, 240 items:" in capsys.readouterr().out
    with closing(work(tmp_path / "apart", "abc", "cd", gold=5)) as run:  # of a to e
        classes_table(run)
    said = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "c knows abc, knows cd" in said and "d knows cd" in said
    assert said[-2:] == ["e nobody; only gold tells of it", "f nobody, and no gold tells of it"]
