"""self-distillation: who relabels what, by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from distrust.labelled import from_targets
from tests.methods import noisy

NOISY = noisy.corrupted(noisy.LABELS)
POOL = from_targets(noisy.ITEMS, torch.eye(3)[NOISY])


@pytest.mark.parametrize(("given", "epochs"), [(None, 4), (1, 1)])
def test_everything_is_relabelled_after_a_few_epochs(tmp_path: Path, given: int | None, epochs: int) -> None:
    student = noisy.carry(noisy.work(tmp_path / "run", NOISY), "self-distillation", relabel_epochs=given)
    first = noisy.fit(tmp_path, "first", POOL, epochs)
    told = POOL.told_as(torch.eye(3)[noisy.claims(first, noisy.ITEMS)])
    assert noisy.same(student, noisy.fit(tmp_path, "student", told))


def test_with_high_confidence_the_items_above_the_mean_are_kept(tmp_path: Path) -> None:
    """Relabelled by a student as long trained as the last."""
    student = noisy.carry(noisy.work(tmp_path / "run", NOISY), "self-distillation", confident=True)
    first = noisy.fit(tmp_path, "first", POOL)
    sure = [max(row) for row in noisy.chances(first, noisy.ITEMS)]
    rows = [row for row in range(60) if sure[row] >= sum(sure) / 60]
    assert 10 < len(rows) < 60
    told = POOL.told_as(torch.eye(3)[noisy.claims(first, noisy.ITEMS)]).select(rows)
    assert noisy.same(student, noisy.fit(tmp_path, "student", told))
