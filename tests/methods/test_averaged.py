"""averaged: all teachers alike, by their losses or by their logits."""

from __future__ import annotations

from pathlib import Path

import torch

from tests.methods.written import LOGITS, said, told


def test_averaged_losses_and_averaged_logits(tmp_path: Path) -> None:
    soft = (LOGITS / 4).softmax(-1)
    losses_, _ = told(tmp_path / "losses", "averaged", said())
    assert torch.allclose(losses_.targets, soft.mean(0), atol=1e-6)
    logits, _ = told(tmp_path / "logits", "averaged", said(), average="logits")
    centred = LOGITS.log_softmax(-1).mean(0)
    assert torch.allclose(logits.targets, (centred / 4).softmax(-1), atol=1e-6)
