"""From a recipe to a run: every kind of teacher and student, and a folder that stays its task's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from distrust.build import LEDGER, build_teacher, load_student, opened, student_maker
from distrust.errors import DataError, RecipeError, RunError
from distrust.files import read_json, write_json
from distrust.recipe import Recipe
from distrust.recipe_file import load_recipe, parse_recipe
from distrust.students.module import ModuleStudent
from distrust.students.ngram import Ngram
from distrust.task import load_task
from distrust.teachers.classifier import ClassifierTeacher
from distrust.teachers.endpoint import EndpointTeacher
from distrust.teachers.recorded import RecordedTeacher
from tests import models, worlds

LLM = {"kind": "endpoint", "name": "llm", "base_url": "http://127.0.0.1:9/v1", "model": "m", "few_shot": 2}
CLASSES = ["money", "sport", "weather"]


def recipe(folder: Path, **changes: Any) -> Recipe:
    return load_recipe(worlds.recipe(folder, **changes))


def test_every_kind_of_teacher_is_built_in_order(tmp_path: Path) -> None:
    model = models.save_classifier(tmp_path / "model", tuple(CLASSES))
    past = {"kind": "recorded", "name": "past", "column": "teacher"}
    local = {"kind": "classifier", "name": "local", "model": str(model)}
    with opened(recipe(tmp_path, teachers=[LLM, past, local])) as (run, task):
        kinds = [type(one) for one in run.teachers]
        assert kinds == [EndpointTeacher, RecordedTeacher, ClassifierTeacher]
        assert [one.name for one in run.teachers] == ["llm", "past", "local"]
        assert (run.folder / LEDGER).is_file() and len(task.gold.part("prompt")) == 2
    with opened(recipe(tmp_path, teachers=[LLM])):
        pass  # the ledger was closed, and the folder let go of


def test_prompts_of_a_generation_task_quote_references_of_gold_that_judges_nothing(tmp_path: Path) -> None:
    rows = [{"id": f"i{n}", "prompt": f"{n} + {n}?", "completion": f"It is {2 * n}."} for n in range(6)]
    (tmp_path / "pool.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    raw = {
        "task": "generation",
        "data": {"pool": {"path": str(tmp_path / "pool.jsonl"), "id": "id"}},
        "gold": {"size": 4},
        "teachers": [{**LLM, "prompt": "{examples}{text}", "example": "{text} {label}\n"}],
        "student": {"kind": "causal", "config": {"model_type": "gpt2"}},
        "output_dir": str(tmp_path / "run"),
    }
    with opened(parse_recipe(raw)) as (run, task):
        (teacher,) = run.teachers
        assert isinstance(teacher, EndpointTeacher)
        quoted = [row for row in rows if row["id"] in task.gold.part("prompt").ids]
        assert len(quoted) == 2 and not {row["id"] for row in quoted} & set(task.gold.part("judge").ids)
        shown = teacher.prompt.render(task.pool, 0)
        assert sorted(shown.splitlines()) == sorted([*(f"{row['prompt']} {row['completion']}" for row in quoted), "0 + 0?"])
    for change, words in (
        ({"example": "Text: {text}\nLabel: {label}\n\n"}, r"llm needs an `example`, such as .* the default is for labels"),
        ({"prompt": "{text} {{examples}}"}, "`few_shot` reserves gold for `{examples}` in the `prompt`, which has none"),
    ):
        with pytest.raises(RecipeError, match=words):
            parse_recipe(raw | {"teachers": [{**raw["teachers"][0], **change}]})


def test_without_a_paid_teacher_there_is_no_ledger(tmp_path: Path) -> None:
    with opened(recipe(tmp_path)) as (run, _):
        assert not (run.folder / LEDGER).exists()


def test_what_opened_leaves_in_the_folder(tmp_path: Path) -> None:
    made = recipe(tmp_path, labels=["hail", *CLASSES])
    with opened(made) as (run, task):
        assert run.warnings == ["1 of 4 classes have no gold: hail."]
        assert read_json(run.folder / "task.json") == task.identity
        assert Recipe.model_validate(yaml.safe_load((run.folder / "recipe.yaml").read_text())) == made


def test_names_of_the_environment_stay_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = recipe(tmp_path)
    monkeypatch.setenv("PLACE", str(tmp_path))
    text = (tmp_path / "recipe.yaml").read_text().replace(str(tmp_path), "${PLACE}")
    (tmp_path / "recipe.yaml").write_text(text)
    with opened(load_recipe(tmp_path / "recipe.yaml")) as (run, _):
        assert run.folder == Path(made.output_dir)
        assert str(tmp_path) not in (run.folder / "recipe.yaml").read_text()
    monkeypatch.delenv("PLACE")
    with (
        pytest.raises(RecipeError, match="environment variable PLACE is not set"),
        opened(load_recipe(tmp_path / "recipe.yaml")),
    ):
        pass


def test_what_goes_wrong_inside_lets_go_of_the_folder(tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), opened(recipe(tmp_path)):
            raise ZeroDivisionError
    with opened(recipe(tmp_path)), pytest.raises(RunError, match="Another process"), opened(recipe(tmp_path)):
        pass


@pytest.mark.parametrize(
    ("changes", "differing"),
    [({"gold": {"size": 5}}, "gold"), ({"labels": ["weather", "sport", "money"]}, "data.test and gold and labels")],
)
def test_another_task_is_refused_and_another_method_is_not(tmp_path: Path, changes: dict[str, Any], differing: str) -> None:
    with opened(recipe(tmp_path)):
        pass
    with opened(recipe(tmp_path, method={"name": "gold-only"}, seed=3, gold={"size": 12, "seed": 0})):
        pass
    with (
        pytest.raises(RunError, match=f"is the run of another recipe: {differing} differ"),
        opened(recipe(tmp_path, **changes)),
    ):
        pass


def test_a_classifier_without_a_class_of_the_task(tmp_path: Path) -> None:
    local = {"kind": "classifier", "name": "local", "model": str(models.save_classifier(tmp_path / "model"))}
    made = recipe(tmp_path, teachers=[local], labels=CLASSES)
    teacher = build_teacher(made.teachers[0], load_task(made), None, made)
    with pytest.raises(DataError, match="local has no label in common"), opened(made) as (run, _):
        run.stacked()
    assert teacher.space.names == ("spam", "ham", "news")


@pytest.mark.parametrize("kind", ["ngram", "transformer"])
def test_students_are_made_from_a_seed_and_loaded_by_their_kind(tmp_path: Path, kind: str) -> None:
    config = {"model_type": "bert", "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 1}
    options = {
        "kind": kind,
        **({"config": config | {"intermediate_size": 16}, "vocabulary": 300} if kind != "ngram" else {}),
    }
    made = recipe(tmp_path, student=options)
    task = load_task(made)
    new = student_maker(made.student, task.space, task)
    one, again, other = new(1), new(1), new(2)
    assert one.key == again.key != other.key
    one.save(tmp_path / "student")
    back = load_student(tmp_path / "student")
    assert type(back) is type(one) and back.key == one.key and back.space == task.space
    assert isinstance(one, Ngram) == (kind == "ngram")


def test_what_is_no_student(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="holds no student; name a run's `student` folder"):
        load_student(tmp_path)
    ModuleStudent(worlds.network(), worlds.SPACE).save(tmp_path / "module")
    with pytest.raises(RunError, match="kind 'module'; only its own program can load"):
        load_student(tmp_path / "module")
    write_json(tmp_path / "student.json", {"kind": "oracle"})
    with pytest.raises(RunError, match="kind 'oracle'"):
        load_student(tmp_path)


def test_teachers_that_know_a_part_of_the_classes_make_the_task_of_all(tmp_path: Path) -> None:
    """Label sets may overlap and be nested; who does not know a class does not say no to it."""
    model = models.save_classifier(tmp_path / "model", ("money", "Sports"))
    teachers = [
        {"kind": "recorded", "name": "past", "column": "teacher", "knows": ["weather", "money"]},
        {"kind": "classifier", "name": "local", "model": str(model), "labels": {"Sports": "sport"}},
        {**LLM, "few_shot": 0, "knows": ["money"]},
    ]
    with opened(recipe(tmp_path, teachers=teachers, gold=None)) as (run, task):
        assert task.space.names == ("weather", "money", "sport")
        assert [one.space.known_in(task.space).tolist() for one in run.teachers] == [
            [True, True, False],
            [False, True, True],
            [False, True, False],
        ]
        said = run.ask(run.teachers[0], run.pool)
        assert said.space.names == ("weather", "money") and said.notes["outside the label space"] > 0
    twice = {"teachers": teachers[:1], "labels": [*CLASSES, "Sports"], "output_dir": str(tmp_path / "b")}
    with opened(recipe(tmp_path, **twice)) as (run, _):
        assert any("'sport' and 'Sports'" in said for said in run.warnings)


def test_a_teacher_that_knows_what_no_class_is_is_refused(tmp_path: Path) -> None:
    odd = {"kind": "recorded", "name": "past", "column": "teacher", "knows": ["wether"]}
    with (
        pytest.raises(RecipeError, match="past knows 'wether', no class of the task; did you mean 'weather'"),
        opened(recipe(tmp_path, teachers=[odd], labels=CLASSES)),
    ):
        pass
