"""Facts on disk: a report made from them later is the report of the run, byte for byte."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from distrust.build import opened
from distrust.errors import RunError
from distrust.finish import carry_out, write
from distrust.recipe_file import load_recipe
from distrust.report.facts import Facts
from distrust.report.metrics import metrics
from distrust.report.page import write_report
from distrust.report.saved import PLAIN, load_facts
from tests import worlds


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Facts, Path]]:
    folder = tmp_path_factory.mktemp("done")
    rows = [row | {"text": row["text"] + " more"} for row in worlds.texts(9, seed=4)]
    worlds.write_csv(folder / "gold.csv", rows)  # outside the pool, so that there is evidence on gold besides
    made = load_recipe(worlds.recipe(folder, train={"num_train_epochs": 2}, gold={"path": str(folder / "gold.csv")}))
    with opened(made) as (run, task):
        facts, student = carry_out(run, task, made)
        write(facts, student, run.folder)
    yield facts, folder / "run"


def test_facts_come_back(done: tuple[Facts, Path]) -> None:
    facts, folder = done
    back = load_facts(folder / "facts")
    assert {name: getattr(back, name) for name in PLAIN}.keys() == set(PLAIN)
    assert back.title == facts.title and dict(back.options) == dict(facts.options) and back.kinds == facts.kinds
    assert [dict(row) for row in back.history] == [dict(row) for row in facts.history]
    assert back.spending == facts.spending and list(back.warnings) == list(facts.warnings)
    assert (back.pool.ids, back.space) == (facts.pool.ids, facts.space)
    assert back.gold is not None and facts.gold is not None and torch.equal(back.gold.labels, facts.gold.labels)
    for name in ("targets", "target_weight", "test_labels"):
        assert torch.equal(getattr(back, name), getattr(facts, name)), name
    assert back.predictions.keys() == facts.predictions.keys()
    assert all(torch.equal(value, facts.predictions[name]) for name, value in back.predictions.items())
    for name in ("evidence", "gold_evidence", "test_evidence"):
        rooms = list(zip(getattr(back, name), getattr(facts, name), strict=True))
        assert all(torch.equal(one.claims, other.claims) and one.ids == other.ids for one, other in rooms), name


def test_the_report_made_again_is_the_same(done: tuple[Facts, Path]) -> None:
    facts, folder = done
    back = load_facts(folder / "facts")
    assert metrics(back) == metrics(facts)
    page, figures = (folder / "report.html").read_bytes(), (folder / "metrics.json").read_bytes()
    write_report(back, folder)
    assert (folder / "metrics.json").read_bytes() == figures and (folder / "report.html").read_bytes() == page


def test_a_run_that_has_not_finished(done: tuple[Facts, Path], tmp_path: Path) -> None:
    with pytest.raises(RunError, match="holds no finished run; start it with `distrust run`"):
        load_facts(tmp_path / "facts")


def test_a_run_without_targets_test_or_teachers(tmp_path: Path) -> None:
    """Nothing but gold: there is not one tensor to keep, and the report can still be made again."""
    worlds.recipe(tmp_path)
    pool = {"pool": {"path": str(tmp_path / "pool.csv"), "label": "label"}}
    method = {"name": "gold-only", "options": {"min_steps": 5}}
    made = load_recipe(worlds.recipe(tmp_path, data=pool, teachers=[], method=method))
    with opened(made) as (run, task):
        facts, student = carry_out(run, task, made)
        write(facts, student, run.folder)
    back = load_facts(run.folder / "facts")
    assert (back.targets, back.predictions, back.evidence, back.test) == (None, {}, [], None)
    assert metrics(back) == metrics(facts)
