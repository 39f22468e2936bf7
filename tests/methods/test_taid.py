"""taid: a target on the way from student to teacher, by its formula."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from distrust.methods.taid import Schedule, Taid
from tests.methods.followed import WHOLE, close, learnt, naive


def test_taid_is_its_formula(tmp_path: Path) -> None:
    share, momentum, losses = 0.3, 0.0, []

    def loss(q: Tensor, p: Tensor, step: int) -> Tensor:
        nonlocal share, momentum
        if step >= 2:
            momentum = 0.5 * momentum + 0.5 * (losses[-2] - losses[-1]) / losses[-2]
            risen = share + 0.9 * torch.tensor(momentum).sigmoid().item() * (1 - share)
            share = min(1.0, max(0.3 + 0.7 * (step - 1) / 3, risen))
        target = ((1 - share) * q.detach() + share * p).log_softmax(-1)
        value = (target.exp() * (target - q.log_softmax(-1))).sum(-1).mean()
        losses.append(value.item())
        return value

    loop = WHOLE.model_copy(update={"per_device_train_batch_size": 16, "gradient_accumulation_steps": 3})
    for place, one in enumerate((WHOLE, loop)):  # in micro-batches the loss is the whole step's
        found = learnt("taid", tmp_path / str(place), one, start=0.3, speed=0.9, inertia=0.5)
        share, momentum = 0.3, 0.0
        losses.clear()
        close(found, naive(loss))
    assert share > 0.6


def test_taid_of_a_whole_teacher_is_the_forward_divergence(tmp_path: Path) -> None:
    options = {"start": 0.99999, "end": 1.0}
    close(learnt("taid", tmp_path / "a", WHOLE, **options), learnt("gkd", tmp_path / "b", WHOLE, on_policy=0))


def test_the_share_rises_evenly_at_least_and_faster_where_the_loss_falls() -> None:
    for falling in (0.5, 1.0):
        schedule = Schedule(Taid(start=0.2, speed=0.5, inertia=0.0))
        shares = []
        for step in range(10):
            shares.append(float(schedule.now(torch.tensor(step / 10))))
            schedule.loss += falling**step
        even = [0.2, *(0.2 + 0.08 * max(step - 1, 0) for step in range(1, 10))]
        assert all(share >= least - 1e-6 for share, least in zip(shares, even, strict=True)) and shares[-1] <= 1
        last = shares[-1]
        assert last > even[-1]
        if falling == 0.5:
            faster = last
    assert faster > last
