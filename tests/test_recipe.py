"""Recipes: what is legal, and how a wrong one is refused in one sentence that quotes no secret."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Any

import pytest
import yaml

from distrust.errors import RecipeError
from distrust.recipe import Classifier, Endpoint, NgramStudent, Recipe, Recorded
from distrust.recipe_file import load_recipe, parse_recipe

POOL: dict[str, Any] = {"pool": {"path": "pool.csv"}}
LLM: dict[str, Any] = {"kind": "endpoint", "name": "llm", "base_url": "http://127.0.0.1:1/v1", "model": "m"}


def recipe(**more: Any) -> dict[str, Any]:
    return {"data": POOL, **more}


def refusal(raw: dict[str, Any]) -> str:
    with pytest.raises(RecipeError) as caught:
        parse_recipe(raw)
    return str(caught.value)


def written(folder: Path, text: str) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_smallest_recipe_has_a_default_for_everything_else() -> None:
    small = parse_recipe(recipe())
    assert isinstance(small.student, NgramStudent) and small.method.name == "distill" and small.teachers == []


def test_teachers_are_told_apart_by_their_kind() -> None:
    teachers = [{"kind": "recorded", "name": "old"}, {"kind": "classifier", "name": "local", "model": "folder"}, LLM]
    parsed = parse_recipe(recipe(teachers=teachers)).teachers
    assert [type(one) for one in parsed] == [Recorded, Classifier, Endpoint]


def test_a_recipe_survives_being_saved_and_read_again() -> None:
    raw = recipe(
        teachers=[LLM | {"api_key": "${KEY}", "price": {"per_call": 0.1}}], labels=["a", "b"], student={"kind": "ngram"}
    )
    parsed = parse_recipe(raw)
    saved = yaml.safe_dump(parsed.model_dump(mode="json"))
    assert parse_recipe(yaml.safe_load(saved)) == parsed and "${KEY}" in saved


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        (recipe(teachrs=[]), "The recipe has an unknown key 'teachrs'; did you mean 'teachers'? legal are data, "),
        (recipe(train={"learning_rat": 1}), "unknown key 'train.learning_rat'; did you mean 'learning_rate'?"),
        (recipe(teachers=[LLM | {"modle": "x"}]), "unknown key 'teachers.0.modle'; did you mean 'model'?"),
        (
            recipe(teachers=[LLM | {"price": {"per_cal": 1}}]),
            "unknown key 'teachers.0.price.per_cal'; did you mean 'per_call'?",
        ),
        (recipe(student={"kind": "ngram", "bucket": 1}), "unknown key 'student.bucket'; did you mean 'buckets'?"),
        ({"data": POOL | {"tset": None}}, "unknown key 'data.tset'; did you mean 'test'?"),
        ({"data": {"pool": {"pth": "x"}}}, "unknown key 'data.pool.pth'; did you mean 'path'?"),  # not "lacks path"
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest_right_one(raw: dict[str, Any], sentence: str) -> None:
    assert sentence in refusal(raw)


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        ({}, "The recipe lacks the key 'data'."),
        (recipe(teachers=[{"kind": "recorded"}]), "The recipe lacks the key 'teachers.0.name'."),
        (
            recipe(teachers=[LLM | {"kind": "endpont"}]),
            "The recipe's teachers.0 has an unknown kind 'endpont'; did you mean 'endpoint'? "
            "legal are recorded, classifier, endpoint, causal.",
        ),
        (
            recipe(teachers=[{"name": "a"}]),
            "The recipe's teachers.0 lacks the key 'kind'; legal are recorded, classifier, endpoint, causal.",
        ),
        (recipe(student={"kind": "causal", "vocabulry": 9}), "unknown key 'student.vocabulry'; did you mean 'vocabulary'?"),
        (
            recipe(teachers=[{"kind": "causal", "name": "t", "model": "m"}]),
            "the teacher t writes open texts; one is asked for classes by `kind: endpoint`.",
        ),
        (recipe(student={"kind": "ngrams"}), "The recipe's student has an unknown kind 'ngrams'; did you mean 'ngram'?"),
        (
            recipe(student={"dropout": 0.1}),
            "The recipe's student lacks the key 'kind'; legal are ngram, transformer, causal.",
        ),
        (recipe(teachers={"llm": LLM}), "The recipe's teachers: must be a list."),
        (recipe(teachers=["llm"]), "The recipe's teachers.0: must hold keys, each with a value."),
        ({"data": "pool.csv"}, "The recipe's data: must hold keys, each with a value."),
        (recipe(labels=[True, "b"]), "The recipe's labels.0: must be text; put it in quotes."),
        (recipe(seed=1.5), "The recipe's seed: must be a whole number."),
        (recipe(train={"learning_rate": "fast"}), "The recipe's train.learning_rate: must be a number."),
        (recipe(train={"bf16": "perhaps"}), "The recipe's train.bf16: must be true or false."),
        (recipe(train={"num_train_epochs": 0}), "The recipe's train.num_train_epochs: input should be greater than 0."),
        (recipe(train={"lr_scheduler_type": "x"}), "input should be 'linear', 'cosine' or 'constant'."),
        (recipe(budget={"money": float("nan")}), "The recipe's budget.money: input should be a"),
        (recipe(budget={"money": float("inf")}), "The recipe's budget.money: input should be a finite number."),
        (recipe(budget={"calls": -1}), "The recipe's budget.calls: input should be greater than or equal to 0."),
        (
            recipe(gold={"reserve": {"prompt": -1}}),
            "The recipe's gold.reserve.prompt: input should be greater than or equal",
        ),
        (recipe(teachers=[{"kind": "recorded", "name": ""}]), "The recipe's teachers.0.name: string should have at least 1"),
        (recipe(teachers=[LLM, LLM]), "The recipe: two teachers are named 'llm'; each needs a name of its own."),
        (
            recipe(worth=[50]),
            "The recipe: `worth` is [50]; legal are two numbers of labels or more, rising: [50, 100, 250].",
        ),
        (recipe(worth=[100, 50]), "The recipe: `worth` is [100, 50]; legal are two numbers"),
        (recipe(worth=[0, 50]), "The recipe's worth.0: input should be greater than 0."),
        (recipe(worth=50), "The recipe's worth: must be a list."),
        (recipe(worth=[50, 100]), "The recipe: `worth` is judged on `data.test`; give one, or leave `worth` out."),
        (
            recipe(worth=[50, 100], data=POOL | {"test": POOL["pool"]}),
            "The recipe: `worth` needs gold labels in the pool; name their column in `data.pool.label`.",
        ),
        (
            recipe(worth=[50, 100], data=POOL | {"test": POOL["pool"]}, gold={"path": "gold.csv"}),
            "The recipe: `worth` needs gold labels in the pool; name their column in `data.pool.label`.",
        ),
        (
            recipe(worth=[50, 100], task="generation", student={"kind": "causal", "model": "m"}),
            "The recipe: `worth` is for task classification; leave it out.",
        ),
        (recipe(student={"kind": "transformer"}), "The recipe's student: give either `model` (pretrained) or `config`"),
        ({1: 2, "data": POOL}, "keys should be strings"),
    ],
)
def test_what_is_wrong_is_said_in_one_plain_sentence(raw: dict[str, Any], sentence: str) -> None:
    said = refusal(raw)
    assert sentence in said and "\n" not in said and said.endswith(".")


# --- secrets ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "key", ["sk-12345", "${sk-12345}", "${A}sk-12345${B}", "Bearer ${sk-12345}", 12345, ["sk-12345"], ""]
)
def test_a_key_itself_is_refused_and_never_quoted(key: object) -> None:
    with pytest.raises(RecipeError) as caught:
        parse_recipe(recipe(teachers=[LLM | {"api_key": key}]))
    assert "api_key" in str(caught.value)
    assert "12345" not in "".join(traceback.format_exception(caught.value))


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


# --- files and overrides ---------------------------------------------------------------------------------------------


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


def test_anchors_and_merge_keys_are_yaml_too(tmp_path: Path) -> None:
    path = written(tmp_path, "data:\n  pool: &pool {path: a.csv, text: body}\n  test: {<<: *pool, path: b.csv}\n")
    test = load_recipe(path).data.test
    assert test is not None and (test.path, test.text) == ("b.csv", "body")


def test_a_recipe_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        parse_recipe(recipe()).seed = 1  # type: ignore[misc]


def test_defaults_are_legal_themselves() -> None:
    raw = Recipe.model_validate(recipe()).model_dump(mode="json")
    assert parse_recipe(raw) == parse_recipe(recipe())
