"""CA-MKD: the card's traps as tests, against loops written item by item in double precision."""

from __future__ import annotations

import math
import zlib
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from distrust import losses
from distrust.errors import RunError
from distrust.hints import Hinting, Hints
from distrust.methods.ca_mkd import CaMkd, ca_mkd
from distrust.methods.distill import Distill, distill
from distrust.processes import mix, seed
from distrust.recipe import Train
from distrust.store import load_tensors
from tests.methods import several_worlds as worlds
from tests.methods.several_worlds import panel, pictures, student

ITEMS, LABELS = pictures()
WHOLE = Train(num_train_epochs=1, per_device_train_batch_size=64, learning_rate=1e-2)  # one step, all items
TEMPERATURE = 4.0


def figures(folder: Path, teachers: list[Any], gold: int | None = None, **options: Any) -> dict[str, float]:
    """The parts of the loss at the initial weights: what the one step of one epoch reports."""
    with closing(worlds.run(folder, teachers, gold, options=WHOLE)) as work:
        ca_mkd(work, CaMkd(**options))
        (row,) = work.fits["student"].history
    return {name: value for name, value in row.items() if isinstance(value, float)}


def weights_of(folder: Path, teachers: list[Any], gold: int | None = None, **options: Any) -> dict[str, Tensor]:
    with closing(worlds.run(folder, teachers, gold)) as work:
        return {name: value.clone() for name, value in ca_mkd(work, CaMkd(**options)).module.state_dict().items()}


class Plain:
    """What a naive loop reads: initial student, teachers' answers and features, in double precision."""

    def __init__(self, teachers: list[Any]) -> None:
        said = [teacher.ask(ITEMS) for teacher in teachers]
        self.z = torch.stack([one.logits.dense() for one in said]).double()
        self.features = [one.features["feature"] for one in said]
        self.heads = [teacher.heads["feature"] for teacher in teachers]
        module = student(0).module.train()
        kept: list[Tensor] = []
        handle = module.get_submodule("body").register_forward_hook(lambda *given: kept.append(given[2]))
        with torch.no_grad(), torch.random.fork_rng():
            module.get_submodule("head.1").eval()  # without dropout: the test sets its chance to 0
            self.s = module(ITEMS.inputs).double()
        handle.remove()
        (self.feature,) = kept


@pytest.fixture
def no_dropout(monkeypatch: pytest.MonkeyPatch) -> None:
    """Students whose first step is a plain function of their weights."""

    def still(seed: int) -> Any:
        made = worlds.network(seed, 5, 3)
        made.get_submodule("head.1").p = 0.0  # type: ignore[assignment]
        return worlds.ModuleStudent(made, worlds.SPACE)

    monkeypatch.setattr(worlds, "student", still)


def cross_entropy(scores: list[float], label: int) -> float:
    return math.log(sum(math.exp(one) for one in scores)) - scores[label]


def softmax(scores: list[float], temperature: float = 1.0) -> list[float]:
    raw = [math.exp(one / temperature) for one in scores]
    return [one / sum(raw) for one in raw]


def by_hand(losses_: list[float]) -> list[float]:
    """Equation 2."""
    raw = [math.exp(one) for one in losses_]
    return [(1 - one / sum(raw)) / (len(raw) - 1) for one in raw]


# the equations


