"""The recipe that `distrust merge` writes: names, maps, and what is refused before anything is loaded."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distrust.data import load_items
from distrust.errors import DistrustError
from distrust.merge import Merging, merge_recipe, names, write_pool
from distrust.recipe_file import parse_recipe
from tests.models import save_classifier


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("merge")
    save_classifier(folder / "bank", ("credit card", "loan", "balance"))
    save_classifier(folder / "trip", ("flight", "credit_card"))
    return folder


def merging(models: Path, *teachers: str, **more: object) -> Merging:
    return Merging([str(models / one) for one in teachers], ["x.jsonl"], "out", **more)  # type: ignore[arg-type]


def test_a_recipe_says_all_that_was_asked(models: Path) -> None:
    asked = merging(
        models,
        "bank",
        "trip",
        text="body",
        same=["credit_card=credit card"],
        gold="g.csv",
        test="t.csv",
        label="topic",
        features=True,
    )
    recipe = parse_recipe(merge_recipe(asked))
    assert [one.name for one in recipe.teachers] == ["bank", "trip"]
    assert [one.labels for one in recipe.teachers] == [{}, {"credit_card": "credit card"}]
    assert recipe.student.model == str(models / "bank") and recipe.method.name == "muka"  # type: ignore[union-attr]
    assert recipe.method.options["score"] == "auto" and recipe.method.options["margin"] is False, "as it was measured"
    assert recipe.data.test is not None and recipe.gold is not None
    assert all(one.feature == "auto" for one in recipe.teachers)  # type: ignore[union-attr]
    assert (recipe.data.test.label, recipe.gold.text, recipe.data.pool.text) == ("topic", "body", "body")
    plain = parse_recipe(merge_recipe(merging(models, "bank", "trip", student=str(models / "trip"))))
    assert plain.gold is None and plain.data.test is None and plain.student.model == str(models / "trip")  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("teachers", "more", "words"),
    [
        (("bank",), {}, "1 teacher is named, and two or more are needed"),
        (("bank", "trip", "bank"), {}, "is named twice"),
        (("bank", "tripp"), {}, "There is no folder .*did you mean 'trip'"),
        (("bank", "trip"), {"same": ["credit_card"]}, "maps nothing; write NAME=CLASS"),
        (("bank", "trip"), {"same": ["=loan"]}, "maps nothing"),
        (("bank", "trip"), {"same": ["fligt=loan"]}, "no teacher has the label 'fligt'; did you mean 'flight'"),
        (("bank", "trip"), {"same": ["loan=balance"]}, "has both labels, so to it they are two classes"),
    ],
)
def test_mistakes_are_sentences(models: Path, teachers: tuple[str, ...], more: dict[str, object], words: str) -> None:
    with pytest.raises(DistrustError, match=words):
        merge_recipe(merging(models, *teachers, **more))


def test_several_tables_become_one_pool_without_repetition(models: Path, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"body": "one"}\n{"body": "zwölf"}\n', encoding="utf-8")
    (tmp_path / "b.csv").write_text("body\ntwo\none\n", encoding="utf-8")
    asked = replace(
        merging(models, "bank", "trip", text="body"),
        data=[str(tmp_path / "a.jsonl"), str(tmp_path / "b.csv")],
        output=str(tmp_path / "out"),
    )
    (tmp_path / "out").mkdir()
    write_pool(asked)
    assert load_items(merge_recipe(asked)["data"]["pool"]["path"], text="body").inputs == ("one", "zwölf", "two")


def test_names_are_short_and_differ() -> None:
    assert names(["models/a", "models/b", "org/b2"]) == ["a", "b", "b2"]
    assert names(["x/a/final", "x/b/final", "c"]) == ["a/final", "b/final", "c"]
    assert names(["final", "x/final"]) == ["final 1", "x/final"] or len(set(names(["final", "x/final"]))) == 2
    assert len(set(names(["./a", "a", "../a"]))) == 3


@given(st.lists(st.text("ab/.", min_size=1, max_size=5), min_size=2, max_size=5, unique=True))
def test_names_always_differ(teachers: list[str]) -> None:
    made = names(teachers)
    assert len(set(made)) == len(made) and all(made)
