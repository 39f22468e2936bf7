"""What a recipe's tables amount to: classes, gold, the test set kept apart, and what is refused or warned of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from distrust.data import content_id
from distrust.errors import DataError
from distrust.labels import LabelSpace
from distrust.recipe import Recipe
from distrust.recipe_file import parse_recipe
from distrust.task import Task, load_task
from tests.worlds import write_csv

ROWS = [
    {"id": "1", "text": "one", "label": "b", "said": "a"},
    {"id": "2", "text": "two", "label": "a", "said": "c"},
    {"id": "3", "text": "three", "label": "", "said": "c"},
    {"id": "4", "text": "four", "label": "b", "said": ""},
]
TEST = [{"text": "five", "label": "a"}, {"text": "six", "label": "b"}]


def recipe(folder: Path, rows: list[dict[str, str]] = ROWS, **changes: Any) -> Recipe:
    write_csv(folder / "pool.csv", rows)
    write_csv(folder / "test.csv", TEST)
    raw: dict[str, Any] = {
        "data": {
            "pool": {"path": str(folder / "pool.csv"), "id": "id"},
            "test": {"path": str(folder / "test.csv"), "label": "label"},
        },
        "gold": {"label": "label"},
    }
    return parse_recipe(raw | changes)


def made_pool(folder: Path) -> dict[str, Any]:
    return {"pool": {"path": str(folder / "pool.csv")}}


def gold(task: Task) -> dict[str, str]:
    return {item: task.space.names[int(label)] for item, label in zip(task.gold.ids, task.gold.labels, strict=True)}


def test_a_pool_with_a_label_column(tmp_path: Path) -> None:
    task = load_task(recipe(tmp_path))
    assert task.space.names == ("a", "b")
    assert gold(task) == {"1": "b", "2": "a", "4": "b"}, "an empty cell is no gold"
    assert task.gold_items.ids == task.gold.ids and task.gold_items.inputs == ("one", "two", "four")
    assert task.test is not None and task.test[0].inputs == ("five", "six") and task.test[1].tolist() == [0, 1]
    assert task.validation is None and task.warnings == ()


def test_labels_decide_the_order_and_may_say_more(tmp_path: Path) -> None:
    task = load_task(recipe(tmp_path, labels=["c", "b", "a"]))
    assert task.space.names == ("c", "b", "a") and gold(task) == {"1": "b", "2": "a", "4": "b"}
    assert task.warnings == ("1 of 3 classes have no gold: c.",)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_a_draw_of_gold_is_the_seeds_and_nothing_elses(tmp_path: Path, size: int) -> None:
    drawn = [
        tuple(load_task(recipe(tmp_path, gold={"size": size, **seed}, **({"labels": ["a", "b"]} | outer))).gold.ids)
        for seed, outer in (({}, {"seed": 3}), ({"seed": 3}, {"seed": 9}), ({}, {"seed": 3, "labels": ["b", "a"]}))
    ]
    assert len(drawn[0]) == size and len(set(drawn)) == 1
    others = {
        tuple(load_task(recipe(tmp_path, labels=["a", "b"], gold={"size": 2, "seed": seed})).gold.ids) for seed in range(20)
    }
    assert len(others) == 3


def test_the_test_set_names_no_class(tmp_path: Path) -> None:
    """Nothing but the final evaluation sees it; a class that it alone shows is refused until somebody lists it."""
    with pytest.raises(DataError, match="does not say which classes there are"):
        load_task(recipe(tmp_path, gold={"size": 1}))


def test_gold_of_a_file_by_id(tmp_path: Path) -> None:
    write_csv(tmp_path / "gold.csv", [{"key": "4", "is": "a"}, {"key": "3", "is": "b"}, {"key": "4", "is": "a"}])
    by_id = {"path": str(tmp_path / "gold.csv"), "id": "key", "label": "is"}
    task = load_task(recipe(tmp_path, gold=by_id))
    assert gold(task) == {"4": "a", "3": "b"} and task.gold_items.inputs == ("four", "three")
    write_csv(tmp_path / "gold.csv", [{"key": "4", "is": "a"}, {"key": "4", "is": "b"}])
    with pytest.raises(DataError, match="gives the item '4' two labels; gold has one"):
        load_task(recipe(tmp_path, gold=by_id))
    write_csv(tmp_path / "gold.csv", [{"key": "5", "is": "a"}])
    with pytest.raises(DataError, match="'5' is none of the 4 items"):
        load_task(recipe(tmp_path, gold=by_id))


def test_gold_of_a_file_by_text_may_lie_outside_the_pool(tmp_path: Path) -> None:
    write_csv(tmp_path / "gold.csv", [{"text": "nine", "label": "a"}, {"text": "two", "label": "b"}])
    rows = [{name: value for name, value in row.items() if name != "id"} for row in ROWS]
    source = {"path": str(tmp_path / "pool.csv")}
    task = load_task(recipe(tmp_path, rows, data={"pool": source}, gold={"path": str(tmp_path / "gold.csv")}))
    assert gold(task) == {content_id("nine"): "a", content_id("two"): "b"}
    assert task.gold_items.inputs == ("nine", "two") and content_id("two") in task.pool.ids


def test_the_labels_of_a_pool_are_only_read_for_gold(tmp_path: Path) -> None:
    """A class that only the pool's hidden labels show must not leak into the task."""
    task = load_task(recipe(tmp_path, gold=None, data={"pool": {"path": str(tmp_path / "pool.csv")}}, labels=["x", "y"]))
    assert len(task.gold) == 0 and task.space.names == ("x", "y")


