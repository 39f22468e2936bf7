"""The end of a run: the test set is opened there and nowhere before, and the facts are what really happened."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from distrust import finish
from distrust.build import opened
from distrust.data import Items
from distrust.errors import RecipeError, RunError
from distrust.finish import carry_out, check_method, prices, write
from distrust.recipe import Price
from distrust.recipe_file import load_recipe
from distrust.report.facts import Facts
from distrust.store import load_tensors
from distrust.students import answer
from tests import worlds

FAST = {"num_train_epochs": 2}
QUICK = {"name": "distill", "options": {"targets": "hard", "gold_weight": 3}}


def facts_of(folder: Path, **changes: Any) -> Facts:
    made = load_recipe(worlds.recipe(folder, **({"train": FAST, "method": QUICK} | changes)))
    with opened(made) as (run, task):
        return carry_out(run, task, made)[0]


def test_the_test_set_changes_no_student(tmp_path: Path) -> None:
    """Black box: whatever the test set holds, and whether there is one, the same weights come out of the same stages."""
    fits = []
    for name in ("none", "one", "other"):
        folder = tmp_path / name
        folder.mkdir()
        worlds.recipe(folder)
        data: dict[str, Any] = {"pool": {"path": str(folder / "pool.csv"), "label": "label"}}
        if name != "none":
            rows = worlds.texts(20, seed=len(name))
            data["test"] = {"path": str(worlds.write_csv(folder / "held.csv", rows)), "label": "label"}
        facts_of(folder, data=data, labels=["money", "sport", "weather"])
        found = sorted((folder / "run" / "stages").glob("fit-*/weights.safetensors"))
        fits.append({path.parent.name: load_tensors(path) for path in found})
    assert len(fits[0]) == 2 and fits[0].keys() == fits[1].keys() == fits[2].keys()
    for other in fits[1:]:
        assert all(torch.equal(value, other[fit][name]) for fit in other for name, value in fits[0][fit].items())


class Watched(Items):
    """Items that tell who reads them."""

    def __getattribute__(self, name: str) -> Any:
        if name in ("inputs", "columns", "key", "ids", "text"):
            READS.append(name)
        return super().__getattribute__(name)


READS: list[str] = []


def test_nothing_reads_the_test_set_before_the_final_evaluation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = load_recipe(
        worlds.recipe(tmp_path, train=FAST | {"early_stopping_patience": 1}, gold={"size": 12, "reserve": {"stop": 4}})
    )
    real, before = finish.gather, []

    def gather(*arguments: Any, **named: Any) -> Facts:
        before.append(len(READS))
        return real(*arguments, **named)

    monkeypatch.setattr(finish, "gather", gather)
    with opened(made) as (run, task):
        assert task.test is not None
        items, labels = task.test
        watched = Watched(items.ids, items.inputs, items.columns)
        object.__setattr__(task, "test", (watched, labels))
        READS.clear()
        carry_out(run, task, made)
    assert before == [0] and READS, "read afterwards, and not before"


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Facts, Path]]:
    folder = tmp_path_factory.mktemp("done")
    made = load_recipe(worlds.recipe(folder, train=FAST, method=QUICK))
    with opened(made) as (run, task):
        facts, student = carry_out(run, task, made)
        write(facts, student, run.folder)
        yield facts, run.folder


def test_targets_and_weights_are_what_the_student_was_told(done: tuple[Facts, Path]) -> None:
    facts, _ = done
    assert facts.targets is not None and facts.target_weight is not None and facts.gold is not None
    teacher = facts.evidence[0]
    for row, item in enumerate(facts.pool.ids):
        gold = facts.gold.ids.index(item) if item in facts.gold.ids else None
        said = int(facts.gold.labels[gold]) if gold is not None else int(teacher.claims[0, row])
        assert facts.targets[row].tolist() == [float(c == said) for c in range(3)]
        assert float(facts.target_weight[row]) == (3.0 if gold is not None else 1.0)


def test_both_students_answer_the_test(done: tuple[Facts, Path]) -> None:
    facts, _ = done
    assert facts.test is not None
    assert set(facts.predictions) == {"student", "gold-only"}
    for prediction in facts.predictions.values():
        assert prediction.shape == (60, 3)
        torch.testing.assert_close(prediction.sum(-1), torch.ones(60))
    assert facts.test_evidence == [], "a recorded teacher has no record of the test items"
    assert {row["fit"] for row in facts.history} == {"student", "gold-only"}
    assert facts.environment["seed"] == 0 and facts.environment["threads"] == 1


def test_what_is_written_is_whole_and_loads(done: tuple[Facts, Path]) -> None:
    from distrust.build import load_student

    facts, folder = done
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert rows == [dict(row) for row in facts.history] and len(rows) > 2
    assert facts.test is not None
    said = answer(load_student(folder / "student"), facts.test).distribution()
    assert torch.equal(said, facts.predictions["student"])
    assert (folder / "report.html").stat().st_size > 10_000 and "teacher" in (folder / "student" / "README.md").read_text()
    found = json.loads((folder / "metrics.json").read_text())
    labels = facts.test_labels
    right = (facts.predictions["student"].argmax(-1) == labels).float().mean()
    assert found["test"]["student"]["accuracy"]["value"] == pytest.approx(float(right))


def test_without_a_test_set_it_says_so(tmp_path: Path) -> None:
    facts = facts_of(tmp_path, data={"pool": {"path": str(tmp_path / "pool.csv"), "label": "label"}})
    assert facts.test is None and facts.predictions == {} and facts.test_evidence == []
    assert any("There is no test set" in one for one in facts.warnings)


def test_without_gold_there_is_no_reference(tmp_path: Path) -> None:
    facts = facts_of(tmp_path, gold=None)
    assert set(facts.predictions) == {"student"} and facts.gold is None


def test_the_reference_alone_is_fitted_once(tmp_path: Path) -> None:
    facts = facts_of(tmp_path, method={"name": "gold-only", "options": {"min_steps": 5}}, teachers=[])
    assert set(facts.predictions) == {"student"} and facts.evidence == [] and facts.spending == []
    assert len(list((tmp_path / "run" / "stages").glob("fit-*"))) == 1


def test_gold_outside_the_pool_is_judged_too(tmp_path: Path) -> None:
    rows = [row | {"text": row["text"] + " more"} for row in worlds.texts(9, seed=4)]
    worlds.write_csv(tmp_path / "gold.csv", rows)
    worlds.write_csv(tmp_path / "past.csv", rows + worlds.texts(150))
    teacher = {"kind": "recorded", "name": "t", "path": str(tmp_path / "past.csv"), "column": "teacher"}
    facts = facts_of(tmp_path, gold={"path": str(tmp_path / "gold.csv")}, teachers=[teacher])
    assert facts.gold is not None and not set(facts.gold.ids) & set(facts.pool.ids)
    said = facts.gold_evidence[0].on(facts.gold.ids)
    assert [facts.space.names[claim] for claim in said.claims[0].tolist()] == [row["teacher"] for row in rows]
    assert facts.targets is not None and len(facts.targets) == 150


@pytest.mark.parametrize(("price", "money"), [({"per_call": 0.5}, 75.0), ({}, None), ({"per_call": 0}, 0.0)])
def test_past_answers_cost_what_their_price_says(tmp_path: Path, price: dict[str, float], money: float | None) -> None:
    teacher = {"kind": "recorded", "name": "t", "column": "teacher", "price": price}
    facts = facts_of(tmp_path, teachers=[teacher])
    assert facts.spending[0].money == money and facts.spending[0].calls == 0


def test_prices_by_name(tmp_path: Path) -> None:
    past = {"kind": "recorded", "name": "past", "price": {"per_call": 2}}
    local = {"kind": "classifier", "name": "local", "model": "folder"}
    made = load_recipe(worlds.recipe(tmp_path, teachers=[past, local]))
    assert prices(made) == {"past": Price(per_call=2), "local": Price(per_call=0)}


def test_a_method_is_checked_before_anything_else(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="did you mean 'distill'"):
        check_method(load_recipe(worlds.recipe(tmp_path, method={"name": "distll"})))
    with pytest.raises(RunError, match="name one under `teachers`"):
        check_method(load_recipe(worlds.recipe(tmp_path, teachers=[])))
    check_method(load_recipe(worlds.recipe(tmp_path, teachers=[], method={"name": "gold-only"})))
