"""A recipe's file: YAML and overrides, and what is no recipe; a value is never quoted, since it may be a key."""

from __future__ import annotations

import traceback
from pathlib import Path

import pytest
import yaml

from distrust.errors import RecipeError
from distrust.recipe import Endpoint
from distrust.recipe_file import load_recipe
from tests.recipe.raw import LLM, recipe


def written(folder: Path, text: str) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("line", ['api_key: "sk-12345', "api_key: sk-12345: x", "api_key: [sk-12345", "\tapi_key: sk-12345"])
def test_broken_yaml_is_refused_by_line_without_quoting_it(tmp_path: Path, line: str) -> None:
    path = written(tmp_path, f"data:\n  pool: {{path: x}}\n{line}\n")
    with pytest.raises(RecipeError, match=r"recipe\.yaml is no YAML: .*, line [345]\.") as caught:
        load_recipe(path)
    assert "12345" not in "".join(traceback.format_exception(caught.value))


def test_a_broken_override_does_not_quote_its_value(tmp_path: Path) -> None:
    path = written(tmp_path, yaml.safe_dump(recipe(teachers=[LLM])))
    with pytest.raises(RecipeError, match=r"--set teachers\.0\.api_key: what follows = is no YAML value") as caught:
        load_recipe(path, ['teachers.0.api_key="sk-12345'])
    assert "12345" not in str(caught.value)


def test_overrides_reach_every_place(tmp_path: Path) -> None:
    path = written(tmp_path, yaml.safe_dump(recipe(teachers=[LLM], train={"learning_rate": 0.1})))
    sets = ["teachers.0.samples=5", "train.learning_rate=1e-3", "gold.reserve.prompt=8", "labels=[a, b]", "seed=7"]
    sets += ["teachers.0.price.per_call=0.25", "labels.1=c", "output_dir=runs/x=y", "train.max_grad_norm=null"]
    loaded = load_recipe(path, sets)
    teacher = loaded.teachers[0]
    assert isinstance(teacher, Endpoint) and (teacher.samples, teacher.price.per_call) == (5, 0.25)
    assert loaded.train.learning_rate == 1e-3 and loaded.train.max_grad_norm is None and loaded.seed == 7
    assert loaded.gold is not None and loaded.gold.reserve == {"prompt": 8}
    assert loaded.labels == ["a", "c"] and loaded.output_dir == "runs/x=y"


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("train.num_train_epoch=3", "did you mean 'num_train_epochs'"),
        ("seed", r"--set takes key=value, such as .*; got 'seed'"),
        ("=3", "--set takes key=value"),
        ("teachers.1.samples=3", r"'1' is no position in a list of 1; the first is 0"),
        ("teachers.first.samples=3", "'first' is no position"),
        ("teachers.².samples=3", "'²' is no position"),
        ("output_dir.a=3", "'a' is inside a plain value"),
        ("output_dir.a.b=3", "'a' is inside a plain value"),
        ("teachers.0.samples=many", "must be a whole number"),
    ],
)
def test_a_wrong_override_is_refused(tmp_path: Path, override: str, sentence: str) -> None:
    path = written(tmp_path, yaml.safe_dump(recipe(teachers=[LLM], output_dir="runs/x")))
    with pytest.raises(RecipeError, match=sentence):
        load_recipe(path, [override])


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("data: {pool: {path: x}}\nseed: 1\nseed: 2\n", "the key 'seed' is given twice, line 1"),
        ("data: {pool: {path: x, path: y}}\n", "the key 'path' is given twice"),
        ("just words\n", "holds no keys; a recipe starts with `data:`"),
        ("", "holds no keys"),
        ("- a\n", "holds no keys"),
        ("data: !!python/object/apply:os.system [true]\n", "is no YAML: could not determine a constructor"),
    ],
)
def test_what_is_no_recipe_is_refused(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(RecipeError, match=sentence):
        load_recipe(written(tmp_path, text))


def test_a_missing_or_binary_recipe_is_refused(tmp_path: Path) -> None:
    written(tmp_path, "data:\n")
    with pytest.raises(RecipeError, match=r"There is no recipe .*recipe\.yml; did you mean 'recipe\.yaml'"):
        load_recipe(tmp_path / "recipe.yml")
    (tmp_path / "b.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RecipeError, match="is no text in UTF-8"):
        load_recipe(tmp_path / "b.yaml")
    with pytest.raises(RecipeError, match="There is no recipe"):
        load_recipe(tmp_path)


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("2024-02-30", "what reads as a value of the kind timestamp is none; put it in quotes, line 1"),
        ("!!int sk-12345", "the kind int is none; put it in quotes, line 1"),
        ("!!float sk-12345", "the kind float is none"),
        ("!!bool sk-12345", "the kind bool is none"),
        ("1234567890" * 500, "the kind int is none"),
        ("!!map sk-12345", "expected a mapping node, but found scalar, line 1"),
        ("!!map [sk-12345]", "expected a mapping node, but found sequence, line 1"),
        ("[" * 3000, "it is nested too deep"),
        ("{a: " * 3000, "it is nested too deep"),
    ],
)
def test_what_python_cannot_hold_is_a_sentence_too(tmp_path: Path, value: str, sentence: str) -> None:
    plain = yaml.safe_dump(recipe())
    for text, sets in ((f"data: {{pool: {{path: x}}}}\nseed: {value}\n", []), (plain, [f"seed={value}"])):
        path = written(tmp_path, text)
        with pytest.raises(RecipeError) as caught:
            load_recipe(path, sets)
        assert sentence.replace("line 1", "line 1" if sets else "line 2") in str(caught.value)
        assert "12345" not in "".join(traceback.format_exception(caught.value))


def test_anchors_and_merge_keys_are_yaml_too(tmp_path: Path) -> None:
    path = written(tmp_path, "data:\n  pool: &pool {path: a.csv, text: body}\n  test: {<<: *pool, path: b.csv}\n")
    test = load_recipe(path).data.test
    assert test is not None and (test.path, test.text) == ("b.csv", "body")
