"""okd against the paper's equations, written naively, and every trap of a teacher that moves."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from distrust.errors import RecipeError, RunError
from distrust.evaluate.following import following, own_words
from distrust.low_rank import absent, attached
from distrust.methods import find
from distrust.methods.gkd import Gkd, gkd
from distrust.methods.okd import Okd, okd
from distrust.students import Student
from distrust.students.causal import load, writer
from tests.methods import tutored

ONE_STEP = tutored.LOOP.model_copy(update={"num_train_epochs": 1, "per_device_train_batch_size": 48})
OPTIONS = Okd(rank=4)


def weights(student: Student) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in student.module.state_dict().items()}


def learnt(folder: Path, options: Okd = OPTIONS, **more: object) -> dict[str, Tensor]:
    with tutored.opened(folder, tutored.teacher(), **more) as run:  # type: ignore[arg-type]
        return weights(okd(run, options))


def equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return all(torch.equal(value, other[name]) for name, value in one.items())


def test_the_first_step_is_the_plain_forward_divergence_whatever_alpha(tmp_path: Path) -> None:
    with tutored.opened(tmp_path / "gkd", tutored.teacher(), ONE_STEP) as run:
        plain = weights(gkd(run, Gkd(on_policy=0)))
    for alpha in (0.0, 0.25, 1.0):
        moved = learnt(tmp_path / str(alpha), Okd(alpha=alpha, rank=4), loop=ONE_STEP)
        assert equal(plain, moved), alpha


def follows(name: str, q: Tensor, p: Tensor) -> Tensor:
    """The student's divergence of each token, from log-probabilities (n, V), the teacher's taken as given."""
    p = p.detach()
    if name == "forward":
        return (p.exp() * (p - q)).sum(-1)
    if name == "reverse":
        return (q.exp() * (q - p)).sum(-1)
    middle = ((p.exp() + q.exp()) / 2).log()
    return ((p.exp() * (p - middle)).sum(-1) + (q.exp() * (q - middle)).sum(-1)) / 2


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"teacher_learning_rate": 5e-4},  # else both move at the student's rate
        {"divergence": "reverse", "every": 2},
        {"divergence": "jensen-shannon", "anchor": 0.7},
    ],
)
def test_both_sides_move_as_the_equations_say(tmp_path: Path, options: dict[str, Any]) -> None:
    loop = tutored.LOOP.model_copy(update={"num_train_epochs": 3, "per_device_train_batch_size": 48, "max_grad_norm": None})
    said = Okd(rank=4, alpha=0.4, **options)
    found, rate = learnt(tmp_path, said, loop=loop), said.teacher_learning_rate or 5e-3
    told = tutored.pool()
    student, teacher = tutored.student().module, tutored.teacher().model
    batch = tutored.student().encode_told(told, told.columns["completion"]).batch(torch.arange(48))
    labels = batch.pop("labels")
    counted = labels >= 0

    def read(module: Any) -> Tensor:
        """Log-probabilities (n, V) of the tokens that count."""
        logits: Tensor = module(**batch).logits[:, -labels.shape[1] :][counted]
        return logits.double().log_softmax(-1)

    with attached(teacher.module, 4, 2.0) as terms:
        mine = torch.optim.AdamW(student.parameters(), 5e-3, weight_decay=0.0)
        its = torch.optim.AdamW([one for own in terms for one in own.parameters()], rate, weight_decay=0.0)
        with absent(terms), torch.no_grad():
            original = read(teacher.module)
        for step in range(3):
            q, p = read(student), read(teacher.module)
            other = 0.4 * (q.detach().exp() * (q.detach() - p)).sum(-1).mean() + 0.6 * functional.nll_loss(
                p, labels[counted]
            )
            held = said.anchor * (original.exp() * (original - p)).sum(-1).mean()
            (follows(said.divergence, q, p).mean() + other + held).backward()
            for optimiser, own_rate in ((mine, 5e-3), (its, rate)):
                optimiser.param_groups[0]["lr"] = own_rate * (1 - step / 3)
                if optimiser is mine or step % said.every == 0:
                    optimiser.step()
                optimiser.zero_grad()
    for name, value in student.state_dict().items():
        torch.testing.assert_close(found[name], value, rtol=1e-3, atol=2e-5)


def test_the_teacher_is_afterwards_what_it_was(tmp_path: Path) -> None:
    asked = tutored.teacher()
    before = {name: value.clone() for name, value in asked.model.module.state_dict().items()}
    modules = len(list(asked.model.module.modules()))
    with tutored.opened(tmp_path, asked) as run:
        student = okd(run, OPTIONS)
        student.save(tmp_path / "kept")
    after = asked.model.module.state_dict()
    assert before.keys() == after.keys() and equal(before, after)
    assert len(list(asked.model.module.modules())) == modules
    assert all(one.requires_grad and one.grad is None for one in asked.model.module.parameters())
    assert not any(one._forward_hooks for one in asked.model.module.modules())
    assert equal(weights(student), load(tmp_path / "kept").module.state_dict()), "it is saved and loaded without the terms"


def test_a_kill_in_the_middle_changes_nothing(tmp_path: Path) -> None:
    whole = learnt(tmp_path / "whole")

    class Killed(Exception):
        pass

    def kill(*_: object) -> None:
        raise Killed

    saving = tutored.LOOP.model_copy(update={"save_seconds": 0.0})
    with tutored.opened(tmp_path / "cut", tutored.teacher(), saving) as run:
        run.progress = kill
        with pytest.raises(Killed):
            okd(run, OPTIONS)
    assert len(list((tmp_path / "cut").rglob("checkpoint.safetensors"))) == 1
    assert equal(whole, learnt(tmp_path / "cut", loop=saving))


def test_a_checkpoint_holds_of_the_teacher_only_what_is_trained(tmp_path: Path) -> None:
    from distrust.store import load_tensors

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with tutored.opened(tmp_path, tutored.teacher(), tutored.LOOP.model_copy(update={"save_seconds": 0.0})) as run:
        run.progress = stop
        with pytest.raises(KeyboardInterrupt):
            okd(run, OPTIONS)
    kept = load_tensors(next(tmp_path.rglob("checkpoint.safetensors")))
    of_teacher = [name for name in kept if name.startswith("model.teacher.")]
    assert of_teacher and all("low_rank" in name for name in of_teacher)


def test_a_teacher_that_is_pulled_too_far_is_named(tmp_path: Path) -> None:
    with tutored.opened(tmp_path, tutored.teacher(), tutored.LOOP.model_copy(update={"num_train_epochs": 6})) as run:
        okd(run, Okd(rank=8, alpha=1.0, teacher_learning_rate=2e-2))
        last = run.fits["student"].history[-1]
    assert last["drift"] > last["kl"] / 3 and any("lower alpha" in said for said in run.warnings)


def test_the_record_tells_the_original_teacher_from_the_adapted_one(tmp_path: Path) -> None:
    """Of each: on given texts, and on the student's own."""
    with tutored.opened(tmp_path, tutored.teacher()) as run:
        student = writer(okd(run, OPTIONS))
        rows = run.fits["student"].history
    last, items = rows[-1], tutored.pool()
    own = own_words(student, items, run.seed)
    for end, texts in (("", student.reader.completions(items.columns["completion"])[0]), ("_own_words", own)):
        found = following(student, tutored.teacher().model, items, texts)
        assert last[f"kl{end}"] == pytest.approx(found.kl, rel=1e-5)
        assert last[f"drift{end}"] > 0 and last[f"teacher_nll{end}"] != pytest.approx(found.teacher_nll, rel=1e-3)
    assert {"agreement", "kl_to_adapted", "divergence"} <= last.keys() and last["kl"] != last["kl_to_adapted"]
    assert not run.warnings


