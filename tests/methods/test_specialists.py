"""Label sets that are disjoint, nested or overlap; what is told of them; and the baselines that merge them."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from distrust.data import Items
from distrust.errors import DataError, RunError
from distrust.evidence import Evidence
from distrust.gold import Gold
from distrust.labels import LabelSpace
from distrust.methods.concatenated import side_by_side
from distrust.methods.specialists import gather, told
from distrust.methods.uhc import Agreeing
from tests.methods import noisy
from tests.methods.specialist_worlds import ITEMS, LABELS, NAMES, SPACE, TEST, TEST_LABELS, teacher, trained, work


class Claims:
    """A recorded specialist: claims in its own classes, -1 abstains."""

    keeps_answers = True

    def __init__(self, names: str, claims: list[int]) -> None:
        self.name, self.space, self.claims = f"says {names}", LabelSpace(tuple(names)), torch.tensor(claims)
        self.fingerprint = f"{names}{claims}"

    def ask(self, items: Items) -> Evidence:
        return Evidence(self.name, items.ids, self.space, self.claims[ITEMS.rows(items.ids)][None])


def chances(names: str, items: Items = ITEMS) -> Tensor:
    with torch.no_grad():
        return trained(tuple(names))(items.inputs).softmax(-1)  # type: ignore[no-any-return]


@pytest.mark.parametrize("parts", [("abc", "def"), ("fbd", "cea"), ("abcd", "cdef"), ("abcdef", "ba"), ("a", "bcdef")])
def test_each_label_is_told_in_its_column(tmp_path: Path, parts: tuple[str, ...]) -> None:
    """Trap 4, for partitions that are not contiguous, that overlap, and that are nested."""
    here = gather(work(tmp_path, *parts))
    weights = torch.rand(2, len(ITEMS), generator=torch.Generator().manual_seed(0))
    wanted = torch.zeros(len(ITEMS), 6)
    for weight, part in zip(weights, parts, strict=True):
        for place, name in enumerate(part):
            wanted[:, NAMES.index(name)] += weight * chances(part)[:, place]
    torch.testing.assert_close(here.target(weights), wanted)
    assert here.known.tolist() == [[name in part for name in NAMES] for part in parts]
    assert here.adequate(torch.tensor([2, 0])).T.tolist() == [[name in part for part in parts] for name in "ca"]


def test_does_not_know_is_not_no(tmp_path: Path) -> None:
    """Trap 4: a class keeps all that its own teacher gives it, whatever others do not know."""
    here = gather(work(tmp_path, "abc", "def"))
    first = torch.tensor([[1.0], [0.0]]).expand(2, len(ITEMS))
    assert torch.equal(here.target(first)[:, :3], chances("abc"))
    logits = torch.zeros(len(ITEMS), 6, requires_grad=True)
    alone = torch.cat([here.members[0].logits, torch.full((len(ITEMS), 3), -torch.inf)], 1)
    loss = Agreeing([one.columns for one in here.members], 1.0)
    loss(logits, {"said": alone, "labels": torch.full((len(ITEMS),), -1)}).sum().backward()
    assert logits.grad is not None and bool((logits.grad[:, 3:] == 0).all()) and bool((logits.grad[:, :3] != 0).any())


def test_a_teachers_classes_that_the_task_lacks_are_left_out_and_the_rest_sums_to_one(tmp_path: Path) -> None:
    space = LabelSpace(tuple("abcd"))
    run = work(tmp_path, "abe", "fcd", space=space, gold=Gold((), torch.zeros(0, dtype=torch.long), space))
    here = gather(run)
    kept = chances("abe")[:, :2]
    torch.testing.assert_close(here.members[0].chances, kept / kept.sum(-1, keepdim=True), rtol=1e-4, atol=1e-6)
    assert here.members[1].columns.tolist() == [2, 3] and here.members[1].logits.shape[1] == 2


def test_claims_and_silence(tmp_path: Path) -> None:
    said = [0] * 100 + [-1] * 140
    here = gather(work(tmp_path, teachers=[Claims("ab", said), teacher("cdef")]))
    one = here.members[0]
    assert one.chances[0].tolist() == [1, 0] and one.chances[100].tolist() == [0, 0]
    assert one.logits[0].tolist() == pytest.approx([0, math.log(1e-4)]) and one.logits[100].tolist() == [-math.inf] * 2
    together = side_by_side(here, 1.0)
    torch.testing.assert_close(together.sum(-1), torch.ones(240))
    torch.testing.assert_close(together[100:, 2:], chances("cdef")[100:])


def test_gold_is_told_in_place_of_teachers_and_gold_outside_the_pool_joins(tmp_path: Path) -> None:
    items = Items((*ITEMS.ids[:4], *TEST.ids[:2]), torch.cat([ITEMS.inputs[:4], TEST.inputs[:2]]))  # type: ignore[arg-type]
    labels = torch.cat([LABELS[:4], TEST_LABELS[:2]])
    run = work(tmp_path, "abc", "def", gold_items=items, gold=Gold(items.ids, labels, SPACE))
    here = gather(run)
    assert here.items.ids == (*ITEMS.ids, *TEST.ids[:2])
    weights = torch.full((2, 242), 0.5)
    training = told(run, here, here.target(weights), 3.0, weights)
    assert training.labels[:4].tolist() == LABELS[:4].tolist() and training.labels[-2:].tolist() == TEST_LABELS[:2].tolist()
    assert bool((training.targets[:4] == 0).all()) and training.weight.unique().tolist() == [1, 3]
    assert training.extra["weights"].shape == (242, 2)
    none = told(run, here, here.target(weights), 0.0)
    assert none.weight.tolist() == [1] * 240 + [0, 0] and not none.has_labels


def test_what_no_teacher_knows_is_said(tmp_path: Path) -> None:
    run = work(tmp_path, "abc", "de")
    gather(run)
    assert run.warnings == ["No teacher knows 'f', and no gold shows that: the student is told nothing of it."]
    gold = Gold(TEST.ids[:6], TEST_LABELS[:6], SPACE)  # one of each class
    run = work(tmp_path / "gold", "abc", "de", gold_items=TEST.select(range(6)), gold=gold)
    gather(run)
    assert run.warnings == ["No teacher knows 'f': only gold does."]


def test_teachers_that_disagree_on_a_shared_class_are_named(tmp_path: Path) -> None:
    one, other = Claims("abc", [0, 1, 2] * 80), Claims("dab", [1, 2, 0] * 80)
    run = work(tmp_path / "a", teachers=[one, other])
    gather(run)
    assert not run.warnings[1:], "of the 160 items that both place in a or b they name the same"
    swapped = Claims("dba", [1, 2, 0] * 80)
    run = work(tmp_path / "b", teachers=[one, swapped])
    gather(run)
    assert "says abc and says dba share classes (a, b) and name different ones for 160 of the 160 items" in run.warnings[1]


def test_label_spaces_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no label in common with the task"):
        gather(work(tmp_path / "a", teachers=[Claims("xy", [0] * 240)]))
    aliased = Claims("ab", [0] * 240)
    space = LabelSpace(NAMES, {"x": "a"})
    aliased.space = LabelSpace(("a", "x"))
    with pytest.raises(DataError, match="two labels that mean the same class"):
        gather(work(tmp_path / "b", teachers=[aliased], space=space))
    with pytest.raises(RunError, match="asks teachers and the recipe names none"):
        gather(work(tmp_path / "c"))


@pytest.mark.parametrize(("method", "least"), [("concatenated", 0.75), ("padded-average", 0.6), ("uhc", 0.7)])
def test_the_baselines_learn_the_union(tmp_path: Path, method: str, least: float) -> None:
    student = noisy.carry(work(tmp_path, "abc", "def", gold=30), method)
    assert noisy.accuracy(student, TEST, TEST_LABELS) > least
