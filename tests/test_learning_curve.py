"""Students of human labels alone: which labels they learn from, and that asking for them changes nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from distrust.build import opened
from distrust.errors import DataError
from distrust.files import read_json
from distrust.finish import carry_out, write
from distrust.labelled import Labelled
from distrust.learning_curve import students_of
from distrust.methods import METHODS
from distrust.recipe import Recipe
from distrust.recipe_file import load_recipe
from distrust.report.facts import Facts
from distrust.report.metrics import metrics
from distrust.report.saved import load_facts
from distrust.run import Run
from distrust.store import load_tensors
from tests import worlds

FAST = {"num_train_epochs": 1, "per_device_train_batch_size": 64}
STUDENT = {"kind": "ngram", "buckets": 256, "dimension": 4, "characters": None}


def recipe(folder: Path, **changes: Any) -> Recipe:
    return load_recipe(worlds.recipe(folder, **({"train": FAST, "student": STUDENT} | changes)))


@pytest.fixture
def learned(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Labelled]]:
    """What each fit of the test was trained on, by name."""
    seen: list[tuple[str, Labelled]] = []
    fit = Run.fit

    def watched(self: Run, name: str, labelled: Labelled, *rest: Any, **named: Any) -> Any:
        seen.append((name, labelled))
        return fit(self, name, labelled, *rest, **named)

    monkeypatch.setattr(Run, "fit", watched)
    return seen


def drawn(learned: list[tuple[str, Labelled]]) -> list[set[str]]:
    return [set(labelled.items.ids) for name, labelled in learned if name.startswith("worth-")]


def test_the_fewer_are_among_the_more_and_none_is_gold(tmp_path: Path, learned: list[tuple[str, Labelled]]) -> None:
    made = recipe(tmp_path, worth=[3, 9, 138])
    with opened(made) as (run, task):
        assert task.spare is not None and len(task.spare[0]) == 138
        assert [number for number, _ in students_of(run, *task.spare, made.worth or ())] == [3, 9, 138]
        assert run.warnings == [] and not run.fits, "the method's report does not log them"
    few, more, most = drawn(learned)
    assert (len(few), len(more), len(most)) == (3, 9, 138) and few < more < most
    assert not most & set(task.gold.ids) and most | set(task.gold.ids) == set(task.pool.ids)
    true = {item: row["label"] for item, row in zip(task.pool.ids, worlds.texts(150), strict=True)}
    for _, labelled in learned:
        assert [true[item] for item in labelled.items.ids] == [task.space.names[label] for label in labelled.labels.tolist()]
        assert not labelled.has_targets, "no teacher has a say"


def test_the_draw_is_the_seeds(tmp_path: Path, learned: list[tuple[str, Labelled]]) -> None:
    for seed in (0, 0, 1):
        made = recipe(tmp_path, worth=[3, 6], seed=seed, gold={"size": 12, "seed": 0})
        with opened(made) as (run, task):
            assert task.spare is not None
            list(students_of(run, *task.spare, [3, 6]))
    first, again, other = (drawn(learned)[turn] for turn in (1, 3, 5))
    assert first == again != other


def test_a_point_of_the_curve_is_the_method_gold_only_bit_for_bit(tmp_path: Path) -> None:
    with opened(recipe(tmp_path)) as (run, task):
        alone = METHODS["gold-only"].run(run, METHODS["gold-only"].options())
        *_, (number, point) = students_of(run, task.gold_items, task.gold.labels, [4, 12])
    assert number == 12
    assert all(torch.equal(value, point.module.state_dict()[name]) for name, value in alone.module.state_dict().items())


def test_labels_that_are_not_there_are_refused_before_anything_is_trained(
    tmp_path: Path, learned: list[tuple[str, Labelled]]
) -> None:
    made = recipe(tmp_path, worth=[3, 139])
    words = "`worth` asks for up to 139 labels; legal is up to 138, as many as the pool has in 'label' beside the gold"
    with pytest.raises(DataError, match=words), opened(made):
        pass
    assert not learned and not (tmp_path / "run").exists()


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Facts, Facts]]:
    """One run without, and then with, a curve."""
    folder, facts = tmp_path_factory.mktemp("both"), []
    for worth in (None, [3, 9, 90]):
        made = recipe(folder, worth=worth)
        with opened(made) as (run, task):
            found, student = carry_out(run, task, made)
            write(found, student, run.folder)
        facts.append(found)
    yield folder, facts[0], facts[1]


def test_the_curve_is_what_its_students_say_of_the_test(both: tuple[Path, Facts, Facts]) -> None:
    folder, _, facts = both
    made = recipe(folder, worth=[3, 9, 90])
    assert facts.curve is not None and facts.test_labels is not None and list(facts.curve.labels) == [3, 9, 90]
    with opened(made) as (run, task):
        assert task.spare is not None and task.test is not None
        for row, (_, student) in zip(facts.curve.right, students_of(run, *task.spare, [3, 9, 90]), strict=True):
            assert torch.equal(run.ask(student, task.test[0]).claims[0] == facts.test_labels, row)
    accuracy = facts.curve.right.double().mean(-1)
    assert accuracy[2] > accuracy[0]


def test_it_changes_nothing_else(both: tuple[Path, Facts, Facts]) -> None:
    _, without, facts = both
    assert without.curve is None
    assert facts.predictions.keys() == without.predictions.keys() == {"student", "gold-only"}
    assert all(torch.equal(value, without.predictions[name]) for name, value in facts.predictions.items())
    assert list(facts.history) == list(without.history) and list(facts.warnings) == list(without.warnings)


def test_each_point_is_a_stage_done_once(both: tuple[Path, Facts, Facts]) -> None:
    folder, _, _ = both
    stages = sorted((folder / "run" / "stages").glob("fit-worth-*/done.json"))
    assert sorted(path.parent.name.rsplit("-", 1)[0] for path in stages) == ["fit-worth-3", "fit-worth-9", "fit-worth-90"]
    before = {path: path.stat().st_mtime_ns for path in (folder / "run" / "stages").rglob("*.safetensors")}
    made = recipe(folder, worth=[3, 9, 90])
    with opened(made) as (run, task):
        carry_out(run, task, made)
    after = {path: path.stat().st_mtime_ns for path in (folder / "run" / "stages").rglob("*.safetensors")}
    assert before == after and len(load_tensors(next(iter(after)))) > 0


def test_the_page_can_be_made_again(both: tuple[Path, Facts, Facts]) -> None:
    folder, _, facts = both
    back = load_facts(folder / "run" / "facts")
    assert back.curve is not None and facts.curve is not None
    assert list(back.curve.labels) == list(facts.curve.labels) and torch.equal(back.curve.right, facts.curve.right)
    assert metrics(back)["worth"] == metrics(facts)["worth"] == read_json(folder / "run" / "metrics.json")["worth"]
    card = (folder / "run" / "student" / "README.md").read_text()
    assert "the student is worth" in card and "Worth in human labels" in (folder / "run" / "report.html").read_text()
