"""The recipes of the methods' pages, carried out as they stand: tables and models they name are made here, and are tiny.

Only how long a student trains, and how many seeds a comparison has, is set on the line.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from distrust.students.causal import CausalStudent
from tests import models
from tests.cli.world import Call, caller
from tests.methods import tutored
from tests.test_docs import PAGES, blocks
from tests.worlds import texts, write_csv

TABLES = {"tickets.csv": 130, "pool.csv": 130, "reviews.csv": 90, "labelled.csv": 30}  # rows; of what is judged by, 40
JUDGED = ("checked.csv", "tickets_test.csv", "test.csv")
CLASSES = ("money", "sport", "weather")
KNOWN = {
    "large": CLASSES,
    "old": CLASSES,
    "bought": CLASSES,
    "small": CLASSES,
    "banking": ("card lost", "exchange rate"),
    "travel": None,  # its classes have no names but LABEL_0 and on
}
SHORT = ("--set", "train.num_train_epochs=1")
ALONE = [
    (page, place)
    for page in ("auto.md", "ca_mkd.md", "muka.md", "okd.md", "peer_advised.md", "ta_in_the_loop.md")
    for place, content in enumerate(blocks(page, "yaml"))
    if "compare" not in yaml.safe_load(content)
]
COMPARED = [("compare.md", 0), ("workshop.md", 0), ("ta_in_the_loop.md", 1)]


@pytest.fixture
def distrust(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """`distrust ARGUMENTS` in a folder with everything that the pages name."""
    monkeypatch.chdir(tmp_path)
    for seed, (name, count) in enumerate((TABLES | dict.fromkeys(JUDGED, 40)).items()):
        rows = texts(count, seed)
        said = ("llm", "llm_label", "cheap", "topic", "gold_label")
        every = [one | {"body": one["text"]} | dict.fromkeys(said[:3], one["teacher"]) for one in rows]
        write_csv(tmp_path / name, [one | dict.fromkeys(said[3:], one["label"]) for one in every])
    lines = [json.dumps({"text": one["text"]}) for one in texts(90)]
    (tmp_path / "unlabelled.jsonl").write_text("\n".join(lines))
    for name, items in (("questions.jsonl", tutored.pool(32)), ("test.jsonl", tutored.pool(12))):
        told = items.columns["completion"]
        keys = ("id", "prompt", "completion", "second")
        rows = [dict(zip(keys, one, strict=True)) for one in zip(items.ids, items.inputs, told, told, strict=True)]
        (tmp_path / name).write_text("\n".join(map(json.dumps, rows)))
    return caller(monkeypatch, capsys)


def recipe(page: str, place: int) -> str:
    """The page's recipe as a file beside the models that it names."""
    content = blocks(page, "yaml")[place]
    Path("page.yaml").write_text(content, encoding="utf-8")
    whole = yaml.safe_load(content)
    asked = [*whole["teachers"], whole.get("assistant") or {}, whole.get("student") or {}]
    for folder in {one["model"] for one in asked if "model" in one}:
        name = Path(folder).name
        if whole.get("task") == "generation":
            made: CausalStudent = tutored.student() if name == "small" else tutored.teacher().model
            made.save(Path(folder))
        else:
            named = KNOWN[name]
            models.save_classifier(Path(folder), named, **({} if named else {"num_labels": 2}))
    return "page.yaml"


@pytest.mark.parametrize(("page", "place"), ALONE)
def test_a_methods_recipe_runs(page: str, place: int, distrust: Call) -> None:
    code, out, err = distrust("run", recipe(page, place), *SHORT)
    assert code == 0, (out, err)
    reports = list(Path("runs").rglob("report.html"))
    assert len(reports) == 1 and (reports[0].parent / "student").is_dir()


@pytest.mark.slow
@pytest.mark.parametrize(("page", "place"), COMPARED)
def test_a_comparisons_recipe_runs(page: str, place: int, distrust: Call) -> None:
    code, out, err = distrust("compare", recipe(page, place), *SHORT, "--seeds", "1")
    assert code == 0, (out, err)
    assert list(Path("runs").rglob("comparison.html"))


def test_every_page_of_a_method_is_here() -> None:
    named = {page for page in PAGES for one in blocks(page, "yaml") if {"method", "compare"} & set(yaml.safe_load(one))}
    elsewhere = {"README.md", "afternoon.md", "cookbook.md"}  # run by their own tests
    assert named - elsewhere <= {page for page, _ in (*ALONE, *COMPARED)}