def test_classes_come_from_local_teachers_or_from_recorded_answers(tmp_path: Path) -> None:
    source = {"pool": {"path": str(tmp_path / "pool.csv")}}
    recorded = {"kind": "recorded", "name": "t", "column": "said", "labels": {"c": "see"}}
    only = recipe(tmp_path, gold=None, data=source, teachers=[recorded])
    assert load_task(only).space.names == ("a", "see")
    extra = LabelSpace(("q", "a"))
    assert load_task(only, [extra]).space.names == ("q", "a")
    assert load_task(recipe(tmp_path), [extra]).space.names == ("a", "b", "q"), "gold's first, then what teachers add"
    with pytest.raises(DataError, match="does not say which classes there are; list them under `labels`"):
        load_task(recipe(tmp_path, gold=None, data=source))


def test_classes_that_the_task_lacks_are_named(tmp_path: Path) -> None:
    """Few gold labels show few classes: claims and labels beyond them are said, and the key that mends it."""
    rows = [{"id": str(n), "text": f"text {n}", "label": "abcd"[n % 4], "said": "abce"[n % 4]} for n in range(20)]
    gpt = {"kind": "recorded", "name": "g{p}t", "column": "said", "labels": {"b": "B "}}
    drawn = {"size": 3, "seed": 55}
    made = load_task(recipe(tmp_path, rows, gold=drawn, teachers=[gpt], data=made_pool(tmp_path)))
    assert made.space.names == ("a", "b")
    assert made.warnings == (
        "The task has 2 classes, since the recipe lists none, and these are not among them: 'c' (labelled: 5), "
        "'d' (labelled: 5), 'e' (claimed by g{p}t: 5). Where they are classes, list every class under `labels`; "
        "`distrust init` writes such a list.",
    )
    listed = load_task(recipe(tmp_path, rows, gold=drawn, teachers=[gpt], labels=["a", "b"], data=made_pool(tmp_path)))
    assert listed.warnings == (), "who lists the classes has said which answers are none"
    write_csv(tmp_path / "gold.csv", [{"text": f"text {n}", "label": f"c{n}"} for n in range(9)])
    of_file = {"path": str(tmp_path / "gold.csv"), "size": 2}
    (said,) = load_task(recipe(tmp_path, rows, gold=of_file, data=made_pool(tmp_path))).warnings
    assert "has 2 classes" in said and "'c0' (labelled: 1)" in said and "and 2 more. Where" in said and len(said) < 400


def test_sampled_answers_name_classes_one_by_one(tmp_path: Path) -> None:
    lines = [json.dumps({"text": f"t{n}", "said": [["a", "b", " "], None, ["c"]][n % 3]}) for n in range(6)]
    (tmp_path / "pool.jsonl").write_text("\n".join(lines))
    data = {"pool": {"path": str(tmp_path / "pool.jsonl")}}
    teacher = {"kind": "recorded", "name": "t", "column": "said"}
    assert load_task(recipe(tmp_path, data=data, gold=None, teachers=[teacher])).space.names == ("a", "b", "c")


def test_few_shot_examples_are_reserved(tmp_path: Path) -> None:
    shots = {"kind": "endpoint", "name": "t", "base_url": "http://127.0.0.1:1/v1", "model": "m", "few_shot": 2}
    task = load_task(recipe(tmp_path, teachers=[shots]))
    assert len(task.gold.part("prompt")) == 2 and len(task.gold.part("judge")) == 1
    assert not set(task.gold.part("prompt").ids) & set(task.gold.part("train").ids)
    more = load_task(recipe(tmp_path, teachers=[shots], gold={"reserve": {"prompt": 3}}))
    assert len(more.gold.part("prompt")) == 3, "what the recipe reserves may be more"


