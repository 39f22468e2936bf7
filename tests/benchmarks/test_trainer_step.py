"""The benchmark of a whole training step: both sides train the same student, or its ratio would mean nothing."""

from __future__ import annotations

import importlib.util

import pytest
import torch

from benchmarks.harness import Absent
from benchmarks.trainer_step import CONTENDERS, run, world
from distrust.losses import forward_kl
from distrust.processes import mix
from distrust.students.completions import IGNORED


@pytest.mark.parametrize("name", CONTENDERS)
def test_the_first_gradients_are_those_of_whole_logits(name: str) -> None:
    if name == "trl" and not importlib.util.find_spec("trl"):
        pytest.skip("TRL is not installed here")
    here = world(((32, 1), (64, 1)), 2, 2)
    found = CONTENDERS[name](here)
    plain = here.begun()
    read = plain.encode_told(here.items, list(here.items.columns["completion"]))
    inputs = read.batch(torch.randperm(4, generator=torch.Generator().manual_seed(mix(0, 0, 1)))[:2])
    there = inputs["labels"] != IGNORED
    (forward_kl(plain.logits(inputs), here.teacher.logits(inputs).detach()) * there).sum().div(there.sum()).backward()
    assert found.seconds > 0
    for key, parameter in plain.module.named_parameters():
        assert parameter.grad is not None and torch.allclose(found.gradients[key], parameter.grad, atol=1e-6, rtol=1e-3), key


def test_without_trl_it_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(Absent, match="needs TRL"):
        run(quick=True)
