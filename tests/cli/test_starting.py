"""`distrust init`: from a stranger's table to a run, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from distrust.recipe import Recorded
from distrust.recipe_file import load_recipe
from tests.cli.world import LABELS, Call, news, write


def test_a_table_becomes_a_recipe_that_runs(distrust: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "news.csv", news(120, gold=40))
    code, out, _ = distrust("init", "news.csv")
    assert code == 0
    assert [line.split()[:2] for line in out.splitlines()[1:5]] == [
        ["id", "id"],
        ["text", "text"],
        ["label", "gold"],
        ["gpt_label", "teacher"],
    ]
    assert out.endswith("Wrote recipe.yaml. Next: distrust doctor recipe.yaml, then plan, then run.\n")
    recipe = load_recipe("recipe.yaml")
    assert recipe.labels == list(LABELS) and recipe.data.pool.id == "id"
    assert distrust("doctor", "recipe.yaml")[0] == 0
    assert distrust("run", "recipe.yaml", "--set", "train.num_train_epochs=3")[0] == 0
    assert json.loads(Path("runs/news/metrics.json").read_text())["items"]["pool"] == 120
    assert distrust("predict", "runs/news/student", "news.csv", "--id", "id")[0] == 0
    assert len(Path("predictions.jsonl").read_text().splitlines()) == 120


def test_without_a_teacher_it_runs_on_gold(distrust: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [{"body": row["text"], "topic": row["label"]} for row in news(60, gold=30)]
    Path("n.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    code, out, _ = distrust("init", "n.jsonl", "--out", "mine.yaml")
    assert code == 0 and "No teacher was found; the recipe has one to fill in." in out
    assert distrust("run", "mine.yaml")[0] == 0


def test_hostile_columns_are_inert_in_recipe_and_terminal(distrust: Call, tmp_path: Path) -> None:
    evil, worse = "\x1b[2Jtrain:\n  num_train_epochs: 99", "x\nteachers: []"
    rows = [{"text": row["text"], f"{worse} gold": row["label"], f"{evil} gpt": row["gpt_label"]} for row in news(60)]
    code, out, _ = distrust("init", write(tmp_path / "e.csv", rows), "--out", tmp_path / "r.yaml")
    assert code == 0 and "\x1b" not in out and len(out.splitlines()) == 5
    recipe = load_recipe(tmp_path / "r.yaml")
    assert recipe.train.num_train_epochs == 10 and recipe.gold is not None and recipe.gold.label == f"{worse} gold"
    (teacher,) = recipe.teachers
    assert isinstance(teacher, Recorded) and teacher.column == f"{evil} gpt"
    written = (tmp_path / "r.yaml").read_text()
    assert "\x1b" not in written and set(yaml.safe_load(written)) == {
        "data", "labels", "gold", "teachers", "student", "method", "seed", "output_dir",
    }  # fmt: skip


def test_a_recipe_is_not_replaced_unasked(distrust: Call, tmp_path: Path) -> None:
    table, recipe = write(tmp_path / "n.csv", news(20)), tmp_path / "recipe.yaml"
    recipe.write_text("mine")
    code, _, err = distrust("init", table, "--out", recipe)
    assert code == 2 and "is there already; give --out another name, or --force to replace it." in err
    assert recipe.read_text() == "mine"
    assert distrust("init", table, "--out", recipe, "--force")[0] == 0
    assert load_recipe(recipe).data.pool.path == str(table)


def test_the_data_is_never_replaced(distrust: Call, tmp_path: Path) -> None:
    table = write(tmp_path / "n.csv", news(20))
    before = table.read_bytes()
    code, _, err = distrust("init", table, "--out", table, "--force")
    assert code == 2 and "is the data itself" in err and table.read_bytes() == before


@pytest.mark.parametrize(
    "name, content, said",
    [
        ("none.csv", None, "There is no file"),
        ("t.txt", "a", "is no file that can be read"),
        ("t.csv", "", "is empty; its first line names the columns"),
        ("t.csv", "text,label\n", "has no rows"),
        ("t.csv", "a,b\n1,2\n", "looks like texts (several words, most of them different); name it `text`; it has a, b"),
        ("t.parquet", "PAR1 nothing", "cannot be read as parquet"),
        ("t.csv", "text\n\x00\xff\n", None),
    ],
)
def test_what_cannot_be_read_is_refused(
    distrust: Call, tmp_path: Path, name: str, content: str | None, said: str | None
) -> None:
    if content is not None:
        (tmp_path / name).write_text(content, encoding="utf-8")
    code, _, err = distrust("init", tmp_path / name, "--out", tmp_path / "r.yaml")
    if said is not None:
        assert code == 2 and said in err and len(err.splitlines()) == 1
        assert not (tmp_path / "r.yaml").exists()
    else:
        assert code == 0 and load_recipe(tmp_path / "r.yaml").data.pool.text == "text"
