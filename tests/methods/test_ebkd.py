"""ebkd: by entropy."""

from __future__ import annotations

from pathlib import Path

import torch

from distrust import trust
from tests.methods.written import LOGITS, said, told


def test_ebkd_weighs_by_entropy(tmp_path: Path) -> None:
    found, _ = told(tmp_path, "ebkd", said())
    weights = trust.entropy_weights(LOGITS)
    assert torch.allclose(found.targets, (weights.unsqueeze(-1) * (LOGITS / 4).softmax(-1)).sum(0), atol=1e-5)
