"""best-teacher: the one that gold chooses."""

from __future__ import annotations

from pathlib import Path

import torch

from tests.methods.written import LABELS, LOGITS, Said, told


def test_the_best_teacher_on_gold_is_alone(tmp_path: Path) -> None:
    right = 3 * torch.nn.functional.one_hot(LABELS, 3).float()
    teachers = [Said("bad", LOGITS[0]), Said("good", right), Said("other", LOGITS[1])]
    found, notes = told(tmp_path, "best-teacher", teachers, gold=12)
    assert torch.allclose(found.targets, (right / 4).softmax(-1), atol=1e-6)
    assert any("learns from good alone" in note and "12 gold items" in note for note in notes)
    _, notes = told(
        tmp_path / "no-gold", "best-teacher", [Said("x", right), Said("y", right + 0.1), Said("z", LOGITS[0])], 0
    )
    assert any("since there is no gold to choose by" in note and "z alone" not in note for note in notes)
