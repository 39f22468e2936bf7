"""mmkd: weights that are learned where the student errs."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import torch

from distrust import losses
from distrust.methods import find
from distrust.methods.mmkd import Meta, _looked_ahead, _matched
from distrust.store import load_tensors
from tests.methods import several_worlds as worlds
from tests.methods.written import ITEMS, LABELS, LOGITS, Said


def test_mmkd_learns_whom_to_believe_where_the_student_errs(tmp_path: Path) -> None:
    right = 3 * torch.nn.functional.one_hot(LABELS, 3).float()
    said_wrong = 3 * torch.nn.functional.one_hot((LABELS + 1) % 3, 3).float()
    method, options = find("mmkd", {"gamma": 0.0})
    longer = worlds.Train(num_train_epochs=12, learning_rate=2e-2)
    teachers = [Said("wrong", said_wrong), Said("right", right)]
    with closing(worlds.run(tmp_path, teachers, options=longer)) as work:
        student = method.run(work, options)
        (kept,) = (work.folder / "stages").glob("*/objective-student.safetensors")
        meta = Meta(2, 3, 32)
        meta.load_state_dict({name.removeprefix("meta."): value for name, value in load_tensors(kept).items()})
        guess = work.ask(student, ITEMS).distribution()
    weights = meta(torch.stack([said_wrong, right]).softmax(-1), guess, torch.ones(2, 48, dtype=torch.bool)).detach()
    assert torch.allclose(weights.sum(0), torch.ones(48)) and float(weights[1].mean()) > 0.6
    silent = meta(torch.zeros(2, 4, 3), guess[:4], torch.zeros(2, 4, dtype=torch.bool))
    assert torch.equal(silent, torch.zeros(2, 4))


def test_mmkds_two_losses_do_not_touch_each_other() -> None:
    meta = Meta(3, 3, 8)
    logits = torch.randn(48, 3, generator=torch.Generator().manual_seed(1)).requires_grad_()
    batch = {"logits": LOGITS.transpose(0, 1), "label": torch.nn.functional.one_hot(LABELS, 3).float()}
    _matched(meta, 4.0, logits, batch).sum().backward()
    assert logits.grad is not None and all(one.grad is None for one in meta.parameters())
    alike = torch.full((3, 48), 1 / 3)
    expected = torch.autograd.grad(losses.weighted_kl(logits, LOGITS, alike, 4.0).sum(), logits)[0]
    assert torch.allclose(logits.grad, expected, atol=1e-5)  # it starts from all alike
    logits.grad = None
    value = _looked_ahead(meta, 4.0, 1.0, logits, batch)
    value.sum().backward()
    assert logits.grad is None and meta.own.grad is not None and bool((meta.own.grad != 0).any())
    assert bool((value[logits.argmax(-1) == LABELS] == 0).all())
