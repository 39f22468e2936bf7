"""Checkpoints: all of a fit's state in one file, and nothing that was there before a half-written one is lost."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from distrust import checkpoint
from distrust.checkpoint import State
from distrust.errors import RunError
from distrust.objective import Objective, Term
from distrust.recipe import Train
from distrust.train import Side
from tests import worlds


def side(seed: int = 0) -> Side:
    """A student and an objective that is trained with it (a projection, as feature losses have)."""
    with torch.random.fork_rng():
        torch.manual_seed(seed + 10)
        projection = nn.Linear(3, 2)
    objective = Objective(
        {"term": Term(lambda logits, batch: projection(logits).pow(2).sum(-1))}, nn.ModuleDict({"projection": projection})
    )
    made = Side(worlds.student(seed), objective, Train(learning_rate=0.1))
    made.begin()
    return made


def move(one: Side, steps: int = 3) -> None:
    for _ in range(steps):
        items, _ = worlds.points(6)
        one.objective(one.student.logits({"inputs": items.inputs}), {})[0].backward()  # type: ignore[dict-item]
        one.optimiser.step(1.0)


def weights(one: Side) -> list[torch.Tensor]:
    return [value.clone() for part in (one.student.module, one.objective.modules) for value in part.state_dict().values()]


def same(one: list[torch.Tensor], other: list[torch.Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_everything_comes_back(tmp_path: Path) -> None:
    before, after = side(), side(seed=5)
    move(before)
    best = {name: value.clone() + 1 for name, value in checkpoint._weights([before]).items()}
    state = State(2, 3, [{"epoch": 1, "loss": 0.1}], {"loss": torch.tensor(1 / 3)}, {"loss": 3}, 0.1 + 0.2, 1, False, best)
    checkpoint.save(tmp_path, [before], state)
    back = checkpoint.resume(tmp_path, [after])
    assert same(weights(before), weights(after)), "the student's and the objective's own"
    known = ("epoch", "step", "history", "best", "since_best", "stopped", "sums", "seen")
    assert all(getattr(back, name) == getattr(state, name) for name in known)
    assert back.best_weights is not None and same(list(best.values()), [back.best_weights[name] for name in best])
    move(before)
    move(after)
    assert same(weights(before), weights(after)), "the optimiser's state too"


def test_without_a_checkpoint_a_fit_begins(tmp_path: Path) -> None:
    one = side()
    before = weights(one)
    state = checkpoint.resume(tmp_path, [one])
    assert (state.epoch, state.step, state.best_weights) == (0, 0, None) and same(before, weights(one))


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, [side()], State())
    file = tmp_path / checkpoint.FILE
    file.write_bytes(file.read_bytes()[:-5])
    with pytest.raises(RunError, match=r"checkpoint\.safetensors is damaged .*; delete it and run again"):
        checkpoint.resume(tmp_path, [side()])


def test_a_second_checkpoint_replaces_the_first(tmp_path: Path) -> None:
    one = side()
    checkpoint.save(tmp_path, [one], State(epoch=1))
    checkpoint.save(tmp_path, [one], State(epoch=2))
    assert checkpoint.resume(tmp_path, [one]).epoch == 2
    assert [path.name for path in tmp_path.iterdir()] == [checkpoint.FILE]


def test_means_are_over_the_steps_of_an_epoch() -> None:
    state = State()
    for value in (1.0, 2.0, 6.0):
        state.add({"loss": torch.tensor(value), "gold": torch.tensor(value / 2)})
    assert state.means() == {"loss": 3.0, "gold": 1.5}
    state.end_epoch({"loss": 3.0})
    assert (state.epoch, state.step, state.sums, state.history) == (1, 0, {}, [{"loss": 3.0}])


def test_process_time_is_added_up_by_epoch_across_a_restart(tmp_path: Path) -> None:
    state, one = State(), side()
    state.add({}, 1.5)
    checkpoint.save(tmp_path, [one], state)
    state = checkpoint.resume(tmp_path, [one])
    state.add({}, 0.5)
    state.end_epoch({})
    state.add({}, 3.0)
    assert state.seconds == [2.0, 3.0]


def test_the_best_weights_are_those_of_the_lowest_validation() -> None:
    one, state, seen = side(), State(), []
    for value in (2.0, 1.0, 1.0, 3.0):
        move(one, 1)
        seen.append(weights(one))
        state.judge(value, [one], patience=2)
        assert state.stopped == (value == 3.0), "an equal value is no gain"
    checkpoint.keep_best([one], state)
    assert same(weights(one), seen[1])


def test_patience_without_end() -> None:
    one, state = side(), State()
    for value in (1.0, *[2.0] * 20):
        state.judge(value, [one], patience=None)
    assert not state.stopped and state.since_best == 20


def test_without_validation_the_last_weights_stay() -> None:
    one = side()
    before = weights(one)
    checkpoint.keep_best([one], State())
    assert same(before, weights(one))
