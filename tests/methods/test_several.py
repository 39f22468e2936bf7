"""CA-MKD's relatives, and what methods of several teachers share."""

from __future__ import annotations

import math
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from distrust import combine, losses, trust
from distrust.data import Items
from distrust.errors import DataError, RecipeError, RunError
from distrust.evidence import Dense, Evidence
from distrust.gold import Gold
from distrust.labelled import Labelled
from distrust.labels import LabelSpace
from distrust.methods import METHODS, find
from distrust.methods.aekd import _agreed
from distrust.methods.mmkd import Meta, _looked_ahead, _matched
from distrust.methods.several import Several, lesson
from distrust.store import load_tensors
from tests.methods import several_worlds as worlds
from tests.methods.several_worlds import SPACE, panel, pictures

ITEMS, LABELS = pictures()
LOGITS = 2 * torch.randn(3, 48, 3, generator=torch.Generator().manual_seed(5))


class Said:
    """A teacher whose logits (N, C), or claims (N,) alone, are written down here."""

    keeps_answers = True

    def __init__(self, name: str, logits: Tensor | None, claims: Tensor | None = None, space: LabelSpace = SPACE) -> None:
        self.name, self.space, self.fingerprint, self.logits, self.claims = name, space, name, logits, claims

    def ask(self, items: Items) -> Evidence:
        rows = ITEMS.rows(items.ids)
        if self.logits is None:
            assert self.claims is not None
            return Evidence(self.name, items.ids, self.space, self.claims[rows][None])
        logits = self.logits[rows]
        spoke = (logits > -math.inf).any(-1)
        return Evidence(self.name, items.ids, self.space, torch.where(spoke, logits.argmax(-1), -1)[None], Dense(logits))


def said() -> list[Said]:
    return [Said(f"t{place}", logits) for place, logits in enumerate(LOGITS)]


def told(
    folder: Path, name: str, teachers: list[Any], gold: int | None = None, **options: Any
) -> tuple[Labelled, list[str]]:
    method, checked = find(name, options)
    with closing(worlds.run(folder, teachers, gold)) as work:
        method.run(work, checked)
        return work.fits["student"].labelled, work.notes


RELATIVES = ["averaged", "ebkd", "best-teacher", "aekd", "mmkd", "ca-mkd"]


# each relative is what its formula says


def test_averaged_losses_and_averaged_logits(tmp_path: Path) -> None:
    soft = (LOGITS / 4).softmax(-1)
    losses_, _ = told(tmp_path / "losses", "averaged", said())
    assert torch.allclose(losses_.targets, soft.mean(0), atol=1e-6)
    logits, _ = told(tmp_path / "logits", "averaged", said(), average="logits")
    centred = LOGITS.log_softmax(-1).mean(0)
    assert torch.allclose(logits.targets, (centred / 4).softmax(-1), atol=1e-6)


def test_ebkd_weighs_by_entropy(tmp_path: Path) -> None:
    found, _ = told(tmp_path, "ebkd", said())
    weights = trust.entropy_weights(LOGITS)
    assert torch.allclose(found.targets, (weights.unsqueeze(-1) * (LOGITS / 4).softmax(-1)).sum(0), atol=1e-5)


def test_the_best_teacher_on_gold_is_alone(tmp_path: Path) -> None:
    right = 3 * torch.nn.functional.one_hot(LABELS, 3).float()
    teachers = [Said("bad", LOGITS[0]), Said("good", right), Said("other", LOGITS[1])]
    found, notes = told(tmp_path, "best-teacher", teachers, gold=12)
    assert torch.allclose(found.targets, (right / 4).softmax(-1), atol=1e-6)
    assert any("learns from good alone" in note and "12 gold items" in note for note in notes)
    _, notes = told(
        tmp_path / "no-gold", "best-teacher", [Said("x", right), Said("y", right + 0.1), Said("z", LOGITS[0])], 0
    )
    assert any("since there is no gold to choose by" in note and "z alone" not in note for note in notes)


