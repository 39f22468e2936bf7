"""Every bad input of a merge, end to end: one sentence, and no traceback; or a warning, and a student all the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cli.world import Call, write
from tests.models import save_classifier, texts

LINES = [f"wheat {n} corn" if n % 2 else f"ship {n} harbour" for n in range(40)]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mistakes")
    save_classifier(folder / "bank", ("loan", "card"))
    save_classifier(folder / "trip", ("flight", "car"), hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    save_classifier(folder / "one", ("loan",), num_labels=1)
    write(folder / "pool.csv", [{"text": text} for text in texts(24).inputs])
    return folder


def merge(distrust: Call, models: Path, out: Path, *given: object) -> str:
    """What is said of a merge that ends in a sentence."""
    code, _, err = distrust("merge", *given, "--data", models / "pool.csv", "--output", out)
    assert code == 2 and "Traceback" not in err, err
    return " ".join(err.split())


def recipe(folder: Path, *teachers: dict[str, Any], **more: Any) -> Path:
    """A recipe of recorded specialists, which costs no model."""
    write(
        folder / "pool.csv",
        [{"text": text, **{one["name"]: one["says"](n) for one in teachers}} for n, text in enumerate(LINES)],
    )
    asking = [{"kind": "recorded", "name": one["name"], "column": one["name"], "knows": one["knows"]} for one in teachers]
    asked = {
        "data": {"pool": {"path": str(folder / "pool.csv")}},
        "teachers": asking,
        "student": {"kind": "ngram", "buckets": 64},
        "method": {"name": "muka", "options": {"score": "entropy"}},
        "train": {"num_train_epochs": 1},
        "output_dir": str(folder / "out"),
    }
    (folder / "recipe.yaml").write_text(yaml.safe_dump(asked | more), encoding="utf-8")
    return folder / "recipe.yaml"


def test_a_folder_that_is_not_there(distrust: Call, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(models)
    said = merge(distrust, models, tmp_path / "out", "bank", "trap")
    assert said == (
        "distrust: There is no folder trap (did you mean 'trip'? here are bank, one, trip), and as a hub id it could not be "
        "loaded: HF_HUB_OFFLINE is set, and it was not fetched before."
    )
    monkeypatch.chdir(models.parent)
    said = merge(distrust, models, tmp_path / "out", f"{models.name}/bank", f"{models.name}/trap")
    assert said == (
        f"distrust: There is no folder {models.name}/trap; did you mean 'trip'? beside it are bank, one, trip; "
        f"the hub is not asked while there is a folder {models.name} here."
    )
    monkeypatch.chdir(models)
    said = merge(distrust, models, tmp_path / "out", "bank", "trip", "--student", "./trap")
    assert said == "distrust: There is no folder ./trap; did you mean 'trip'? beside it are bank, one, trip."
    assert not (tmp_path / "out").exists()


def test_a_recipe_that_names_a_folder_that_is_not_there(distrust: Call, models: Path, tmp_path: Path) -> None:
    asked = recipe(tmp_path, {"name": "a", "knows": ["corn", "ship"], "says": lambda n: "corn"})
    named = {"labels": ["corn", "ship"], "method": {"name": "distill"}, "output_dir": str(tmp_path / "named")}
    lost = f"There is no folder {models / 'trap'}; did you mean 'trip'?"
    for change in (
        named | {"student": {"kind": "transformer", "model": str(models / "trap")}},
        named | {"teachers": [{"kind": "classifier", "name": "it", "model": str(models / "trap")}]},
        {
            "task": "generation",
            "teachers": [{"kind": "causal", "name": "it", "model": str(models / "trap")}],
            "student": {"kind": "causal", "config": {"model_type": "gpt2", "n_layer": 1, "n_embd": 8, "n_head": 1}},
            "method": {"name": "gkd"},
        },
    ):
        given = yaml.safe_load(asked.read_text(encoding="utf-8")) | change
        (tmp_path / "changed.yaml").write_text(yaml.safe_dump(given), encoding="utf-8")
        code, _, err = distrust("run", tmp_path / "changed.yaml")
        assert code == 2 and lost in " ".join(err.split()) and "Traceback" not in err, err


def test_a_teacher_without_dropout(distrust: Call, models: Path, tmp_path: Path) -> None:
    passes = ["--set", "method.options.score=mc_entropy", "--set", "method.options.passes=4"]
    said = merge(distrust, models, tmp_path / "out", models / "bank", models / "trip", *passes)
    assert "trip has no dropout above 0, so every pass of it would be the same; use a score of one pass" in said


def test_a_teacher_of_one_class(distrust: Call, models: Path, tmp_path: Path) -> None:
    said = merge(distrust, models, tmp_path / "out", models / "bank", models / "one")
    assert "The teacher one: Its head is for" in said and "a teacher gives one label per item" in said


def test_label_maps_that_collide(distrust: Call, models: Path, tmp_path: Path) -> None:
    two = (models / "bank", models / "trip")
    assert "has both labels, so to it they are two classes" in merge(
        distrust, models, tmp_path / "a", *two, "--same", "loan=card"
    )
    maps = ["--same", "loan=money", "--same", "card=money"]
    assert "has 'loan' for that too, so to it they are two" in merge(distrust, models, tmp_path / "b", *two, *maps)
    twice = ["--same", "loan=money", "--same", "loan=credit"]
    assert "'loan' is mapped to 'money' already; map it once" in merge(distrust, models, tmp_path / "c", *two, *twice)


def test_no_overlap_with_the_data(distrust: Call, models: Path, tmp_path: Path) -> None:
    gold = write(tmp_path / "gold.csv", [{"text": f"wheat {n}", "label": ("cat", "dog")[n % 2]} for n in range(8)])
    said = merge(distrust, models, tmp_path / "out", models / "bank", models / "trip", "--gold", gold)
    assert "No teacher knows a class of the gold (cat, dog); they know loan, card, flight, car: map their `labels`" in said
    empty = tmp_path / "empty.csv"
    empty.write_text("text\n", encoding="utf-8")
    code, _, err = distrust("merge", models / "bank", models / "trip", "--data", empty, "--output", tmp_path / "e")
    assert code == 2 and "has no rows" in err


def test_a_class_nobody_knows_is_named(distrust: Call, tmp_path: Path) -> None:
    one = {"name": "a", "knows": ["corn"], "says": lambda n: "corn"}
    other = {"name": "b", "knows": ["ship"], "says": lambda n: "ship"}
    code, said, err = distrust("run", recipe(tmp_path, one, other, labels=["corn", "ship", "oil"]))
    assert code == 0, err
    assert "3 classes of 2 teachers, 40 items:" in said and "nobody, and no gold tells of it" in said, "before work starts"
    assert "No teacher knows 'oil', and no gold shows that: the student is told nothing of it." in " ".join(err.split()), err


def test_two_teachers_that_disagree_on_a_shared_class_are_named(distrust: Call, tmp_path: Path) -> None:
    one = {"name": "a", "knows": ["corn", "ship"], "says": lambda n: ("ship", "corn")[n % 2]}
    other = {"name": "b", "knows": ["corn", "ship", "oil"], "says": lambda n: ("corn", "ship")[n % 2]}
    code, _, err = distrust("run", recipe(tmp_path, one, other))
    assert code == 0, err
    assert "a and b share classes (corn, ship) and name different ones for 40 of the 40 items" in " ".join(err.split())
    found = json.loads((tmp_path / "out" / "metrics.json").read_text(encoding="utf-8"))
    assert found["method"]["name"] == "muka"


def test_a_teacher_without_a_class_of_the_task(distrust: Call, tmp_path: Path) -> None:
    one = {"name": "a", "knows": ["corn", "ship"], "says": lambda n: "corn"}
    other = {"name": "b", "knows": ["cat"], "says": lambda n: "cat"}
    code, _, err = distrust("run", recipe(tmp_path, one, other, labels=["corn", "ship"]))
    assert code == 2 and "b knows 'cat', no class of the task" in " ".join(err.split()) and "Traceback" not in err, err
