"""Past answers: joined by id or text, read cell by cell, and nothing made up where there is no answer."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from distrust.data import Items, load_items
from distrust.errors import DataError
from distrust.labels import LabelSpace
from distrust.recipe import Recorded
from distrust.teachers.recorded import RecordedTeacher

SPACE = LabelSpace(("spam", "ham", "news"))
TEXTS = ("one", "two", "three", "four")


def pool(**columns: list[Any]) -> Items:
    return Items(("a", "b", "c", "d"), TEXTS, columns)


def teacher(items: Items, **options: Any) -> RecordedTeacher:
    return RecordedTeacher(Recorded(kind="recorded", name="past", **({"column": "said"} | options)), SPACE, items)


def jsonl(path: Path, rows: Sequence[Mapping[str, Any]]) -> str:
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return str(path)


def test_a_column_of_the_pool() -> None:
    items = pool(said=["ham", " HAM ", None, "news"])
    said = teacher(items).ask(items)
    assert said.claims.tolist() == [[1, 1, -1, 2]] and said.ids == items.ids
    assert [list(one) for one in said.texts or []] == [["ham"], [" HAM "], [], ["news"]], "raw text is kept"
    assert said.notes == {"no answer": 1}
    assert said.cost is not None and not said.cost.money.any()
    assert said.logits is None


def test_what_is_no_label_abstains_and_is_counted() -> None:
    items = pool(said=["ham", "eggs", "", "  "])
    said = teacher(items).ask(items)
    assert said.claims.tolist() == [[1, -1, -1, -1]]
    assert said.notes == {"outside the label space": 1, "no answer": 2}


def test_sampled_answers_in_a_cell() -> None:
    items = pool(said=[["ham", "spam", "ham"], ["news"], [], ["ham", None, "eggs"]])
    said = teacher(items).ask(items)
    assert said.claims.T.tolist() == [[1, 0, 1], [2, -1, -1], [-1, -1, -1], [1, -1, -1]]
    assert said.notes == {"no answer": 1, "outside the label space": 1}
    shares = said.distribution()
    assert shares[0].tolist() == pytest.approx([1 / 3, 2 / 3, 0]) and not shares[2].any()


def test_lists_and_numbers_come_out_of_parquet(tmp_path: Path) -> None:
    table = pa.table({"text": ["x", "y"], "said": [["ham", "ham"], None], "label": [1.0, 0.0]})
    pq.write_table(table, tmp_path / "p.parquet")
    items = load_items(str(tmp_path / "p.parquet"))
    assert teacher(items).ask(items).claims.tolist() == [[1, -1], [1, -1]]
    numbers = teacher(items, column="label", labels={"1.0": "ham", "0.0": "spam"})
    assert numbers.ask(items).claims.tolist() == [[1, 0]]


def test_its_own_spellings() -> None:
    items = pool(said=["0", "1", "LABEL_2", "ham"])
    said = teacher(items, labels={"0": "spam", "1": "ham", "LABEL_2": "news"}).ask(items)
    assert said.claims.tolist() == [[0, 1, 2, 1]]
    with pytest.raises(DataError, match="points to 'hum', no class here; did you mean 'ham'"):
        teacher(items, labels={"0": "hum"})


def test_a_file_joined_by_id(tmp_path: Path) -> None:
    rows = [{"key": "c", "said": "ham"}, {"key": "a", "said": "spam"}, {"key": "elsewhere", "said": "news"}]
    items = pool()
    said = teacher(items, path=jsonl(tmp_path / "past.jsonl", rows), id="key").ask(items)
    assert said.claims.tolist() == [[0, -1, 1, -1]] and said.notes == {"no answer": 2}


def test_numbers_as_ids(tmp_path: Path) -> None:
    items = Items(("7", "8"), ("x", "y"))
    path = jsonl(tmp_path / "past.jsonl", [{"key": 8, "said": "ham"}])
    assert teacher(items, path=path, id="key").ask(items).claims.tolist() == [[-1, 1]]


def test_a_file_joined_by_text(tmp_path: Path) -> None:
    (tmp_path / "pool.csv").write_text("text\none\ntwo\n")
    items = load_items(str(tmp_path / "pool.csv"))
    path = jsonl(tmp_path / "past.jsonl", [{"t": "two", "said": "ham"}, {"t": "three", "said": "spam"}])
    assert teacher(items, path=path, text="t").ask(items).claims.tolist() == [[-1, 1]]


def test_the_same_answer_twice_is_one_and_two_answers_are_refused(tmp_path: Path) -> None:
    rows = [{"key": "a", "said": "ham"}, {"key": "b", "said": "ham"}, {"key": "a", "said": "ham"}]
    items = pool()
    assert teacher(items, path=jsonl(tmp_path / "1.jsonl", rows), id="key").ask(items).claims[0, 0] == 1
    rows[2]["said"] = "spam"
    with pytest.raises(DataError, match="answers the item 'a' twice, differently"):
        teacher(items, path=jsonl(tmp_path / "2.jsonl", rows), id="key")


def test_a_file_about_other_items_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="belongs to an item of the pool; join by `id`"):
        teacher(pool(), path=jsonl(tmp_path / "p.jsonl", [{"key": "z", "said": "ham"}]), id="key")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"column": "sayd"}, "no column 'sayd'; did you mean 'said'"),
        ({"confidence": "sure"}, "past has no column 'sure'; it has said"),
        ({"rationale": "why"}, "past has no column 'why'"),
        ({"path": "no.csv"}, "There is no file no.csv"),
    ],
)
def test_what_is_not_there_is_named(options: dict[str, Any], words: str) -> None:
    with pytest.raises(DataError, match=words):
        teacher(pool(said=["ham"] * 4), **options)


@pytest.mark.parametrize("cells", [["Spam!", "egg", None, "x"], [None, "", [], [None]]])
def test_a_teacher_in_another_language_is_refused(cells: list[Any]) -> None:
    with pytest.raises(
        DataError, match=r"past has no label in common with the task: its column 'said' says .*, the task has"
    ):
        teacher(pool(said=cells))


def test_confidence_and_rationale_are_kept_beside_the_claim() -> None:
    items = pool(said=["ham"] * 4, sure=[0.5, None, "", "1"], why=["because", None, "<b>", "so"])
    said = teacher(items, confidence="sure", rationale="why").ask(items)
    values = said.features["confidence"].tolist()
    assert values[0] == 0.5 and math.isnan(values[1]) and math.isnan(values[2]) and values[3] == 1.0
    assert [list(one) for one in said.texts or []] == [["because"], [], ["<b>"], ["so"]]


def test_confidence_that_is_no_number_is_refused() -> None:
    items = pool(said=["ham"] * 4, sure=["high", 1, 2, 3])
    with pytest.raises(DataError, match="past's column 'sure' holds no numbers"):
        teacher(items, confidence="sure").ask(items)


def test_a_column_of_the_same_name_in_another_table_is_never_read() -> None:
    """A test table's column may hold gold: a teacher knows what is in its record, and nothing else."""
    one = teacher(pool(said=["ham"] * 4, sure=[1, 1, 1, 1], why=["w"] * 4), confidence="sure", rationale="why")
    said = one.ask(Items(("a", "new"), ("one", "five"), {"said": ["spam", "news"]}))
    assert said.claims.tolist() == [[1, -1]] and [list(text) for text in said.texts or []] == [["w"], []]


def test_items_in_another_order_and_none() -> None:
    items = pool(said=["ham", "spam", "news", "ham"])
    one = teacher(items)
    assert one.ask(items.select([3, 1])).claims.tolist() == [[1, 0]]
    assert one.ask(items.select([])).claims.shape == (1, 0)


def test_the_fingerprint_changes_with_answers_and_spellings() -> None:
    keys = {
        teacher(pool(said=["ham", "spam", "news", "ham"])).fingerprint,
        teacher(pool(said=["ham", "spam", "news", "news"])).fingerprint,
        teacher(pool(said=["ham", "spam", "news", "ham"]), labels={"egg": "ham"}).fingerprint,
    }
    assert len(keys) == 3
    assert teacher(pool(said=["ham", "spam", "news", "ham"], more=[1, 2, 3, 4])).fingerprint in keys
