"""aekd: gradients combined at the logits."""

from __future__ import annotations

import math
from contextlib import closing
from pathlib import Path

import torch
from torch import Tensor

from distrust import losses
from distrust.methods import find
from distrust.methods.aekd import _agreed
from tests.methods import several_worlds as worlds
from tests.methods.written import LOGITS, Said, said, told


def test_aekd_combines_the_gradients_at_the_logits(tmp_path: Path) -> None:
    """Trap 9: one pass through the student, and shares that agree with the pure function on this very batch."""
    whole = worlds.Train(num_train_epochs=1, per_device_train_batch_size=64, learning_rate=1e-2)
    method, options = find("aekd", {"cap": 0.5})
    with closing(worlds.run(tmp_path, said(), options=whole)) as work:
        method.run(work, options)
        (row,) = work.fits["student"].history
    logits = torch.randn(48, 3, requires_grad=True)
    value = _agreed(4.0, 0.5, logits, {"logits": LOGITS.log_softmax(-1).transpose(0, 1)})
    gradients = torch.stack(
        [torch.autograd.grad(losses.forward_kl(logits, one, 4.0).mean(), logits)[0].flatten() for one in LOGITS]
    )
    shares = losses.least_combination(gradients, 0.5)
    by_hand = sum(share * losses.forward_kl(logits, one, 4.0) for share, one in zip(shares, LOGITS, strict=True))
    assert isinstance(by_hand, Tensor) and torch.allclose(value, by_hand, atol=1e-4)
    assert row["target"] > 0 and max(shares.tolist()) <= 0.5 + 1e-6


def test_aekd_with_one_teacher_and_with_silent_ones(tmp_path: Path) -> None:
    silent = LOGITS[0].clone()
    silent[10:20] = -math.inf
    for number, teachers in enumerate(([Said("one", LOGITS[0])], [Said("one", LOGITS[0]), Said("two", silent)])):
        found, _ = told(tmp_path / str(number), "aekd", teachers)
        assert len(found) == 48
