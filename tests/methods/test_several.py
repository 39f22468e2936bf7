"""What methods of several teachers share."""

from __future__ import annotations

import math
from contextlib import closing
from pathlib import Path

import pytest
import torch
from torch import Tensor

from distrust import combine, losses, trust
from distrust.errors import DataError, RecipeError, RunError
from distrust.gold import Gold
from distrust.labels import LabelSpace
from distrust.methods import METHODS, find
from distrust.methods.several import Several, lesson
from tests.methods import several_worlds as worlds
from tests.methods.several_worlds import SPACE
from tests.methods.written import ITEMS, LABELS, LOGITS, Said, said, told

RELATIVES = ["averaged", "ebkd", "best-teacher", "aekd", "mmkd", "ca-mkd"]


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
