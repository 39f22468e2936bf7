"""co-teaching: each student learns from what the other finds easy, more choosily as time goes on."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from distrust.distillation import default_objective
from distrust.labelled import from_targets
from distrust.methods.co_teaching import _objective
from tests.methods import noisy

NOISY = noisy.corrupted(noisy.LABELS)
POOL = from_targets(noisy.ITEMS, torch.eye(3)[NOISY])


def entropy(logits: list[float], target: int) -> float:
    return math.log(sum(math.exp(one) for one in logits)) - logits[target]


def by_hand(mine: Tensor, theirs: Tensor, claims: list[int], forget: float) -> float:
    """Mean loss of mine over the kept share of claimed items, those of smallest loss of theirs."""
    claimed = [row for row, claim in enumerate(claims) if claim >= 0]
    ranked = sorted(claimed, key=lambda row: entropy(theirs[row].tolist(), claims[row]))
    kept = ranked[: max(1, round((1 - forget) * len(claimed)))]
    return sum(entropy(mine[row].tolist(), claims[row]) for row in kept) / len(kept) if kept else 0.0


@given(st.lists(st.integers(-1, 2), min_size=1, max_size=12), st.sampled_from([0.0, 0.3, 0.7, 0.99]), st.integers(0, 99))
def test_a_step_is_the_papers_formula(claims: list[int], rate: float, seed: int) -> None:
    """R(e) = 1 - min(rate · e / E_k, rate); the mean over the kept is divided once. -1 is a gold item, told no claim."""
    draw = torch.Generator().manual_seed(seed)
    mine, theirs = torch.randn(2, len(claims), 3, generator=draw, dtype=torch.double).unbind()
    targets = torch.eye(3, dtype=torch.double)[claims] * (torch.tensor(claims) >= 0).unsqueeze(-1)
    term = _objective(POOL, "other", rate, ramp=0.5).terms["target"]
    for progress in (0.0, 0.25, 0.5, 0.75):
        batch = {"targets": targets, "other.logits": theirs, "student.logits": mine, "progress": torch.tensor(progress)}
        counted = sum(claim >= 0 for claim in claims)
        if not counted:
            return
        found = float(term.loss(mine, batch).sum()) / counted
        forget = rate * min(progress / 0.5, 1)
        assert found == pytest.approx(by_hand(mine, theirs, claims, forget), rel=1e-5), progress


def test_the_others_loss_decides() -> None:
    mine = torch.tensor([[9.0, 0.0], [0.0, 9.0]])  # finds the first claim easy, the second hard
    batch = {"targets": torch.eye(2)[[0, 0]], "other.logits": mine.flip(0), "progress": torch.tensor(1.0)}
    values = _objective(POOL, "other", 0.5, 0.5).terms["target"].loss(mine, batch)
    assert values[0] == 0 and values[1] == pytest.approx(2 * entropy([0.0, 9.0], 0))


def test_nothing_forgotten_is_plain_distillation_bit_for_bit(tmp_path: Path) -> None:
    plain = noisy.carry(noisy.work(tmp_path / "plain", NOISY, gold=9, dropout=0.3), "distill", targets="hard")
    ours = noisy.carry(noisy.work(tmp_path / "ours", NOISY, gold=9, dropout=0.3), "co-teaching", forget_rate=0)
    assert noisy.same(plain, ours)


def test_gold_always_counts(tmp_path: Path) -> None:
    run = noisy.work(tmp_path, NOISY, gold=9)
    noisy.carry(run, "co-teaching", forget_rate=0.5, gold_weight=2)
    told = run.fits["student"].labelled
    plain, ours = default_objective(told).terms, _objective(told, "other", 0.5, 0.5).terms
    batch = {"labels": told.labels}
    logits = torch.randn(len(told), 3)
    assert torch.equal(plain["gold"].loss(logits, batch), ours["gold"].loss(logits, batch))
    assert list(ours) == ["target", "gold"]


def test_the_rate_is_the_error_on_gold_and_says_how_little_that_is(tmp_path: Path) -> None:
    wrong = noisy.LABELS.clone()
    wrong[:6] = (wrong[:6] + 1) % 3
    run = noisy.work(tmp_path / "gold", wrong, gold=20)
    estimated = noisy.carry(run, "co-teaching")
    assert run.warnings == ["forget_rate is the teachers' error on 20 gold items, which is between 0.15 and 0.52 (95 %)."]
    given = noisy.carry(noisy.work(tmp_path / "given", wrong, gold=20), "co-teaching", forget_rate=7 / 22)
    assert noisy.same(estimated, given)


def test_without_gold_the_rate_is_declared(tmp_path: Path) -> None:
    run = noisy.work(tmp_path / "none", NOISY)
    student = noisy.carry(run, "co-teaching")
    assert noisy.same(student, noisy.carry(noisy.work(tmp_path / "given", NOISY), "co-teaching", forget_rate=0.2))
    assert not run.warnings


def test_killed_in_the_middle_it_ends_as_one_never_killed(tmp_path: Path) -> None:
    options = noisy.LOOP.model_copy(update={"save_seconds": 0})

    def student(folder: str) -> dict[str, Tensor]:
        return noisy.weights(noisy.carry(noisy.work(tmp_path / folder, NOISY, options=options, dropout=0.5), "co-teaching"))

    whole = student("whole")
    noisy.killed_at(lambda: student("broken"), "student", save=13)
    assert all(torch.equal(value, whole[name]) for name, value in student("broken").items())
