"""First recipes: they load, say what was guessed, and mean nothing but that, whatever a column is called."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from hypothesis import assume, given
from hypothesis import strategies as st

from distrust.column import ABOUT, CONFIDENCE, LABEL, RATIONALE, TEACHER, VOUCHED, Column
from distrust.columns import look
from distrust.errors import DataError
from distrust.initial import recipe_text, scalar
from distrust.recipe import Endpoint, Recipe, Recorded
from distrust.recipe_file import parse_recipe

TEXTS = [f"a sentence about the thing number {number} and more" for number in range(100)]
NASTY = [
    "a: b", "x\n  evil: true", "- x", "# no", "{a}", "[", "'", '"', "\\", "*a", "&a", "!!python/object:os", "no", "null",
    "1",     "1.0", "~", "=", "é\u2028y\x85z", "\x1b[31m", "😀", "%", "@", "`", "a #b", " lead", "trail ", "?", "<<",
    "2026-01-01", "",
]  # fmt: skip


def written(table: dict[str, list[Any]], path: str = "t.csv") -> tuple[str, Recipe]:
    text = recipe_text(look(table, path), path)
    return text, parse_recipe(yaml.safe_load(text))


@pytest.mark.parametrize("value", NASTY)
def test_any_text_is_one_line_that_reads_back(value: str) -> None:
    line = scalar(value)
    assert len(line.splitlines()) == 1
    assert yaml.safe_load(f"a:\n  - k: {line}  # note\n    z: 1\n") == {"a": [{"k": value, "z": 1}]}


@given(st.text())
def test_any_text_at_all_reads_back(value: str) -> None:
    assert yaml.safe_load(f"k: {scalar(value)}  # note") == {"k": value}


@given(st.lists(st.text(min_size=1, max_size=12), min_size=3, max_size=3, unique=True), st.text(min_size=1, max_size=9))
def test_hostile_names_and_values_mean_only_themselves(names: list[str], label: str) -> None:
    first, second, other = (f"{name} {kind}" for name, kind in zip(names, ("gold", "llm", "id"), strict=True))
    kinds = VOUCHED | LABEL | TEACHER | CONFIDENCE | ABOUT | RATIONALE
    assume(not any(Column(name, []).words & kinds for name in names))  # "rater id" does mean something
    labels = [f"{label}.", "other"] * 50
    ids = [f"i{number}" for number in range(100)]
    _, recipe = written({"text": TEXTS, first: labels, second: labels, other: ids})
    assert recipe.data.pool.id == other and recipe.data.pool.text == "text"
    assert recipe.gold is not None and recipe.gold.label == first
    assert set(recipe.labels or ()) == {f"{label}.", "other"}
    (teacher,) = recipe.teachers
    assert isinstance(teacher, Recorded) and teacher.column == second


def test_each_guess_stands_beside_its_line() -> None:
    text, recipe = written(
        {"id": list(range(100)), "text": TEXTS, "label": ["a", "b"] * 15 + [""] * 70, "gpt_label": ["a", "b"] * 50}
    )
    for line in (
        "    text: text  # its name; 49 characters on average",
        "    id: id  # every row has one, short, and none is there twice",
        "  label: label  # 2 distinct values; 30 of 100 rows have one",
        "    column: gpt_label  # 2 distinct values, in the words of label",
    ):
        assert re.sub(r"4\d char", "49 char", line) in re.sub(r"4\d char", "49 char", text)
    assert recipe.method.name == "distill" and recipe.method.options == {"trust": "confusions"}
    assert recipe.output_dir == "runs/t" and "size: 50" not in text


def test_answers_that_are_no_class_are_offered_and_not_taken() -> None:
    gold = (["a", "b"] * 25 + [""] * 50)[:100]
    said = ["a", "b"] * 30 + ["junk"] * 30 + ["rare"] * 4 + ["typo", "I cannot say that", "unknown", "unknown", "a", "b"]
    text, recipe = written({"text": TEXTS, "label": gold, "gpt_label": said})
    assert recipe.labels == ["a", "b", "rare"]  # 2 gold labels in 50 would be "rare": none is no surprise
    assert "  - rare  # said 4 times by gpt, never in gold" in text
    assert "  # - junk  # said 30 times by gpt, never in gold" in text
    for name in ("typo", '"I cannot say that"', "unknown"):
        assert f"  # - {name}  #" in text


def test_without_gold_teachers_name_the_classes_once() -> None:
    text, recipe = written({"text": TEXTS, "gpt": ["Spam", "ham"] * 50, "bert": ["spam ", "ham"] * 50})
    assert recipe.gold is None and len(recipe.teachers) == 2 and recipe.method.name == "distill"
    assert sorted(recipe.labels or ()) == ["Spam", "ham"]
    assert "# gold:\n#   label: label\n" in text


def test_gold_everywhere_offers_to_use_less() -> None:
    text, _ = written({"text": TEXTS, "label": ["a", "b"] * 50, "gpt_label": ["a", "b"] * 50})
    assert "  # size: 50  # use only so many" in text


@pytest.mark.parametrize("pair", [False, True])
def test_without_a_teacher_it_runs_on_gold_and_offers_a_server(pair: bool) -> None:
    table: dict[str, list[Any]] = {"text": TEXTS, "label": ["a", "b"] * 50}
    text, recipe = written(table | ({"text_pair": TEXTS[::-1]} if pair else {}))
    assert recipe.method.name == "gold-only" and recipe.teachers == []
    block = text[text.index("# teachers:") :].split("\n\n")[0]
    filled = text.replace(block, re.sub(r"(?m)^# ?", "", block)).replace("gold-only", "distill")
    (teacher,) = parse_recipe(yaml.safe_load(filled)).teachers
    assert isinstance(teacher, Endpoint) and teacher.api_key == "${OPENAI_API_KEY}" and teacher.price.known
    assert ("{text_pair}" in teacher.prompt) is pair and teacher.prompt.startswith(
        "Classify the text as one of: {labels}.\n\n"
    )


def test_a_path_that_would_be_expanded_is_refused() -> None:
    with pytest.raises(DataError, match="reads as an environment variable; rename it"):
        written({"text": TEXTS}, "data/${HOME}.csv")


@pytest.mark.parametrize(
    "path, folder", [("a/My data (2).csv", "runs/My-data-2"), ("..csv", "runs/first"), ("ag_news", "runs/ag_news")]
)
def test_the_run_is_named_after_the_table(path: str, folder: str) -> None:
    _, recipe = written({"text": TEXTS}, path)
    assert (recipe.output_dir, recipe.data.pool.path) == (folder, path)