@pytest.mark.parametrize("cut", [{}, {"layers": 1, "store_trunk": True}])
def test_an_anchor_holds_the_teacher_back(cut: dict[str, object], tmp_path: Path) -> None:
    drift = {}
    for anchor in (0.0, 5.0):
        with tutored.opened(tmp_path / str(anchor), tutored.teacher()) as run:
            okd(run, Okd.model_validate({"rank": 4, "anchor": anchor, "teacher_learning_rate": 1e-2, **cut}))
            rows = run.fits["student"].history
        assert ("teacher.anchor" in rows[0]) == (anchor > 0)
        drift[anchor] = rows[-1]["drift"]
    assert drift[5.0] < drift[0.0] / 2


def test_a_teacher_in_half_the_memory_teaches_almost_the_same(tmp_path: Path) -> None:
    last = {}
    for kind in (torch.float32, torch.bfloat16):
        asked = tutored.teacher()
        asked.model.module.to(kind)
        with tutored.opened(tmp_path / str(kind), asked) as run:
            student = okd(run, OPTIONS)
            last[kind] = run.fits["student"].history[-1]
        assert {value.dtype for value in student.module.parameters()} == {torch.float32}
    for name in ("kl", "drift", "teacher_nll"):
        assert last[torch.bfloat16][name] == pytest.approx(last[torch.float32][name], rel=0.05), name


def test_a_teacher_whose_layers_run_again_teaches_the_same(tmp_path: Path) -> None:
    again = OPTIONS.model_copy(update={"gradient_checkpointing": True})
    assert equal(learnt(tmp_path / "once"), learnt(tmp_path / "again", again))


def test_a_resting_teacher_moves_on_every_nth_step_alone(tmp_path: Path) -> None:
    rare = learnt(tmp_path / "rare", Okd(rank=4, every=100))
    assert not equal(rare, learnt(tmp_path / "often"))
    with tutored.opened(tmp_path / "seen", tutored.teacher()) as run:
        okd(run, Okd(rank=4, every=100))
        assert "teacher.loss" in run.fits["student"].history[0] and "teacher.loss" not in run.fits["student"].history[1]


def test_refusals_are_sentences(tmp_path: Path) -> None:
    for options, sentence in (
        ({"alpha": 1.5}, "alpha: input should be less than or equal to 1."),
        ({"rank": 0}, "rank: input should be greater than 0."),
    ):
        with pytest.raises(RecipeError, match=sentence):
            find("okd", options)
    with tutored.opened(tmp_path / "a", tutored.teacher()) as run:
        with pytest.raises(RunError, match="no layer 'q_pro' to adapt; did you mean 'q_proj'"):
            okd(run, Okd(targets=["q_pro"]))
        with pytest.raises(RunError, match="has 2 layers and `layers` is 3; legal is 1 to 2"):
            okd(run, Okd(layers=3))
    with tutored.opened(tmp_path / "b", tutored.teacher()) as run:
        run.teachers = run.teachers[:1]
        with pytest.raises(RunError, match="one language model of `kind: causal`, and the teachers name none"):
            okd(run, OPTIONS)


def test_the_drift_that_is_warned_of_is_of_the_epoch_that_is_kept() -> None:
    rows = [{"epoch": epoch, "validation": value} for epoch, value in ((1, 0.5), (2, 0.3), (3, 0.3), (4, 0.4))]
    kept = sys.modules["distrust.methods.okd"]._kept
    assert kept(rows)["epoch"] == 2 and kept([{"epoch": row["epoch"]} for row in rows])["epoch"] == 4