def test_aekd_combines_the_gradients_at_the_logits(tmp_path: Path) -> None:
    """Trap 9: one pass through the student, and shares that agree with the pure function on this very batch."""
    whole = worlds.Train(num_train_epochs=1, per_device_train_batch_size=64, learning_rate=1e-2)
    method, options = find("aekd", {"cap": 0.5})
    with closing(worlds.run(tmp_path, said(), options=whole)) as work:
        method.run(work, options)
        (row,) = work.fits["student"].history
    logits = torch.randn(48, 3, requires_grad=True)
    value = _agreed(4.0, 0.5, logits, {"logits": LOGITS.log_softmax(-1).transpose(0, 1)})
    gradients = torch.stack(
        [torch.autograd.grad(losses.forward_kl(logits, one, 4.0).mean(), logits)[0].flatten() for one in LOGITS]
    )
    shares = losses.least_combination(gradients, 0.5)
    by_hand = sum(share * losses.forward_kl(logits, one, 4.0) for share, one in zip(shares, LOGITS, strict=True))
    assert isinstance(by_hand, Tensor) and torch.allclose(value, by_hand, atol=1e-4)
    assert row["target"] > 0 and max(shares.tolist()) <= 0.5 + 1e-6


def test_aekd_with_one_teacher_and_with_silent_ones(tmp_path: Path) -> None:
    silent = LOGITS[0].clone()
    silent[10:20] = -math.inf
    for number, teachers in enumerate(([Said("one", LOGITS[0])], [Said("one", LOGITS[0]), Said("two", silent)])):
        found, _ = told(tmp_path / str(number), "aekd", teachers)
        assert len(found) == 48


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


def test_fitnet_holds_features_with_a_gradient_and_equal_weights(tmp_path: Path) -> None:
    method, options = find("fitnet-mkd", {"feature": "body"})
    longer = worlds.Train(num_train_epochs=12, learning_rate=1e-2)
    with closing(worlds.run(tmp_path, panel(), options=longer)) as work:
        method.run(work, options)
        first, *_, last = work.fits["student"].history
        kept = list((work.folder / "stages").glob("*/objective-student.safetensors"))
    assert len(kept) == 1 and last["hint"] < 0.9 * first["hint"]
    method, options = find("fitnet-mkd", {})
    with closing(
        worlds.run(tmp_path / "vectors", [worlds.teacher("v", worlds.taught(1, LABELS), "head.2.input", ["head.2"])])
    ) as work:
        method.run(work, options)  # `auto` on both sides: what goes into the last layer
        assert work.fits["student"].history[-1]["hint"] > 0


def test_without_hints_fitnet_is_averaged(tmp_path: Path) -> None:
    plain, _ = told(tmp_path / "a", "averaged", said())
    bare, _ = told(tmp_path / "b", "fitnet-mkd", said(), beta=0)
    assert torch.equal(plain.targets, bare.targets)


# what all of them share


@pytest.mark.parametrize("name", RELATIVES)
def test_gold_outside_the_pool_joins_and_counts_as_often_as_asked(tmp_path: Path, name: str) -> None:
    method, options = find(name, {"gold_weight": 3.0})
    pool = ITEMS.select(list(range(30)))
    gold = Gold(ITEMS.ids[24:36], LABELS[24:36], SPACE)
    gold_items = ITEMS.select(list(range(24, 36)))
    with closing(worlds.run(tmp_path, said(), pool=pool, gold=gold, gold_items=gold_items)) as work:
        method.run(work, options)
        found = work.fits["student"].labelled
    assert found.items.ids == ITEMS.ids[:36]
    assert found.labels.tolist() == [-1] * 24 + LABELS[24:36].tolist()
    assert found.weight.tolist() == [1.0] * 24 + [3.0] * 12
    label = found.extra["label"]
    assert isinstance(label, Tensor) and torch.equal(label[24:].argmax(-1), LABELS[24:36])


def test_gold_that_is_not_to_be_learned_from_only_serves_trust(tmp_path: Path) -> None:
    with closing(worlds.run(tmp_path, said(), gold=12)) as work:
        found = lesson(work, Several(gold_weight=0))
    assert bool((found.gold == -1).all()) and found.counted.tolist() == [1.0] * 48
    assert float(found.labels.amax()) < 1


