"""uhc: agrees with each teacher over its own classes."""

from __future__ import annotations

import math

import pytest
import torch

from distrust.methods.uhc import Agreeing


def test_uhc_is_the_sum_of_divergences_over_each_ones_classes() -> None:
    draw = torch.Generator().manual_seed(0)
    logits = torch.randn(4, 6, generator=draw, dtype=torch.double)
    said = torch.randn(4, 5, generator=draw, dtype=torch.double)
    said[3, :2] = -torch.inf
    columns = [torch.tensor([4, 1]), torch.tensor([0, 1, 5])]
    found = Agreeing(columns, 2.0)(logits, {"said": said, "labels": torch.tensor([-1, 3, -1, -1])}).tolist()
    for row in range(4):
        total = 0.0
        for start, own in ((0, columns[0]), (2, columns[1])):
            theirs = said[row, start : start + len(own)] / 2
            p = theirs.softmax(-1).tolist()
            q = (logits[row, own] / 2).softmax(-1).tolist()
            total += 4 * sum(a * math.log(a / b) for a, b in zip(p, q, strict=True)) if theirs.isfinite().all() else 0
        assert found[row] == pytest.approx(0 if row == 1 else total)
