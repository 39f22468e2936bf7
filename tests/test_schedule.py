"""Rows and rates of a loop's steps: permutations of all rows, and the schedules that transformers has by the same names."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from distrust.recipe import Train
from distrust.schedule import order, rate, steps


def test_the_order_of_batches_is_a_permutation_that_changes_with_the_epoch() -> None:
    options = Train(per_device_train_batch_size=7)
    epochs = [list(order(40, 0, epoch, options, 1)) for epoch in range(2)]
    assert all(torch.cat(epoch).sort().values.tolist() == list(range(40)) for epoch in epochs)
    assert not torch.equal(torch.cat(epochs[0]), torch.cat(epochs[1]))
    assert [len(rows) for rows in epochs[0]] == [7] * 5 + [5] and steps(40, options, 1) == 6


def test_several_processes_and_micro_batches_share_a_step() -> None:
    options = Train(per_device_train_batch_size=2, gradient_accumulation_steps=3)
    assert [len(rows) for rows in order(40, 0, 0, options, 2)] == [12, 12, 12, 4] and steps(40, options, 2) == 4


@pytest.mark.parametrize("kind", ["linear", "cosine", "constant"])
def test_schedules_are_those_of_transformers(kind: str) -> None:
    from transformers import get_scheduler

    optimiser = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    name = "constant_with_warmup" if kind == "constant" else kind
    schedule = get_scheduler(name, optimiser, num_warmup_steps=4, num_training_steps=40)
    for step in range(40):
        assert rate(step, 40, Train(lr_scheduler_type=kind, warmup_ratio=0.1)) == pytest.approx(schedule.get_last_lr()[0])
        optimiser.step()
        schedule.step()
