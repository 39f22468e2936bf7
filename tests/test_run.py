"""Durable stages: done once, kept whole, and gone on with after a real kill."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from distrust.data import Items
from distrust.errors import RunError, TeacherError
from distrust.evidence import Evidence
from distrust.files import read_json
from distrust.gold import Gold
from distrust.labelled import from_targets
from distrust.losses import cross_entropy, forward_kl
from distrust.objective import Batch, Objective, Term
from distrust.recipe import Train
from distrust.run import Run
from distrust.store import load_tensors
from distrust.students import answer
from distrust.teachers.classifier import ModuleTeacher
from tests import worlds


def make(folder: Path, **changes: object) -> Run:
    items, labels = worlds.points()
    settings = {
        "space": worlds.SPACE,
        "pool": items,
        "teachers": [ModuleTeacher("teacher", worlds.network(7), worlds.SPACE)],
        "new_student": worlds.student,
        "gold": Gold(items.ids[:9], labels[:9], worlds.SPACE),
        "options": Train(num_train_epochs=2, learning_rate=1e-2),
    }
    return Run(folder, **(settings | changes))  # type: ignore[arg-type]


def test_a_teacher_is_asked_once_even_by_another_process(tmp_path: Path) -> None:
    asked = []

    class Counting(ModuleTeacher):
        def ask(self, items: object) -> Evidence:
            asked.append(1)
            return super().ask(items)  # type: ignore[arg-type]

    first = make(tmp_path, teachers=[Counting("teacher", worlds.network(7), worlds.SPACE)])
    evidence = first.evidence()[0]
    first.close()
    second = make(tmp_path, teachers=[Counting("teacher", worlds.network(7), worlds.SPACE)])
    assert torch.equal(second.evidence()[0].logits.dense(), evidence.logits.dense())  # type: ignore[union-attr]
    assert len(asked) == 1
    second.close()
    changed = make(tmp_path, teachers=[Counting("teacher", worlds.network(8), worlds.SPACE)])
    with pytest.raises(TeacherError, match=r"The teacher teacher is not the one .* Give it another name"):
        changed.evidence()
    renamed = Counting("retrained", worlds.network(8), worlds.SPACE)
    assert not torch.equal(changed.ask(renamed, changed.pool).logits.dense(), evidence.logits.dense())  # type: ignore[union-attr]
    assert len(asked) == 2


def test_runs_may_share_what_their_teachers_said(tmp_path: Path) -> None:
    asked = []

    class Counting(ModuleTeacher):
        def ask(self, items: Items) -> Evidence:
            asked.append(len(items))
            return super().ask(items)

    teacher = Counting("teacher", worlds.network(7), worlds.SPACE)
    one = make(tmp_path / "one", teachers=[teacher], evidence=tmp_path / "said")
    other = make(tmp_path / "other", teachers=[teacher], evidence=tmp_path / "said", seed=1)
    assert torch.equal(one.stacked().probabilities, other.stacked().probabilities)
    assert asked == [40]
    assert not (tmp_path / "one" / "evidence").exists()


def test_a_changed_option_makes_a_new_fit_and_the_same_one_none(tmp_path: Path) -> None:
    run = make(tmp_path)
    told = from_targets(run.pool, torch.eye(3)[torch.arange(40) % 3])
    keys = [run.fit("student", told).key, run.fit("student", told).key, run.fit("student", told, epochs=3).key]
    fits = [folder for folder in (tmp_path / "stages").iterdir() if folder.name.startswith("fit-")]
    assert keys[0] == keys[1] != keys[2]
    assert len(fits) == 2


def test_what_the_steps_of_each_epoch_took_is_kept_with_a_fit(tmp_path: Path) -> None:
    run = make(tmp_path)
    told = from_targets(run.pool, torch.eye(3)[torch.arange(40) % 3])
    run.fit("student", told)
    first = list(run.fits["student"].seconds)
    run.fit("student", told)
    assert len(first) == 2 and min(first) > 0 and list(run.fits["student"].seconds) == first
    (whole,) = run.stages.seconds.values()
    assert sum(first) <= whole + 1e-3


def test_a_student_from_a_finished_stage_answers_as_the_trained_one(tmp_path: Path) -> None:
    run = make(tmp_path)
    told = from_targets(run.pool, torch.eye(3)[torch.arange(40) % 3])
    trained, again = run.fit("student", told), run.fit("student", told)
    one, other = (answer(student, run.pool).logits for student in (trained, again))
    assert one is not None and other is not None and torch.equal(one.dense(), other.dense())


def test_gold_takes_the_place_of_its_pool_items(tmp_path: Path) -> None:
    run = make(tmp_path)
    told = run.with_gold(from_targets(run.pool, torch.full((40, 3), 1 / 3)), 5.0)
    assert len(told) == 40
    gold = told.select((told.labels >= 0).nonzero().squeeze(-1))
    assert set(gold.items.ids) == set(run.gold.ids)
    assert gold.weight.tolist() == [5.0] * 9
    assert not bool(gold.targets.any()), "a gold item is told its gold label, not what teachers say of it"
    assert len(run.with_gold(from_targets(run.pool, torch.full((40, 3), 1 / 3)), 0.0).labels.unique()) == 1


def test_reserved_gold_does_not_train(tmp_path: Path) -> None:
    items, labels = worlds.points()
    run = make(tmp_path, gold=Gold(items.ids[:9], labels[:9], worlds.SPACE, {"prompt": 2, "stop": 3}))
    assert len(run.gold_labelled()) == 4


def test_two_processes_do_not_share_a_folder(tmp_path: Path) -> None:
    run = make(tmp_path)
    with pytest.raises(RunError, match="Another process is at work"):
        make(tmp_path)
    run.close()


def test_early_stopping_without_anything_to_validate_on_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"gold\.reserve"):
        make(tmp_path, options=Train(early_stopping_patience=1))


def test_students_trained_together_start_apart_see_each_other_and_are_kept(tmp_path: Path) -> None:
    seen: list[tuple[float, bool]] = []

    def look(name: str, other: str) -> Objective:
        def loss(logits: torch.Tensor, batch: Batch) -> torch.Tensor:
            assert torch.equal(batch["targets"], told.targets[batch["row"]])
            seen.append((float(batch["progress"]), torch.equal(logits, batch[f"{name}.logits"])))
            return forward_kl(logits, batch[f"{other}.logits"]) + cross_entropy(logits, batch["targets"])

        return Objective({"both": Term(loss)})

    run = make(tmp_path)
    told = from_targets(run.pool, torch.eye(3)[torch.arange(40) % 3])
    objectives = {"left": look("left", "right"), "right": look("right", "left")}
    left, right = run.fit_together(objectives, told, run.options)
    assert seen[0] == (0.0, True) and seen[-1][0] == 0.75, "progress is the share of steps done"
    assert left.key != right.key and run.fits["left"].history[0].keys() >= {"loss", "right.loss"}
    weights = [{name: value.clone() for name, value in one.module.state_dict().items()} for one in (left, right)]
    assert not torch.equal(weights[0]["0.weight"], weights[1]["0.weight"])
    calls = len(seen)
    again = run.fit_together(objectives, told, run.options)
    assert len(seen) == calls, "a finished stage is read, not trained"
    for student, kept in zip(again, weights, strict=True):
        assert all(torch.equal(value, kept[name]) for name, value in student.module.state_dict().items())


def _start(recipe: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "distrust", "run", str(recipe)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def _weights(run: Path) -> dict[str, dict[str, torch.Tensor]]:
    found = sorted((run / "stages").glob("fit-*/weights.safetensors"))
    return {path.parent.name: load_tensors(path) for path in found}


@pytest.mark.slow
def test_a_run_killed_again_and_again_ends_as_one_never_killed(tmp_path: Path) -> None:
    """Really killed, at moments spread over the run: between stages, inside a fit, while the report is written."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    began = time.monotonic()
    whole = _start(worlds.recipe(tmp_path / "a"))
    said, _ = whole.communicate(timeout=200)
    seconds = time.monotonic() - began
    assert whole.returncode == 0, said
    recipe = worlds.recipe(tmp_path / "b")
    struck = 0
    for share in (0.3, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95):
        process = _start(recipe)
        time.sleep(share * seconds)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            struck += 1
        process.communicate()
    assert struck >= 3, "the kills came too late to prove anything"
    last = _start(recipe)
    said, _ = last.communicate(timeout=200)
    assert last.returncode == 0, said
    one, other = _weights(tmp_path / "a" / "run"), _weights(tmp_path / "b" / "run")
    assert one.keys() == other.keys() and len(one) == 2
    assert all(torch.equal(one[fit][name], other[fit][name]) for fit in one for name in one[fit])
    tested = [read_json(tmp_path / name / "run" / "metrics.json")["test"] for name in "ab"]
    assert tested[0] == tested[1]


@pytest.mark.slow
def test_a_fit_killed_between_its_steps_goes_on_there(tmp_path: Path) -> None:
    """Killed as soon as a checkpoint appears, several times over, so that the strike is surely mid-epoch."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    _start(worlds.recipe(tmp_path / "a")).communicate(timeout=200)
    recipe = worlds.recipe(tmp_path / "b")
    stamps: set[int] = set()
    for _ in range(3):
        process = _start(recipe)
        deadline = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline:
            found = [path.stat().st_mtime_ns for path in (tmp_path / "b").glob("run/stages/fit-*/checkpoint.safetensors")]
            if any(stamp not in stamps for stamp in found):
                stamps.update(found)
                break
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert len(stamps) >= 2, "no kill struck inside a fit"
    _start(recipe).communicate(timeout=200)
    one, other = _weights(tmp_path / "a" / "run"), _weights(tmp_path / "b" / "run")
    assert one.keys() == other.keys()
    assert all(torch.equal(one[fit][name], other[fit][name]) for fit in one for name in one[fit])