@pytest.mark.usefixtures("no_dropout")
def test_all_terms_are_those_of_a_naive_loop(tmp_path: Path) -> None:
    """Trap 6: item by item in double precision, maps of three sizes; with `official` exactly 1/M of both teachers' terms."""
    teachers = panel()
    plain = Plain(teachers)
    hints = Hints((5, 3, 3), [Hinting(f"t{k}", plain.features[k]) for k in range(3)], 0)
    with torch.no_grad():
        projected = hints.projected({"taps.feature": plain.feature})
        judged = [head(made).double() for head, made in zip(plain.heads, projected, strict=True)]
    count = len(ITEMS)
    logit = gold = inter = 0.0
    for item in range(count):
        label = int(LABELS[item])
        w = by_hand([cross_entropy(plain.z[k, item].tolist(), label) for k in range(3)])
        v = by_hand([cross_entropy(judged[k][item].tolist(), label) for k in range(3)])
        q = softmax(plain.s[item].tolist(), TEMPERATURE)
        for k in range(3):
            p = softmax(plain.z[k, item].tolist(), TEMPERATURE)
            logit -= w[k] * TEMPERATURE**2 * sum(a * math.log(b) for a, b in zip(p, q, strict=True)) / count
            gaps = (plain.features[k][item] - projected[k][item]).double().flatten().tolist()
            inter += v[k] * sum(gap**2 for gap in gaps) / len(gaps) / count
        gold += cross_entropy(plain.s[item].tolist(), label) / count
    found = figures(tmp_path / "equation", teachers, feature="body", gamma=0.5, alpha=2.0, beta=7.0)
    assert found["target"] == pytest.approx(logit, rel=1e-5) and found["gold"] == pytest.approx(gold, rel=1e-5)
    assert found["inter"] == pytest.approx(inter, rel=1e-5)
    assert found["loss"] == pytest.approx(0.5 * gold + 2 * logit + 7 * inter, rel=1e-5)
    official = figures(tmp_path / "official", teachers, feature="body", gamma=0.5, alpha=2.0, beta=7.0, scaling="official")
    assert official["loss"] == pytest.approx(0.5 * gold + (2 * logit + 7 * inter) / 3, rel=1e-5)
    assert {name: official[name] for name in ("target", "gold", "inter")} == {
        name: found[name] for name in ("target", "gold", "inter")
    }