@pytest.mark.parametrize("name", RELATIVES)
def test_teachers_of_fewer_classes_and_bare_claims_take_part(tmp_path: Path, name: str) -> None:
    two = 3 * torch.randn(48, 2, generator=torch.Generator().manual_seed(1))
    special = Said("special", two, space=LabelSpace(("c", "a")))
    claims = torch.where(torch.arange(48) < 40, LABELS, -1)
    teachers = [special, Said("claims", None, claims), Said("all", LOGITS[0])]
    found, _ = told(tmp_path, name, teachers, gold=20)
    heard = 40 if name == "best-teacher" else 48  # the best one is silent of the others
    assert torch.allclose(found.targets.sum(-1), (torch.arange(48) < heard).float(), atol=1e-5)
    if name == "ca-mkd":
        weight = found.extra["weights"]
        assert isinstance(weight, Tensor) and torch.allclose(weight.sum(-1), torch.ones(48), atol=1e-5)
        assert weight[:20][LABELS[:20] == 1, 0].max() == 0  # it does not know `b`
        assert weight[40:, 1].max() == 0  # it abstains


@pytest.mark.parametrize("name", RELATIVES)
def test_items_of_which_nobody_speaks_teach_nothing(tmp_path: Path, name: str) -> None:
    logits = LOGITS.clone()
    logits[:, 40:] = -math.inf
    found, _ = told(tmp_path, name, [Said(f"t{place}", one) for place, one in enumerate(logits)], gold=12)
    assert found.targets[40:].abs().max() == 0 and len(found.told()) == 40


@pytest.mark.parametrize("name", RELATIVES)
def test_gold_absent_is_said_and_one_teacher_needs_none(tmp_path: Path, name: str) -> None:
    _, notes = told(tmp_path / "three", name, said(), gold=0)
    assert any("fitted on the claims alone, since there is no gold" in note for note in notes)
    one, notes = told(tmp_path / "one", name, said()[:1], gold=0)
    assert torch.allclose(one.targets, (LOGITS[0] / 4).softmax(-1), atol=1e-5)
    assert "label" not in one.extra or name == "mmkd"
    assert not any("trust `auto`" in note for note in notes)


@pytest.mark.parametrize("name", RELATIVES)
def test_a_teacher_with_nan_is_refused_by_name(tmp_path: Path, name: str) -> None:
    broken = LOGITS[1].clone()
    broken[7, 1] = math.nan
    with pytest.raises(DataError, match="broken gave a non-finite logit for item 'p7'"):
        told(tmp_path, name, [*said()[:1], Said("broken", broken)])


@pytest.mark.parametrize("name", [*RELATIVES, "fitnet-mkd"])
def test_no_teacher_is_said(tmp_path: Path, name: str) -> None:
    with pytest.raises(RunError, match="names none"):
        told(tmp_path, name, [])


def test_nothing_to_learn_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="gamma and alpha are both 0"):
        find("averaged", {"gamma": 0, "alpha": 0})
    with pytest.raises(RunError, match="There is nothing to learn: no label and alpha 0"):
        told(tmp_path, "averaged", said()[:1], gold=0, alpha=0)


@pytest.mark.parametrize("name", RELATIVES)
def test_the_report_can_refit_what_might_have_been(tmp_path: Path, name: str) -> None:
    method, options = find(name, {})
    with closing(worlds.run(tmp_path, said())) as work:
        method.run(work, options)
        alike = work.alternatives["all alike"]()
        without = work.alternatives["without t1"]()
    soft = (LOGITS / 4).softmax(-1)
    assert torch.allclose(alike.targets, soft.mean(0), atol=1e-5)
    if name in ("averaged", "aekd", "mmkd"):
        assert torch.allclose(without.targets, soft[[0, 2]].mean(0), atol=1e-5)


def test_weighted_means_of_the_methods_are_those_of_combine() -> None:
    weights = trust.label_weights(LOGITS, LABELS)
    mean = combine.weighted_mean((LOGITS / 4).softmax(-1), weights)
    gradient = []
    for target in (mean, None):
        student = torch.zeros(48, 3, requires_grad=True)
        value = (
            losses.weighted_kl(student, LOGITS, weights, 4.0)
            if target is None
            else 16 * losses.cross_entropy(student / 4, target)
        )
        gradient.append(torch.autograd.grad(value.sum(), student)[0])
    assert torch.allclose(gradient[0], gradient[1], atol=1e-6)
    assert set(RELATIVES) <= set(METHODS)
