"""elr: its formula visit by visit, and a memory that survives a kill."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from distrust.methods.elr import FLOOR, Memory
from distrust.processes import mix
from distrust.store import load_tensors
from tests import worlds
from tests.methods import noisy

NOISY = noisy.corrupted(noisy.LABELS)


def softmax(row: list[float]) -> list[float]:
    mass = [math.exp(one - max(row)) for one in row]
    return [min(max(one / sum(mass), FLOOR), 1 - FLOOR) for one in mass]


@pytest.mark.parametrize("beta", [0.0, 0.7, 0.9])
def test_the_memory_and_its_term_are_what_a_loop_makes_of_them(beta: float) -> None:
    """t ← βt + (1 - β)p from zeros, then log(1 - ⟨p, t⟩), each item by its own row, in whatever batches."""
    draw, memory = torch.Generator().manual_seed(0), Memory(5, 3, beta).double()
    remembered = [[0.0] * 3 for _ in range(5)]
    for rows in ([3, 0], [4, 1, 2], [0, 4], [2], [1, 3, 0], [0, 1, 2, 3, 4]):
        logits = 4 * torch.randn(len(rows), 3, generator=draw, dtype=torch.double)
        found = memory(logits, torch.tensor(rows))
        for value, row, said in zip(found.tolist(), rows, logits.tolist(), strict=True):
            chance = softmax(said)
            remembered[row] = [
                beta * old + (1 - beta) * new / sum(chance) for old, new in zip(remembered[row], chance, strict=True)
            ]
            assert value == pytest.approx(math.log(1 - sum(p * t for p, t in zip(chance, remembered[row], strict=True))))
    assert memory.said.tolist() == [pytest.approx(row) for row in remembered]


def test_its_gradient_draws_towards_the_memory_and_never_into_it() -> None:
    memory = Memory(1, 3, 0.7)
    memory(torch.tensor([[3.0, 0.0, 0.0]]), torch.tensor([0]))
    logits = torch.zeros(1, 3, requires_grad=True)
    memory(logits, torch.tensor([0])).sum().backward()
    assert logits.grad is not None and logits.grad[0, 0] < 0 < logits.grad[0, 1], "descent raises what was said before"
    assert not memory.said.requires_grad and not list(memory.parameters())


@pytest.mark.parametrize("logits", [[[1e4, 0.0, -1e4]], [[-torch.inf, 0.0, 0.0]], [[0.0, 0.0, 0.0]]])
def test_saturated_logits_leave_value_and_gradient_finite(logits: list[list[float]]) -> None:
    memory, given = Memory(1, 3, 0.7), torch.tensor(logits, requires_grad=True)
    for _ in range(50):
        value = memory(given, torch.tensor([0])).sum()
    value.backward()
    assert bool(value.isfinite()) and given.grad is not None and bool(given.grad.isfinite().all())


def test_a_strength_of_0_is_plain_distillation_bit_for_bit(tmp_path: Path) -> None:
    plain = noisy.carry(noisy.work(tmp_path / "plain", NOISY, gold=9, dropout=0.3), "distill", targets="hard")
    assert noisy.same(plain, noisy.carry(noisy.work(tmp_path / "ours", NOISY, gold=9, dropout=0.3), "elr", strength=0))


def test_a_fit_is_a_hand_written_loop(tmp_path: Path) -> None:
    """Gold items, here the last rows, are not held to their past."""
    run = noisy.work(tmp_path, NOISY, gold=9)
    student = noisy.carry(run, "elr", strength=2.0, beta=0.6)
    told = run.fits["student"].labelled
    model, memory = worlds.network(), torch.zeros(60, 3)
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-2, weight_decay=0.0)
    for step in range(24):
        order = torch.randperm(60, generator=torch.Generator().manual_seed(mix(0, step // 8, 1)))
        optimiser.param_groups[0]["lr"] = 3e-2 * (1 - step / 24)
        loss, rows = torch.zeros(()), order[step % 8 * 8 :][:8].tolist()
        for row in rows:
            assert isinstance(told.items.inputs, Tensor)
            chance = model(told.items.inputs[row]).softmax(-1)
            if told.labels[row] >= 0:
                loss = loss - chance[told.labels[row]].log()
                continue
            past = memory[row] = 0.6 * memory[row] + 0.4 * chance.detach()
            loss = loss - chance[told.targets[row].argmax()].log() + 2.0 * (1 - (chance * past).sum()).log()
        optimiser.zero_grad()
        (loss / len(rows)).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
    for name, value in noisy.weights(student).items():
        torch.testing.assert_close(value, model.state_dict()[name], rtol=5e-3, atol=5e-4)
    (kept,) = (tmp_path / "stages").glob("fit-student-*/objective-student.safetensors")
    torch.testing.assert_close(load_tensors(kept)["memory.said"][:51], memory[:51], rtol=5e-3, atol=5e-3)


@pytest.mark.parametrize("save", [3, 12, 20])
def test_killed_in_the_middle_memory_and_student_come_back_bit_for_bit(tmp_path: Path, save: int) -> None:
    options = noisy.LOOP.model_copy(update={"save_seconds": 0})

    def kept(folder: str) -> dict[str, Tensor]:
        noisy.carry(noisy.work(tmp_path / folder, NOISY, options=options, dropout=0.5), "elr")
        (stage,) = (tmp_path / folder / "stages").glob("fit-student-*")
        return load_tensors(stage / "weights.safetensors") | load_tensors(stage / "objective-student.safetensors")

    whole = kept("whole")
    assert bool(whole["memory.said"].any(-1).all()), "every item was visited"
    noisy.killed_at(lambda: kept("broken"), "student", save)
    assert all(torch.equal(value, whole[name]) for name, value in kept("broken").items())