@pytest.mark.parametrize("gold", [0, None])
def test_one_teacher_is_ordinary_distillation_bit_for_bit(tmp_path: Path, gold: int | None) -> None:
    """Trap 1: γ · cross-entropy to gold and α · T² · cross-entropy to the softened teacher, by hand, dropout and all."""
    (one,) = panel((4,))
    ours = weights_of(tmp_path, [one], gold, alpha=0.5)
    targets = (one.ask(ITEMS).logits.dense() / TEMPERATURE).softmax(-1)  # type: ignore[union-attr]
    model = student(0).module.train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0.0, fused=True)
    with torch.random.fork_rng():
        for step in range(4):
            order = torch.randperm(48, generator=torch.Generator().manual_seed(mix(0, step // 2, 1)))
            rows = order[step % 2 * 32 :][:32]
            optimiser.param_groups[0]["lr"] = 1e-2 * (1 - step / 4)
            optimiser.zero_grad()
            seed(0, step, 0, 0, zlib.crc32(b"student"))
            assert isinstance(ITEMS.inputs, Tensor)
            logits = model(ITEMS.inputs[rows])
            loss = 0.5 * TEMPERATURE**2 * nn.functional.cross_entropy(logits / TEMPERATURE, targets[rows])
            if gold is None:
                loss = loss + nn.functional.cross_entropy(logits, LABELS[rows])
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
    assert all(torch.equal(value, ours[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("weights", ["ca_mkd", "softmin", "reciprocal", "entropy", "alike", "auto"])
def test_one_teacher_without_gold_is_distill_at_that_temperature(tmp_path: Path, weights: str) -> None:
    one = panel((4,))
    ours = weights_of(tmp_path / "ours", one, gold=0, weights=weights)
    with closing(worlds.run(tmp_path / "theirs", one, gold=0)) as work:
        theirs = distill(work, Distill(temperature=TEMPERATURE)).module.state_dict()
    assert all(torch.equal(value, ours[name]) for name, value in theirs.items())


@pytest.mark.parametrize("weights", ["ca_mkd", "softmin", "reciprocal", "entropy", "alike", "auto"])
def test_equal_teachers_share_evenly_and_are_one(tmp_path: Path, weights: str) -> None:
    _, labels = pictures()
    module = worlds.taught(1, labels)
    same = [worlds.teacher(name, module) for name in ("x", "y", "z")]
    with closing(worlds.run(tmp_path / "three", same)) as work:
        ca_mkd(work, CaMkd(weights=weights))
        told = work.fits["student"].labelled
    weight = told.extra["weights"]
    assert isinstance(weight, Tensor) and torch.allclose(weight, torch.full((48, 3), 1 / 3), atol=1e-6)
    logits = same[0].ask(ITEMS).logits
    assert logits is not None
    assert torch.allclose(told.targets, (logits.dense() / TEMPERATURE).softmax(-1), atol=1e-6)


@pytest.mark.usefixtures("no_dropout")
@pytest.mark.parametrize("weights", ["ca_mkd", "auto"])
def test_the_order_of_teachers_changes_nothing(tmp_path: Path, weights: str) -> None:
    """Trap 2: also with features of three sizes, each projected from the student's original."""
    teachers = panel(swapped=(2,))
    found = [
        figures(tmp_path / str(turn), [teachers[place] for place in order], 12, feature="body", weights=weights)
        for turn, order in enumerate(([0, 1, 2], [2, 0, 1], [1, 2, 0]))
    ]
    for other in found[1:]:
        assert other == pytest.approx(found[0], rel=1e-4)


# gradients, modes, state


def test_teachers_stay_as_they_were_and_projections_move(tmp_path: Path) -> None:
    """Traps 4, 5 and 8: no gradient and no other mode for teachers; adapters are trained and saved."""
    teachers = panel()
    modules = [teacher._module.train() for teacher in teachers]
    before = [{name: value.clone() for name, value in module.state_dict().items()} for module in modules]
    with closing(worlds.run(tmp_path, teachers)) as work:
        ca_mkd(work, CaMkd(feature="body"))
        start = Hints((5, 3, 3), [Hinting(f"t{k}", teachers[k].ask(ITEMS).features["feature"]) for k in range(3)], 0)
        (kept,) = (work.folder / "stages").glob("*/objective-student.safetensors")
        saved = load_tensors(kept)
    for module, weights in zip(modules, before, strict=True):
        assert module.training and all(one.training for one in module.modules())
        assert all(torch.equal(value, weights[name]) for name, value in module.state_dict().items())
        assert all(one.requires_grad and one.grad is None for one in module.parameters())
    for name, value in start.projections.state_dict().items():
        assert not torch.equal(value, saved[name]), name


def test_weights_carry_no_gradient_unless_asked(tmp_path: Path) -> None:
    """Trap 4: v is detached; with `detach_weights: false` the student learns something else."""
    teachers = panel()
    detached = weights_of(tmp_path / "a", teachers, feature="body")
    through = weights_of(tmp_path / "b", teachers, feature="body", detach_weights=False)
    assert not torch.equal(detached["body.0.weight"], through["body.0.weight"])


def test_killed_and_resumed_it_ends_with_the_same_weights(tmp_path: Path) -> None:
    """Trap 8: projections come back with the student."""
    teachers = panel()
    short = Train(num_train_epochs=3, learning_rate=1e-2, save_seconds=0)
    with closing(worlds.run(tmp_path / "whole", teachers, options=short)) as work:
        whole = {name: value.clone() for name, value in ca_mkd(work, CaMkd(feature="body")).module.state_dict().items()}

    class Killed(Exception):
        pass

    def stop(name: str, done: int, total: int, parts: Any) -> None:
        if done < total:
            raise Killed

    with pytest.raises(Killed), closing(worlds.run(tmp_path / "cut", teachers, options=short, progress=stop)) as work:
        ca_mkd(work, CaMkd(feature="body"))
    with closing(worlds.run(tmp_path / "cut", teachers, options=short)) as work:
        again = ca_mkd(work, CaMkd(feature="body")).module.state_dict()
    assert all(torch.equal(value, whole[name]) for name, value in again.items())


# who is believed


def test_a_bad_minority_is_rejected_and_a_bad_majority_is_not(tmp_path: Path) -> None:
    """Trap 10, in weights: two of three that exchange classes keep half of CA-MKD's weight, and little of softmin's."""
    on_bad = {}
    for weights in ("alike", "ca_mkd", "softmin", "auto"):
        with closing(worlds.run(tmp_path / weights, panel(swapped=(1, 2)))) as work:
            ca_mkd(work, CaMkd(weights=weights))
            told = work.fits["student"].labelled
        exchanged = LABELS < 2
        mass = told.targets[exchanged]
        on_bad[weights] = 1 - float(mass.gather(-1, LABELS[exchanged].unsqueeze(-1)).mean())
    assert on_bad["alike"] > on_bad["ca_mkd"] + 0.05 > on_bad["softmin"] + 0.1
    assert on_bad["auto"] < on_bad["softmin"] + 0.05


def test_auto_reads_exchanged_classes_as_what_they_mean_and_says_so(tmp_path: Path) -> None:
    with closing(worlds.run(tmp_path, panel(swapped=(1, 2)))) as work:
        ca_mkd(work, CaMkd(weights="auto", temperature=1.0))
        told = work.fits["student"].labelled
        notes = " ".join(work.notes)
    assert "t1's 'a' as 'b', t1's 'b' as 'a', t2's 'a' as 'b' and 1 more are read so" in notes
    assert float((told.targets.argmax(-1) == LABELS).float().mean()) > 0.95
    weight = told.extra["weights"]
    assert isinstance(weight, Tensor) and float(weight.mean(0).min()) > 0.15  # all three are of use now


def test_items_without_gold_are_weighed_by_a_posterior_and_the_report_says_so(tmp_path: Path) -> None:
    with closing(worlds.run(tmp_path, panel(swapped=(1, 2)), gold=15)) as work:
        ca_mkd(work, CaMkd(weights="softmin"))
        told = work.fits["student"].labelled
        notes = " ".join(work.notes)
        assert (work.folder / "trust.json").is_file()
    assert "33 of 48 items have no gold label; a posterior of the trust `auto`, fitted on 15 gold labels" in notes
    label = told.extra["label"]
    assert isinstance(label, Tensor) and torch.equal(label[:15].argmax(-1), LABELS[:15]) and label[:15].max() == 1
    assert float((label.argmax(-1) == LABELS).float().mean()) > 0.9
    weight = told.extra["weights"]
    assert isinstance(weight, Tensor) and weight[LABELS < 2].mean(0)[0] > 0.6


@pytest.mark.parametrize("weights", ["ca_mkd", "auto"])
def test_without_gold_the_claims_alone_serve(tmp_path: Path, weights: str) -> None:
    with closing(worlds.run(tmp_path, panel(swapped=(2,)), gold=0)) as work:
        ca_mkd(work, CaMkd(weights=weights))
        assert any("fitted on the claims alone, since there is no gold" in note for note in work.notes)
        weight = work.fits["student"].labelled.extra["weights"]
    assert isinstance(weight, Tensor) and torch.allclose(weight.sum(-1), torch.ones(48))


def test_what_the_student_might_have_been_told_is_kept_for_the_report(tmp_path: Path) -> None:
    with closing(worlds.run(tmp_path, panel())) as work:
        ca_mkd(work, CaMkd())
        assert list(work.alternatives) == ["all alike", "without t0", "without t1", "without t2"]
        others = {name: build() for name, build in work.alternatives.items()}
        told = work.fits["student"].labelled
    for other in others.values():
        assert other.items.ids == told.items.ids and torch.allclose(other.targets.sum(-1), torch.ones(48))
        assert not torch.equal(other.targets, told.targets)


# bad input


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"feature": "bdy"}, r"The student has no module 'bdy' to take features from; did you mean 'body'\?"),
        (
            {"feature": "head.2.input"},
            r"The teacher t0: No projection leads from a student's feature \(45,\) to a teacher's",
        ),
    ],
)
def test_a_feature_that_does_not_exist_or_fit_is_refused(tmp_path: Path, options: Any, sentence: str) -> None:
    with closing(worlds.run(tmp_path, panel())) as work, pytest.raises(RunError, match=sentence):
        ca_mkd(work, CaMkd(**options))


def test_vectors_are_taken_from_maps_and_heads_are_needed(tmp_path: Path) -> None:
    _, labels = pictures()
    module = worlds.taught(1, labels)
    vector = worlds.teacher("vector", module, "head.2.input", ["head.2"])
    with closing(worlds.run(tmp_path / "a", [vector, *panel((2,))])) as work:
        ca_mkd(work, CaMkd(feature="body"))
        assert work.fits["student"].history[-1]["inter"] > 0
    headless = worlds.ModuleTeacher("headless", module, worlds.SPACE, features={"feature": "body"})
    with (
        closing(worlds.run(tmp_path / "b", [headless])) as work,
        pytest.raises(RunError, match="headless has a feature and no head"),
    ):
        ca_mkd(work, CaMkd(feature="body"))
    bare = worlds.ModuleTeacher("bare", module, worlds.SPACE)
    with closing(worlds.run(tmp_path / "c", [bare])) as work, pytest.raises(RunError, match="none of them keeps one"):
        ca_mkd(work, CaMkd(feature="auto"))


def test_losses_alone_are_public() -> None:
    """The same in anybody's loop: three lines."""
    from distrust import trust

    z = torch.randn(3, 5, 4)
    w = trust.label_weights(z, torch.randint(4, (5,)))
    assert losses.weighted_kl(torch.randn(5, 4), z, w, 4.0).shape == (5,)
