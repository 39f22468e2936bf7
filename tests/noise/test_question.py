"""A stranger's table as a question: what is guessed, how gold is joined, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from distrust.errors import DataError
from distrust.noise.question import Asked, read
from tests.cli.world import LABELS, news, write


def table(folder: Path, rows: list[dict[str, Any]], name: str = "t.jsonl") -> str:
    path = folder / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def test_columns_are_guessed_and_said(tmp_path: Path) -> None:
    found = read(Asked(str(write(tmp_path / "n.csv", news(60, gold=20)))))
    assert (found.column, found.space.names, len(found.items), len(found.gold_rows)) == ("gpt_label", LABELS, 60, 20)
    assert (
        found.items.ids[0] == "0-0" and "Guessed: --text text --id id --labels gpt_label --gold-column label." in found.notes
    )


def test_named_columns_are_not_guessed_and_blank_claims_are_left_out(tmp_path: Path) -> None:
    rows = [{"body": f"text {n}", "said": ["a", "b"][n % 2], "label": "a"} for n in range(20)]
    rows[3]["said"], rows[4]["said"] = None, " "
    found = read(Asked(table(tmp_path, rows), labels="said", text="body"))
    assert len(found.items) == 18 and not len(found.gold_rows)
    assert found.notes == ["2 of 20 rows have no claim in 'said' and are left out."]


def test_gold_is_joined_by_id_or_by_text(tmp_path: Path) -> None:
    rows = [{"key": f"k{n}", "text": f"text {n}", "said": ["a", "b"][n % 2]} for n in range(20)]
    gold = [{"key": "k3", "text": "other", "label": "a"}, {"key": "k9", "text": "text 1", "label": "B"}, {"label": "a"}]
    data, other = table(tmp_path, rows), table(tmp_path, gold, "g.jsonl")
    by_id = read(Asked(data, labels="said", text="text", id="key", gold=other))
    assert [by_id.items.ids[row] for row in by_id.gold_rows] == ["k3", "k9"] and by_id.gold_labels.tolist() == [0, 1]
    by_text = read(Asked(data, labels="said", text="text", gold=other))
    assert by_text.gold_rows.tolist() == [1] and "2 of 3 gold items are not in" in by_text.notes[0]


def test_gold_of_pairs_is_joined_by_both_texts(tmp_path: Path) -> None:
    rows = [{"premise": f"p {n // 2}", "hypothesis": f"h {n % 2}", "said": ["a", "b"][n % 2]} for n in range(20)]
    asked = {"labels": "said", "text": "premise", "text_pair": "hypothesis"}
    gold = [{"premise": "p 3", "hypothesis": "h 1", "label": "a"}]
    found = read(Asked(table(tmp_path, rows), **asked, gold=table(tmp_path, gold, "g.jsonl")))
    assert found.gold_rows.tolist() == [7] and found.gold_labels.tolist() == [0]
    bare = table(tmp_path, [{"premise": "p 3", "label": "a"}], "g.jsonl")
    with pytest.raises(DataError, match="has no column 'hypothesis'"):
        read(Asked(table(tmp_path, rows), **asked, gold=bare))


def test_what_only_gold_names_is_a_class_too(tmp_path: Path) -> None:
    rows = [{"text": f"t {n}", "said": ["a", "b"][n % 2], "gold": ["a", "c"][n == 0] if n < 5 else ""} for n in range(20)]
    found = read(Asked(table(tmp_path, rows), labels="said", text="text", gold_column="gold"))
    assert found.space.names == ("a", "b", "c") and found.gold_labels.tolist() == [2, 0, 0, 0, 0]
    assert any("Gold says 'c', which is never claimed" in note for note in found.notes)


def test_rare_classes_and_texts_that_contradict_themselves_are_said(tmp_path: Path) -> None:
    rows = [{"text": f"t {n % 18}", "said": "c" if n == 2 else ["a", "b"][n >= 18]} for n in range(24)]
    notes = " ".join(read(Asked(table(tmp_path, rows), labels="said", text="text")).notes)
    assert "1 classes are claimed fewer than 5 times, too rarely to be learned: c." in notes
    assert "Copies of a text are claimed to be different classes: 6 of these claims are wrong at least." in notes


def test_copies_share_a_number_unless_the_text_decides_nothing(tmp_path: Path) -> None:
    """Empty texts, and those that gold labels in two ways, are not held against claims."""
    texts = [*(f"text {n}" for n in range(12)), "text 0", "text 1", " ", "", "text 1"]
    rows = [{"key": str(n), "text": text, "said": ["a", "b"][n % 2], "gold": ""} for n, text in enumerate(texts)]
    rows[1]["gold"], rows[13]["gold"], rows[12]["gold"] = "a", "b", "a"
    found = read(Asked(table(tmp_path, rows), labels="said", text="text", id="key", gold_column="gold"))
    numbers = found.texts.tolist()
    assert numbers[0] == numbers[12] and [numbers.count(numbers[row]) for row in (0, 1, 13, 14, 15, 16)] == [
        2,
        1,
        1,
        1,
        1,
        1,
    ]
    assert "2 texts are empty; nothing can be seen of their claims." in found.notes
    assert "Gold gives 1 texts more than one label; it should be looked at again before it is believed." in found.notes


def test_classes_that_are_nearly_the_same_are_said(tmp_path: Path) -> None:
    rows = [{"text": f"text {n}", "said": ["Spam", "ham", "spam "][n % 3]} for n in range(20)]
    found = read(Asked(table(tmp_path, rows), labels="said", text="text"))
    assert found.notes == ["Classes that differ in case or blanks alone are counted apart: 'Spam' and 'spam'."]


GOOD = [{"text": f"text {n}", "said": ["a", "b"][n % 2], "gold": ""} for n in range(20)]


UNIQUE = "'said' says 16 different things of 20 items, so these are no classes; name the column of the claims with --labels."


@pytest.mark.parametrize(
    "rows, asked, said",
    [
        (GOOD, {"labels": "sad"}, "has no column 'sad'; did you mean 'said'?"),
        (GOOD, {"labels": "said", "text": "txt"}, "has no column 'txt'; did you mean 'text'?"),
        (GOOD, {"labels": "said", "gold_column": "glod"}, "did you mean 'gold'?"),
        (GOOD, {"labels": "said", "gold_column": "gold"}, "holds no gold: every row of it is blank, or there is none"),
        (GOOD, {"labels": "said", "gold_column": "said"}, "both the claims and the gold"),
        (GOOD, {"labels": "said", "gold": "none.csv"}, "There is no file none.csv"),
        (GOOD[:9], {"labels": "said"}, "has 9 claims in 'said'; an audit needs 10 at least"),
        (
            [row | {"text": f"text {n % 9}"} for n, row in enumerate(GOOD)],
            {"labels": "said"},
            "has 20 claims in 'said', on 9 texts; an audit needs 10 at least",
        ),
        ([row | {"said": f"id{n // 2 * 2 if n < 9 else n}"} for n, row in enumerate(GOOD)], {"labels": "said"}, UNIQUE),
        ([row | {"said": "a"} for row in GOOD], {"labels": "said"}, "says 'a' of every item; an audit needs two classes"),
        ([row | {"said": ""} for row in GOOD], {"labels": "said"}, "every row of it is blank"),
        ([row | {"said": ["a", "b"]} for row in GOOD], {"labels": "said"}, "holds lists"),
        ([row | {"gold": "A!"} for row in GOOD], {"labels": "said", "gold_column": "gold"}, "never claimed, such as 'A!'"),
        (GOOD, {"text": "text"}, "looks like a teacher's claims; name one with --labels"),
        ([row | {"gpt": row["said"], "llm": row["said"]} for row in GOOD], {}, "several columns of claims; say which with"),
    ],
)
def test_what_is_refused(tmp_path: Path, rows: list[dict[str, Any]], asked: dict[str, str], said: str) -> None:
    with pytest.raises(DataError) as refused:
        read(Asked(table(tmp_path, rows), **asked))
    assert said in str(refused.value) and "\n" not in str(refused.value)


def test_gold_that_contradicts_itself_or_is_elsewhere_is_refused(tmp_path: Path) -> None:
    data = table(tmp_path, GOOD)
    for gold, said in (
        ([{"text": "text 1", "label": "a"}, {"text": "text 1", "label": "b"}], "two labels; gold has one"),
        ([{"text": "elsewhere", "label": "a"}], "None of the 1 gold items"),
        ([{"text": "text 1", "said": "a"}], "has no column 'label'"),
    ):
        with pytest.raises(DataError, match=said):
            read(Asked(data, labels="said", text="text", gold=table(tmp_path, gold, "g.jsonl")))
