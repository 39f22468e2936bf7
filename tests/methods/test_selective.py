"""selective: only the better half teaches, and the scout is the one that peer-advised uses."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.methods import noisy

NOISY = noisy.corrupted(noisy.LABELS)


def test_the_student_is_peer_adviseds_peer(tmp_path: Path) -> None:
    """Card: Selective KD returns S1. Same data, same start, and no scout is trained twice in one folder."""
    run = noisy.work(tmp_path, NOISY, gold=9)
    student = noisy.carry(run, "selective", keep=0.4)
    noisy.carry(run, "peer-advised", keep=0.4, gate="none")
    peer = run.fit("peer", run.fits["peer"].labelled)
    assert noisy.same(student, peer)
    assert len(list((tmp_path / "stages").glob("fit-scout-*"))) == 1


def test_keep_1_is_plain_distillation_bit_for_bit(tmp_path: Path) -> None:
    plain = noisy.carry(noisy.work(tmp_path / "plain", NOISY), "distill", targets="hard")
    assert noisy.same(noisy.carry(noisy.work(tmp_path / "ours", NOISY), "selective", keep=1), plain)


@pytest.mark.parametrize("epochs", [1, 2])
def test_what_is_kept_is_what_the_scout_finds_likely(tmp_path: Path, epochs: int) -> None:
    run = noisy.work(tmp_path, NOISY)
    noisy.carry(run, "selective", keep=0.25, scout_epochs=epochs, balance="none")
    scout = noisy.fit(tmp_path / "hand", "scout", run.fits["scout"].labelled, epochs)
    likely = [row[claim] for row, claim in zip(noisy.chances(scout, noisy.ITEMS), NOISY.tolist(), strict=True)]
    best = sorted(range(60), key=lambda row: -likely[row])[:15]
    learned = run.fits["student"].labelled
    assert learned.items.ids == tuple(noisy.ITEMS.ids[row] for row in sorted(best)), "in the pool's order"
    assert torch.equal(learned.targets, torch.eye(3)[NOISY[sorted(best)]]), "as the teachers told them"
