"""The loop: equal to a hand-written one, indifferent to interruption, and to everything that must not matter."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from distrust import checkpoint, train
from distrust.distillation import default_objective
from distrust.errors import RunError
from distrust.labelled import Labelled, from_gold, from_targets
from distrust.losses import cross_entropy, forward_kl
from distrust.objective import Objective, Term
from distrust.processes import mix
from distrust.recipe import Train
from distrust.students import Student, answer
from distrust.students.ngram import build
from distrust.train import Fit, Side, fit
from tests import worlds


def trained(
    folder: Path, labelled: Labelled | None = None, *, student: Student | None = None, seed: int = 0, **options: Any
) -> dict[str, torch.Tensor]:
    """Weights after a fit; small batches so that there are many steps."""
    labelled = labelled if labelled is not None else worlds.told()
    student = student or worlds.student()
    loop = Train(**({"num_train_epochs": 3, "per_device_train_batch_size": 8, "learning_rate": 1e-2} | options))
    fit([Side(student, default_objective(labelled), loop)], Fit("student", labelled, loop, seed, folder))
    return student.module.state_dict()


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


def test_equals_a_hand_written_loop_bit_for_bit(tmp_path: Path) -> None:
    items, _ = worlds.points()
    targets = torch.rand(40, 3, generator=torch.Generator().manual_seed(5)).softmax(-1)
    ours = trained(tmp_path, from_targets(items, targets), weight_decay=0.01, max_grad_norm=0.1)
    model = worlds.network()
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0.01, fused=True)
    for step in range(15):
        order = torch.randperm(40, generator=torch.Generator().manual_seed(mix(0, step // 5, 1)))
        rows = order[step % 5 * 8 :][:8]
        optimiser.param_groups[0]["lr"] = 1e-2 * (1 - step / 15)
        optimiser.zero_grad()
        nn.functional.cross_entropy(model(items.inputs[rows]), targets[rows]).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.1)
        optimiser.step()
    assert same(ours, model.state_dict())


class StopError(Exception):
    """Raised in the middle of a fit, where a kill would strike."""


@pytest.mark.parametrize("at", [1, 2, 4, 5, 6, 11, 14])
def test_an_interrupted_fit_ends_with_the_weights_of_an_undisturbed_one(
    tmp_path: Path, at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = trained(tmp_path / "whole", student=worlds.student(dropout=0.5), save_seconds=0)
    calls = 0
    real = checkpoint.save

    def save(*arguments: Any) -> None:
        nonlocal calls
        real(*arguments)
        calls += 1
        if calls == at:
            raise StopError

    monkeypatch.setattr(checkpoint, "save", save)
    with pytest.raises(StopError):
        trained(tmp_path / "broken", student=worlds.student(dropout=0.5), save_seconds=0)
    monkeypatch.setattr(checkpoint, "save", real)
    torch.rand(7)  # whatever happened in between
    assert same(whole, trained(tmp_path / "broken", student=worlds.student(dropout=0.5), save_seconds=0))


def test_dropout_is_drawn_anew_at_every_step_and_seeds_differ(tmp_path: Path) -> None:
    runs = [
        trained(tmp_path / str(number), student=worlds.student(dropout=rate), seed=seed)
        for number, (rate, seed) in enumerate([(0.0, 0), (0.5, 0), (0.5, 1), (0.5, 0)])
    ]
    assert not same(runs[0], runs[1])
    assert not same(runs[1], runs[2])
    assert same(runs[1], runs[3])


def test_the_global_random_state_is_left_as_it_was(tmp_path: Path) -> None:
    before = torch.get_rng_state()
    trained(tmp_path, student=worlds.student(dropout=0.5))
    assert torch.equal(before, torch.get_rng_state())


def test_a_weight_of_zero_is_absence(tmp_path: Path) -> None:
    labelled = worlds.told()
    muted = Labelled(labelled.items, labelled.targets, labelled.labels, labelled.weight * (torch.arange(40) % 2))
    assert same(trained(tmp_path / "a", muted), trained(tmp_path / "b", labelled.select(torch.arange(1, 40, 2))))


def test_scaling_all_weights_changes_nothing(tmp_path: Path) -> None:
    labelled = worlds.told()
    scaled = Labelled(labelled.items, labelled.targets, labelled.labels, labelled.weight * 4)
    assert same(trained(tmp_path / "a", labelled), trained(tmp_path / "b", scaled))


def test_accumulation_divides_by_the_global_count(tmp_path: Path) -> None:
    whole = trained(tmp_path / "a", per_device_train_batch_size=8)
    parts = trained(tmp_path / "b", per_device_train_batch_size=2, gradient_accumulation_steps=4)
    for name in whole:
        torch.testing.assert_close(whole[name], parts[name], rtol=1e-4, atol=1e-6)


def test_validation_keeps_the_best_epoch_and_stops_when_patience_ends(tmp_path: Path) -> None:
    labelled, student = worlds.told(), worlds.student()
    losses = iter([3.0, 1.0, 2.0, 2.0, 0.0])
    seen: list[dict[str, torch.Tensor]] = []

    def validate(judged: Student) -> float:
        seen.append({name: value.clone() for name, value in judged.module.state_dict().items()})
        return next(losses)

    loop = Train(num_train_epochs=9, early_stopping_patience=2)
    history = fit(
        [Side(student, default_objective(labelled), loop)], Fit("student", labelled, loop, 0, tmp_path, validate=validate)
    )
    assert [row["validation"] for row in history] == [3.0, 1.0, 2.0, 2.0]
    assert same(student.module.state_dict(), seen[1])


def test_the_ngram_student_resumes_bit_for_bit_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from distrust.data import Items
    from distrust.recipe import NgramStudent

    rows = worlds.texts(40)
    items = Items(tuple(str(number) for number in range(40)), tuple(row["text"] for row in rows))
    options = NgramStudent(buckets=512, dimension=4, dropout=0.3)
    labelled = from_gold(items, torch.arange(40) % 3, 3)

    def run(folder: Path) -> dict[str, torch.Tensor]:
        return trained(folder, labelled, student=build(options, worlds.SPACE, 0, items), save_seconds=0)

    whole = run(tmp_path / "whole")
    real, calls = checkpoint.save, 0

    def save(*arguments: Any) -> None:
        nonlocal calls
        real(*arguments)
        calls += 1
        if calls == 7:
            raise StopError

    monkeypatch.setattr(checkpoint, "save", save)
    with pytest.raises(StopError):
        run(tmp_path / "broken")
    monkeypatch.undo()
    assert same(whole, run(tmp_path / "broken"))


def test_progress_is_told_in_the_middle_of_a_long_epoch_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[int, int, bool]] = []

    def listen(name: str, done: int, total: int, figures: Mapping[str, float]) -> None:
        told.append((done, total, bool(figures)))

    labelled, loop = worlds.told(), Train(num_train_epochs=2, per_device_train_batch_size=8)
    for turn, tick in enumerate((1e9, -1.0)):
        monkeypatch.setattr(train, "TICK", tick)
        student = worlds.student()
        task = Fit("student", labelled, loop, 0, tmp_path / str(turn), progress=listen)
        fit([Side(student, default_objective(labelled), loop)], task)
    assert told[:2] == [(5, 10, True), (10, 10, True)], "an epoch shorter than a tick is told of once"
    assert told[2:] == [(done, 10, done in (5, 10)) for done in range(1, 11)]


def test_learning_happens(tmp_path: Path) -> None:
    items, labels = worlds.points(90)
    student = worlds.student()
    trained(tmp_path, from_gold(items, labels, 3), student=student, num_train_epochs=30)
    assert float((answer(student, items).claims[0] == labels).float().mean()) > 0.85


def test_a_loss_that_is_not_finite_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="student has a loss of nan in epoch"):
        trained(tmp_path, learning_rate=1e30, max_grad_norm=None)


def test_nothing_to_train_on_is_said(tmp_path: Path) -> None:
    items, _ = worlds.points(4)
    with pytest.raises(RunError, match="no item has a target or a gold label"):
        trained(tmp_path, from_targets(items, torch.zeros(4, 3)))


def _mutual(folder: Path, order: tuple[str, str], every: int = 1, **options: Any) -> dict[str, dict[str, torch.Tensor]]:
    """Two students that learn from each other and from gold, as deep mutual learning has it."""
    items, labels = worlds.points()
    labelled = from_gold(items, labels, 3)
    loop = Train(**({"num_train_epochs": 2, "per_device_train_batch_size": 8, "learning_rate": 1e-2} | options))
    students = {"left": worlds.student(0, dropout=0.0), "right": worlds.student(1, dropout=0.0)}

    def objective(other: str) -> Objective:
        return Objective(
            {
                "gold": Term(lambda logits, batch: cross_entropy(logits, batch["labels"])),
                "other": Term(lambda logits, batch: forward_kl(logits, batch[f"{other}.logits"])),
            }
        )

    sides = [
        Side(
            students[name], objective({"left": "right", "right": "left"}[name]), loop, name, every if name == "right" else 1
        )
        for name in order
    ]
    fit(sides, Fit("mutual", labelled, loop, 0, folder))
    return {name: student.module.state_dict() for name, student in students.items()}


def test_two_sides_learn_at_once_as_in_a_hand_written_loop(tmp_path: Path) -> None:
    ours = _mutual(tmp_path, ("left", "right"))
    items, labels = worlds.points()
    models = [worlds.network(seed) for seed in (0, 1)]
    optimisers = [torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0.0, fused=True) for model in models]
    for step in range(10):
        order = torch.randperm(40, generator=torch.Generator().manual_seed(mix(0, step // 5, 1)))
        rows = order[step % 5 * 8 :][:8]
        logits = [model(items.inputs[rows]) for model in models]
        for own, other, model, optimiser in zip(logits, logits[::-1], models, optimisers, strict=True):
            target = other.detach().softmax(-1)
            kl = (target * (target.log() - own.log_softmax(-1))).sum(-1).mean()
            (nn.functional.cross_entropy(own, labels[rows]) + kl).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.param_groups[0]["lr"] = 1e-2 * (1 - step / 10)
        for optimiser in optimisers:
            optimiser.step()
            optimiser.zero_grad()
    for model, name in zip(models, ("left", "right"), strict=True):
        for key, value in model.state_dict().items():
            torch.testing.assert_close(ours[name][key], value, rtol=1e-5, atol=1e-7)


def test_the_order_of_sides_changes_nothing(tmp_path: Path) -> None:
    one, other = _mutual(tmp_path / "a", ("left", "right")), _mutual(tmp_path / "b", ("right", "left"))
    assert all(same(one[name], other[name]) for name in one)


def test_a_side_that_moves_every_third_step_resumes_bit_for_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = _mutual(tmp_path / "a", ("left", "right"), every=3)
    assert not same(whole["right"], _mutual(tmp_path / "c", ("left", "right"))["right"])
    real, calls = checkpoint.save, 0

    def save(*arguments: Any) -> None:
        nonlocal calls
        real(*arguments)
        calls += 1
        if calls == 4:
            raise StopError

    monkeypatch.setattr(checkpoint, "save", save)
    with pytest.raises(StopError):
        _mutual(tmp_path / "b", ("left", "right"), every=3, save_seconds=0)
    monkeypatch.undo()
    again = _mutual(tmp_path / "b", ("left", "right"), every=3, save_seconds=0)
    assert all(same(whole[name], again[name]) for name in whole)
