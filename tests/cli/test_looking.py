"""report, why and methods as they are called, on a real run."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from distrust.build import opened
from distrust.data import content_id, load_items
from distrust.files import read_json
from distrust.finish import carry_out, write
from distrust.methods import METHODS
from distrust.recipe_file import load_recipe
from distrust.task import load_task
from tests import worlds
from tests.cli.world import Call


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a recipe, its data and its run."""
    folder = tmp_path_factory.mktemp("finished")
    recipe = load_recipe(worlds.recipe(folder, train={"num_train_epochs": 2}))
    with opened(recipe) as (work, task):
        write(*carry_out(work, task, recipe), work.folder)
    return folder


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil; its recipe still names the tables where they are."""
    return Path(shutil.copytree(finished / "run", tmp_path / "run"))


def test_a_report_is_made_again(distrust: Call, run: Path) -> None:
    page, figures = (run / "report.html").read_text(), read_json(run / "metrics.json")
    (run / "report.html").unlink()
    assert distrust("report", run) == (0, f"Report: {run / 'report.html'}\n", "")
    assert (run / "report.html").read_text() == page and read_json(run / "metrics.json") == figures


def test_one_items_trace(distrust: Call, finished: Path) -> None:
    pool = load_items(str(finished / "pool.csv"))
    item, gold = pool.ids[3], load_task(load_recipe(finished / "recipe.yaml")).gold
    code, out, err = distrust("why", item[:6], "--run", finished / "run")
    lines = out.splitlines()
    assert (code, err) == (0, "") and lines[0] == f"{item}: {pool.text(3)}"
    assert (f"gold: {pool.columns['label'][3]}" in lines) == (item in gold.ids)
    assert any(line.startswith(f"teacher (recorded): {pool.columns['teacher'][3]}; ") for line in lines)
    assert lines[-1].startswith("the student now says: ")


@pytest.mark.parametrize("item", ["nothing", content_id("x"), "\x1b[2J"])
def test_no_such_item(distrust: Call, finished: Path, item: str) -> None:
    code, out, err = distrust("why", item, "--run", finished / "run")
    assert code == 2 and not out and err.startswith("distrust: There is no item") and "\x1b" not in err


@pytest.mark.parametrize("command", [["report"], ["why", "a", "--run"]])
def test_what_is_no_run_or_has_not_finished(distrust: Call, run: Path, tmp_path: Path, command: list[str]) -> None:
    code, _, err = distrust(*command, tmp_path / "elsewhere")
    assert code == 2 and "holds no finished run" in err
    (run / "facts" / "facts.json").unlink()
    code, _, err = distrust(*command, run)
    assert code == 2 and "holds no finished run; start it with `distrust run`" in err


@pytest.mark.parametrize("file", ["facts.json", "tensors.safetensors", "pool/0/evidence.safetensors"])
def test_a_damaged_run_is_named(distrust: Call, run: Path, file: str) -> None:
    damaged = run / "facts" / file
    damaged.write_bytes(damaged.read_bytes()[:20])
    code, _, err = distrust("report", run)
    assert code == 2 and f"{damaged} is damaged" in err and err.count("\n") == 1


def test_a_missing_student_is_said(distrust: Call, finished: Path, run: Path) -> None:
    shutil.rmtree(run / "student")
    code, out, _ = distrust("why", load_items(str(finished / "pool.csv")).ids[0], "--run", run)
    assert code == 0 and "the student cannot be asked here" in out and "student holds no student" in out


def test_methods_and_their_options(distrust: Call) -> None:
    code, out, err = distrust("methods")
    assert (code, err) == (0, "")
    for name, method in METHODS.items():
        assert f"{name}: {method.about}" in out
        assert all(f"    {option} (default " in out for option in method.options.model_fields)
