"""What an audit found, as files: figures counted by hand, every item once, nothing that a reader would obey."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from distrust.data import Items
from distrust.evaluate.scores import Interval
from distrust.files import read_json
from distrust.labels import LabelSpace
from distrust.noise.estimate import Noise, estimate
from distrust.noise.question import Question
from distrust.report.audit import BLIND, CELLS, FEW, SEEN, SHOWN, SUSPECTS, findings, write

EVIL = "<script>alert(1)</script>\x1b[2J\u202e"
SPACE = LabelSpace(("a", f"b {EVIL}", "never said"))


def question(claims: list[int], gold: dict[int, int] | None = None, texts: list[int] | None = None) -> Question:
    known, count, said = gold or {}, len(claims), f"said {EVIL}"
    items = Items(
        tuple(f"=id {row}" for row in range(count)), tuple(f"{EVIL} {row} " + "word " * 80 for row in range(count))
    )
    return Question(
        items, SPACE, torch.tensor(claims), torch.tensor(list(known), dtype=torch.long),
        torch.tensor(list(known.values()), dtype=torch.long), torch.tensor(texts or range(count)), said, ["a note"],
    )  # fmt: skip


def noise(asked: Question, wrong: list[float], matrix: Tensor | None = None) -> Noise:
    """By hand: each claim's chance to be wrong; gold's rows are as gold says."""
    chance = torch.tensor(wrong)
    claims, classes = asked.claims, len(SPACE)
    truth = torch.nn.functional.one_hot((claims + (chance > 0.5)) % classes, classes).float()
    truth[asked.gold_rows] = torch.nn.functional.one_hot(asked.gold_labels, classes).float()
    found = torch.eye(classes) if matrix is None else matrix
    return Noise(
        Interval(0.2, 0.1, 0.3), chance, truth, found, found - 0.01, found + 0.01, torch.ones(classes),
        claims.bincount(minlength=classes), len(asked.gold_rows),
    )  # fmt: skip


def chances(asked: Question) -> Tensor:
    return torch.nn.functional.one_hot(asked.claims, len(SPACE)).float()


def listed(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / "audit.csv").read_text(encoding="utf-8").splitlines()))


def test_figures_by_hand() -> None:
    asked = question([0, 1, 0, 1, 0], gold={1: 0, 4: 0})
    matrix = torch.tensor([[0.9, 0.1, SEEN / 2], [SEEN, 0.5, 0.48], [1 / 3, 1 / 3, 1 / 3]])
    found = findings(asked, noise(asked, [0.9, 1.0, 0.5, 0.51, 0.0], matrix), chances(asked), [3, 0])
    assert (found["items"], found["gold"], found["unchecked"], found["suspects"]) == (5, 2, 3, 2), "gold is no suspect"
    assert found["rate"] == {"value": 0.2, "low": 0.1, "high": 0.3} and found["rate_is"].startswith("estimated with gold")
    names = list(SPACE.names)
    cells = [(one["claimed"], one["true"], round(one["share"], 4), one["claims"]) for one in found["matrix"]]
    assert cells == [
        (names[0], names[0], 0.9, 3), (names[0], names[1], 0.1, 3),
        (names[1], names[1], 0.5, 2), (names[1], names[2], 0.48, 2), (names[1], names[0], SEEN, 2),
    ], "classes by how often they are claimed; none that nobody claims, and no cell that is hardly there"  # fmt: skip
    assert [one["id"] for one in found["next"]] == ["=id 3", "=id 0"] and found["notes"][0] == "a note"


@pytest.mark.parametrize(
    ("gold", "texts", "sentences"),
    [
        ({}, 60, [BLIND]),
        (dict.fromkeys(range(FEW), 0), 60, []),
        (dict.fromkeys(range(FEW - 1), 0), 60, [f"There are only {FEW - 1} gold labels; from 50 on"]),
        (
            dict.fromkeys(range(40), 0),
            20,
            ["The 40 gold labels are of 20 texts;", "There are only 20 gold labels; from 50 on"],
        ),
    ],
)
def test_what_weakens_the_estimate_is_said(gold: dict[int, int], texts: int, sentences: list[str]) -> None:
    asked = question([row % 2 for row in range(60)], gold, [row % texts for row in range(60)])
    said = findings(asked, noise(asked, [0.1] * 60), chances(asked), [])["notes"][1:]
    assert len(said) == len(sentences) and all(one.startswith(start) for one, start in zip(said, sentences, strict=True))


@pytest.mark.parametrize(("gold", "little"), [({}, "rate and the list of suspects are"), ({0: 0}, "list of suspects is")])
def test_students_that_know_no_more_than_the_most_frequent_class_are_worth_little(gold: dict[int, int], little: str) -> None:
    asked = question([0, 0, 0, 1], gold)
    always = torch.tensor([[1.0, 0.0, 0.0]]).expand(4, 3)
    for guesses, said in ((always, True), (chances(asked), False)):
        notes = findings(asked, noise(asked, [0.1] * 4), guesses, [])["notes"]
        assert any(f"guess 75% of the claims, no more than always saying the most frequent class (75%): the texts tell them "
                   f"nothing, and the {little} worth little." in one for one in notes) is said  # fmt: skip


def test_files_hold_every_item_once_the_most_suspect_first(tmp_path: Path) -> None:
    wrong = [0.5, 0.9, 0.25, 0.9, 1.0, 0.0]
    asked = question([0, 1, 0, 1, 0, 1], gold={4: 1, 5: 1})
    found = findings(asked, noise(asked, wrong), chances(asked), [0])
    paths = write(tmp_path / "deep" / "audit", asked, noise(asked, wrong), found)
    assert [path.name for path in paths] == ["audit.json", "audit.csv", "audit.html"]
    assert read_json(paths[0]) == found == json.loads(json.dumps(found, allow_nan=False))
    rows = listed(paths[1].parent)
    assert [row["id"][-1] for row in rows] == list("413025"), "of two alike the first comes first"
    assert [row["gold"] != "" for row in rows] == [True, False, False, False, False, True]
    assert all(row["suggested"] == row["gold"] for row in rows if row["gold"])
    again = write(tmp_path / "deep" / "audit", asked, noise(asked, wrong), found)
    assert again == paths and not list((tmp_path / "deep" / "audit").glob(".*"))


def test_what_a_stranger_wrote_is_inert_in_every_file(tmp_path: Path) -> None:
    asked = question([0, 1] * 40)
    matrix = torch.tensor([[0.5, 0.5, 0.0], [0.5, 0.25, 0.25], [0.0, 0.0, 1.0]])
    told = noise(asked, [0.9] * 80, matrix)
    write(tmp_path, asked, told, findings(asked, told, chances(asked), list(range(9))))
    page, table = ((tmp_path / f"audit.{kind}").read_text(encoding="utf-8") for kind in ("html", "csv"))
    for text in (page, table):
        assert not {"\x1b", "\u202e", "\x00"} & set(text)
    assert "<script" not in page and "&lt;script&gt;" in page
    rows = listed(tmp_path)
    assert all(row["id"].startswith("'=id") and len(row["text"]) <= SHOWN + 1 for row in rows), "no cell is a formula"
    assert page.count("=id ") == SUSPECTS + 9, "a page has so many suspects, and all that is to be labelled next"


def test_a_page_has_room_for_so_many_kinds_of_mistakes_the_most_frequent(tmp_path: Path) -> None:
    space = LabelSpace(tuple(f"class {number}" for number in range(9)))
    claims = torch.arange(18) % 9
    items = Items(tuple(map(str, range(18))), tuple(f"text {row}" for row in range(18)))
    none = torch.zeros(0, dtype=torch.long)
    asked = Question(items, space, claims, none, none, torch.arange(18), "said")
    share = (1 + torch.arange(81.0).reshape(9, 9)) / 100
    told = Noise(
        Interval(0.2, 0.1, 0.3), torch.zeros(18), share[claims], share, share, share, torch.ones(9), claims.bincount(), 0
    )
    found = findings(asked, told, share[claims], [])
    write(tmp_path, asked, told, found)
    page = (tmp_path / "audit.html").read_text(encoding="utf-8")
    shown = re.findall(r"class (\d) class (\d) (\d+) %", " ".join(re.sub(r"<[^>]+>", " ", page).split()))
    mistakes = sorted((9 * row + column + 1, row, column) for row in range(9) for column in range(9) if row != column)
    expected = [(str(row), str(column), str(least)) for least, row, column in reversed(mistakes)][:CELLS]
    assert shown == expected and len(found["matrix"]) == 80, "the first cell is hardly there"


def test_an_estimate_of_our_own_fits(tmp_path: Path) -> None:
    asked = question([row % 2 for row in range(40)], {row: row % 2 for row in range(10)})
    told = estimate(chances(asked) * 0.8 + 0.1, asked.claims, asked.gold_rows, asked.gold_labels, asked.texts)
    found: dict[str, Any] = findings(asked, told, chances(asked), [12])
    assert {path.name for path in write(tmp_path, asked, told, found)} == {path.name for path in tmp_path.iterdir()}
    assert found["gold"] == 10 and 0 <= found["rate"]["low"] <= found["rate"]["value"] <= found["rate"]["high"] <= 1
