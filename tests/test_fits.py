"""A fit as a stage: what it depends on, what it leaves, and students read back from it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from distrust.errors import RunError
from distrust.labelled import from_targets
from distrust.losses import cross_entropy, forward_kl
from distrust.objective import Batch, Objective, Term
from distrust.recipe import Train
from distrust.students import answer
from tests.runs import make


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


def test_what_changes_only_the_speed_changes_no_key(tmp_path: Path) -> None:
    keys = []
    for number, loop in enumerate(({}, {"save_seconds": 1.0, "per_device_eval_batch_size": 3}, {"learning_rate": 2e-2})):
        run = make(tmp_path / str(number), options=Train(**({"num_train_epochs": 1, "learning_rate": 1e-2} | loop)))
        keys.append(run.fit("student", from_targets(run.pool, torch.eye(3)[torch.arange(40) % 3])).key)
    assert keys[0] == keys[1] != keys[2]


def test_a_tap_that_is_no_module_is_refused_before_anything_is_trained(tmp_path: Path) -> None:
    run = make(tmp_path)
    objective = Objective({"it": Term(lambda logits, _: logits.sum(-1))}, taps={"deep": "nowhere"})
    with pytest.raises(RunError, match="The student"):
        run.fit("student", from_targets(run.pool, torch.eye(3)[torch.arange(40) % 3]), objective, run.options)
    assert not run.stages.folder.exists()
