"""distillm: its skew divergence, and when the student's own texts come."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from distrust.methods import METHODS
from distrust.methods.distillm import Distillm, Replay
from tests.methods import tutored
from tests.methods.followed import LOOP, WHOLE, close, naive
from tests.methods.test_conformance import weights


def test_distillm_without_own_texts_is_its_skew_divergence(tmp_path: Path) -> None:
    def loss(q: Tensor, p: Tensor, _: int) -> Tensor:
        p, q = p.softmax(-1), q.softmax(-1)
        return (q * (q / (0.9 * p + 0.1 * q)).log()).sum(-1).mean()

    with tutored.opened(tmp_path, tutored.teacher(), WHOLE) as run:
        found = weights(METHODS["distillm"].run(run, Distillm(tolerance=100)))
        kept = run.fits["student"].labelled.items
    close(found, naive(loss, kept))


def test_own_texts_come_when_the_held_out_loss_has_risen(tmp_path: Path) -> None:
    memory = Replay(Distillm(tolerance=0.1, rise=0.4), 4)
    memory.before.fill_(1.0)
    shares = []
    for loss in (1.05, 1.2, 1.25, 1.31, 2.0, 1.0):
        memory.judge(loss)
        shares.append(round(float(memory.share), 3))
    assert shares == [0.0, 0.4, 0.4, 0.8, 1.0, 1.0]
    with tutored.opened(tmp_path, tutored.teacher(), LOOP) as run:
        METHODS["distillm"].run(run, Distillm(start=0.5))
        rows = run.fits["student"].history
        assert any("texts are left out of training" in said for said in run.notes)
        assert len(run.fits["student"].labelled) == 48 - 4
    assert all(row["own_share"] >= 0.5 and row["held_out"] > 0 for row in rows)


def test_the_buffer_keeps_the_newest_and_gives_back_what_it_was_given() -> None:
    memory = Replay(Distillm(capacity=3), 4)
    memory.keep(torch.tensor([5, 6]), [[1, 2], [3]])
    assert not memory.full
    memory.keep(torch.tensor([7, 8]), [[4, 4, 4, 4], [9]])
    rows, texts = memory.drawn(3, torch.Generator().manual_seed(0))
    assert memory.full and dict(zip(rows.tolist(), texts, strict=True)) == {6: [3], 7: [4, 4, 4, 4], 8: [9]}
