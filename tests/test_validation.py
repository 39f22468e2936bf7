"""Validation: the mean cross-entropy of held-out items, and a key that changes with them."""

from __future__ import annotations

import pytest
import torch

from distrust.students import answer
from distrust.validation import Validation
from tests import worlds


def test_the_loss_is_the_mean_cross_entropy_of_the_labels() -> None:
    items, labels = worlds.points(20)
    student = worlds.student()
    held = Validation(items, labels, None)
    chance = student.module(items.inputs).softmax(-1).detach()
    by_hand = -sum(float(chance[row, label].log()) for row, label in enumerate(labels.tolist())) / 20
    assert held.loss(student, lambda wanted: answer(student, wanted)) == pytest.approx(by_hand, rel=1e-5)


def test_its_key_changes_with_items_labels_and_texts() -> None:
    items, labels = worlds.points(20)
    keys = {
        Validation(items, labels, None).key,
        Validation(items.select(range(19)), labels[:19], None).key,
        Validation(items, torch.zeros_like(labels), None).key,
        Validation(items, labels, ["a"] * 20).key,
    }
    assert len(keys) == 4
