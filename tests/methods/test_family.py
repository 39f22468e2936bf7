"""The methods beside okd, against their formulas written naively, and their memory across a kill."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from distrust import checkpoint
from distrust.data import Items
from distrust.errors import RecipeError
from distrust.methods import METHODS, find
from distrust.methods.distillm import Distillm, Replay
from distrust.methods.taid import Schedule, Taid
from distrust.students.interleaved import interleaved
from tests.methods import tutored
from tests.methods.test_conformance import equal, weights

LOOP = tutored.LOOP.model_copy(update={"num_train_epochs": 3, "max_grad_norm": None})
WHOLE = LOOP.model_copy(update={"per_device_train_batch_size": 48})
OFTEN = {"start": 1.0, "capacity": 20}


def learnt(name: str, folder: Path, loop: object = LOOP, **options: object) -> dict[str, Tensor]:
    with tutored.opened(folder, tutored.teacher(), loop) as run:  # type: ignore[arg-type]
        return weights(METHODS[name].run(run, METHODS[name].options(**options)))


Naive = Callable[[Tensor, Tensor, int], Tensor]  # log-probabilities of student and teacher (n, V), and the step, to a loss


def naive(loss: Naive, told: Items | None = None, steps: int = 3) -> dict[str, Tensor]:
    """A student after some steps on all items, by whole logits in double precision."""
    told, student, teacher = told or tutored.pool(), tutored.student(), tutored.teacher().model.module
    batch = student.encode_told(told, told.columns["completion"]).batch(torch.arange(len(told)))
    labels = batch.pop("labels")
    counted = labels >= 0
    optimiser = torch.optim.AdamW(student.module.parameters(), 5e-3, weight_decay=0.0)
    for step in range(steps):
        q, p = (model(**batch).logits[:, -labels.shape[1] :][counted].double() for model in (student.module, teacher))
        loss(q, p.detach(), step).backward()
        optimiser.param_groups[0]["lr"] = 5e-3 * (1 - step / steps)
        optimiser.step()
        optimiser.zero_grad()
    return weights(student)


def close(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> None:
    """Where a gradient is all but zero, Adam makes a move of rounding: single numbers may differ a little more."""
    for name, value in wanted.items():
        apart = (found[name] - value).abs()
        assert float(apart.mean()) < 2e-6 and float(apart.max()) < 5e-4, name


def test_taid_is_its_formula(tmp_path: Path) -> None:
    share, momentum, losses = 0.3, 0.0, []

    def loss(q: Tensor, p: Tensor, step: int) -> Tensor:
        nonlocal share, momentum
        if step >= 2:
            momentum = 0.5 * momentum + 0.5 * (losses[-2] - losses[-1]) / losses[-2]
            risen = share + 0.9 * torch.tensor(momentum).sigmoid().item() * (1 - share)
            share = min(1.0, max(0.3 + 0.7 * (step - 1) / 3, risen))
        target = ((1 - share) * q.detach() + share * p).log_softmax(-1)
        value = (target.exp() * (target - q.log_softmax(-1))).sum(-1).mean()
        losses.append(value.item())
        return value

    loop = WHOLE.model_copy(update={"per_device_train_batch_size": 16, "gradient_accumulation_steps": 3})
    for place, one in enumerate((WHOLE, loop)):  # in micro-batches the loss is the whole step's
        found = learnt("taid", tmp_path / str(place), one, start=0.3, speed=0.9, inertia=0.5)
        share, momentum = 0.3, 0.0
        losses.clear()
        close(found, naive(loss))
    assert share > 0.6


def test_taid_of_a_whole_teacher_is_the_forward_divergence(tmp_path: Path) -> None:
    options = {"start": 0.99999, "end": 1.0}
    close(learnt("taid", tmp_path / "a", WHOLE, **options), learnt("gkd", tmp_path / "b", WHOLE, on_policy=0))


def test_the_share_rises_evenly_at_least_and_faster_where_the_loss_falls() -> None:
    for falling in (0.5, 1.0):
        schedule = Schedule(Taid(start=0.2, speed=0.5, inertia=0.0))
        shares = []
        for step in range(10):
            shares.append(float(schedule.now(torch.tensor(step / 10))))
            schedule.loss += falling**step
        even = [0.2, *(0.2 + 0.08 * max(step - 1, 0) for step in range(1, 10))]
        assert all(share >= least - 1e-6 for share, least in zip(shares, even, strict=True)) and shares[-1] <= 1
        last = shares[-1]
        assert last > even[-1]
        if falling == 0.5:
            faster = last
    assert faster > last


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


def test_both_write_the_text_of_speculative_kd() -> None:
    student, teacher, items = tutored.student(), tutored.teacher().model, tutored.pool(6)
    asked = student.encode(items).batch(torch.arange(6))
    keys = torch.arange(6)
    for top in (1, 60, 10_000):
        written, stood = interleaved(student, teacher, (asked, asked), keys, top)
        read = student.reader.continued(items, written).batch(torch.arange(6))
        labels = read.pop("labels")
        with torch.no_grad():
            said = teacher.module(**read).logits[:, -labels.shape[1] :]
        likelier = (said > said.gather(-1, labels.clamp(min=0).unsqueeze(-1))).sum(-1)
        assert written == interleaved(student, teacher, (asked, asked), keys, top)[0]
        assert max(map(len, written)) <= student.reader.max_completion_length
        alone = [interleaved(student, teacher, (one, one), keys[row : row + 1], top)[0] for row, one in apart(asked)]
        assert [one for (one,) in alone] == written, "a text does not depend on its batch"
        if top == 10_000:
            assert stood == 1
        else:
            assert stood < 1 and float(((likelier < top) & (labels >= 0)).sum()) >= stood * float((labels >= 0).sum())


def apart(asked: dict[str, Tensor]) -> list[tuple[int, dict[str, Tensor]]]:
    return [(row, {name: value[row : row + 1] for name, value in asked.items()}) for row in range(6)]


@pytest.mark.parametrize(
    ("name", "options"), [("distillm", OFTEN), ("taid", {"speed": 0.5}), ("speculative-kd", {"interleaved": 0.5})]
)
def test_a_kill_in_the_middle_of_an_epoch_changes_nothing(
    name: str, options: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saving = tutored.LOOP.model_copy(update={"save_seconds": 0.0})
    whole = learnt(name, tmp_path / "whole", saving, **options)
    real, saved = checkpoint.save, []

    def dying(*given: object) -> None:
        real(*given)  # type: ignore[arg-type]
        saved.append(1)
        if len(saved) == 4:  # in the second epoch
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save", dying)
        with pytest.raises(KeyboardInterrupt):
            learnt(name, tmp_path / "cut", saving, **options)
    assert equal(whole, learnt(name, tmp_path / "cut", saving, **options))


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("taid", {"start": 0.8, "end": 0.5}, "`end` is 0.5 and `start` 0.8; the teacher's share rises"),
        ("distillm", {"skew": 1.0}, "skew: input should be less than 1"),
        ("speculative-kd", {"top": 0}, "top: input should be greater than 0"),
    ],
)
def test_refusals_are_sentences(name: str, options: dict[str, object], sentence: str) -> None:
    with pytest.raises(RecipeError, match=sentence):
        find(name, options)