def test_worth_is_drawn_from_what_is_labelled_and_not_gold(tmp_path: Path) -> None:
    labelled = {"id": "id", "label": "label", "path": str(tmp_path / "pool.csv")}
    test = {"path": str(tmp_path / "test.csv"), "label": "label"}
    write_csv(tmp_path / "gold.csv", [{"text": "one", "label": "b"}, {"text": "else", "label": "a"}])
    for gold_recipe, spare in (({"path": str(tmp_path / "gold.csv")}, {"2": 0, "4": 1}), (None, {"1": 1, "2": 0, "4": 1})):
        changes = {"data": {"pool": labelled, "test": test}, "gold": gold_recipe, "labels": ["a", "b"]}
        task = load_task(recipe(tmp_path, worth=[1, 2], **changes))
        assert task.spare is not None
        assert dict(zip(task.spare[0].ids, task.spare[1].tolist(), strict=True)) == spare
        without = load_task(recipe(tmp_path, **changes))
        assert without.spare is None and without.identity == task.identity, "a run may ask for it later"
    with pytest.raises(
        DataError, match="up to 2 labels; legal is up to 0, as many as the pool has in 'label' beside the gold"
    ):
        load_task(recipe(tmp_path, worth=[1, 2]))
    for label, labels, words in (
        ("said", ["a", "b"], "data.pool label 'c' is outside"),
        ("lable", ["a", "b"], "mean 'label'"),
    ):
        data = {"pool": labelled | {"label": label}, "test": test}
        with pytest.raises(DataError, match=words):
            load_task(recipe(tmp_path, worth=[1, 2], data=data, gold=None, labels=labels))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"labels": ["a", "c"]}, "gold label 'b' is outside the label space"),
        ({"gold": None, "labels": ["a", "c"]}, "data.test label 'b' is outside the label space"),
        ({"gold": {"label": "lable"}}, "no column 'lable'; did you mean 'label'"),
        ({"gold": {"size": 4}}, "gold.size is 4 but only 3 items have a gold label"),
        ({"gold": {"path": "nowhere.csv"}}, "There is no file nowhere.csv"),
        ({"gold": {"reserve": {"promt": 1}}}, "'promt' is no purpose of gold; did you mean 'prompt'"),
    ],
)
def test_what_contradicts_is_refused(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(DataError, match=words):
        load_task(recipe(tmp_path, **changes))


def test_a_test_row_without_label_is_refused(tmp_path: Path) -> None:
    made = recipe(tmp_path)
    write_csv(tmp_path / "test.csv", [*TEST, {"text": "seven", "label": " "}])
    with pytest.raises(DataError, match=r"data\.test has no label in 1 of its 3 rows"):
        load_task(made)


def test_what_is_warned_of(tmp_path: Path) -> None:
    rows = [*ROWS, {"id": "5", "text": " ", "label": "", "said": ""}, {"id": "6", "text": "six", "label": "", "said": ""}]
    assert load_task(recipe(tmp_path, rows, labels=["a", "b", *"cdefgh"])).warnings == (
        "1 of the pool's 6 texts are empty; they are kept and teach little.",
        "6 of 8 classes have no gold: c, d, e, f, g and 1 more.",
        "1 of the 2 test texts stand in the pool too; the test is easier so.",
    )


def test_the_identity_is_of_items_labels_and_gold(tmp_path: Path) -> None:
    both = {"labels": ["a", "b"]}
    same = load_task(recipe(tmp_path)).identity
    assert load_task(recipe(tmp_path, **both)).identity == same, "listed or found"
    assert load_task(recipe(tmp_path, train={"num_train_epochs": 1}, seed=5)).identity == same, "training may change"
    assert load_task(recipe(tmp_path, [row | {"said": "b"} for row in ROWS])).identity == same, "so may what teachers said"
    changes: list[tuple[set[str], dict[str, Any]]] = [
        ({"gold"}, {"gold": {"size": 2, "seed": 1}}),
        ({"labels", "gold", "data.test"}, {"labels": ["b", "a"]}),
        ({"labels"}, {"labels": ["a", "b", "c"]}),
        ({"data.test"}, {"data": {"pool": {"path": str(tmp_path / "pool.csv"), "id": "id"}}}),
        ({"data.pool", "data.test"}, {"data": {"pool": {"path": str(tmp_path / "pool.csv"), "id": "id", "text": "said"}}}),
    ]
    for differing, change in changes:
        now = load_task(recipe(tmp_path, **(both | change))).identity
        assert {name for name in same.keys() | now.keys() if same.get(name) != now.get(name)} == differing
