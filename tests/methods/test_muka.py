"""muka: its equations at the student's gradient, and traps 5, 8, 9 and 10 of the card."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from distrust.data import Items
from distrust.distillation import default_objective
from distrust.errors import RecipeError, RunError, TeacherError
from distrust.gold import Gold
from distrust.labelled import from_targets
from distrust.labels import LabelSpace
from distrust.methods import find
from distrust.methods.adequate import scored
from distrust.methods.muka import Muka
from distrust.methods.specialists import gather
from distrust.methods.who_knows import Scored
from distrust.trust.distribution import certainty
from tests.methods import noisy
from tests.methods.specialist_worlds import ITEMS, LABELS, NAMES, SPACE, TEST, TEST_LABELS, teacher, work
from tests.methods.test_specialists import Claims, chances

PARTS = ("abc", "def")


def training(folder: Path, *parts: str, gold: int = 0, **options: Any) -> tuple[Tensor, Tensor]:
    """The student's targets (N, C) and labels, as a run hands them to a fit."""
    run = work(folder, *(parts or PARTS), gold=gold)
    noisy.carry(run, "muka", **options)
    given = run.fits["student"].labelled
    return given.targets, given.labels


def test_hard_targets_are_the_surest_teachers_padded_and_weighed_by_its_lead(tmp_path: Path) -> None:
    found, _ = training(tmp_path, passes=16)
    run = work(tmp_path / "again", *PARTS)
    passes = [run.passes(one, ITEMS, 16).distribution() for one in run.teachers]
    for row in range(len(ITEMS)):
        sure = []
        for said in passes:
            p = said[row].double().tolist()
            sure.append(1 + sum(one * math.log(one) for one in p if one > 0) / math.log(3))
        best = sure.index(max(sure))
        wanted = [0.0] * 6
        wanted[3 * best : 3 * best + 3] = chances(PARTS[best])[row].tolist()
        lead = max(max(sure) - min(sure), 1e-6)
        assert found[row].tolist() == pytest.approx([lead * one for one in wanted], abs=1e-5)


def test_soft_targets_mix_by_tau_and_one_pass_is_the_released_code(tmp_path: Path) -> None:
    found, _ = training(tmp_path, target="soft", passes=1, margin=False, tau=0.5)
    sure = torch.stack([certainty(chances(part)) for part in PARTS])
    weights = (sure / 0.5).softmax(0)
    wanted = torch.cat([weights[0, :, None] * chances("abc"), weights[1, :, None] * chances("def")], 1)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-6)


def test_the_loss_is_the_mean_over_items_of_weighted_divergences(tmp_path: Path) -> None:
    """Equation 8, at its gradient: divided by the number of items, and not by the sum of their weights."""
    found, _ = training(tmp_path, score="entropy")
    lead = found.sum(-1)
    assert lead.min() < 0.2 < lead.max(), "weights really differ"
    logits = torch.randn(len(ITEMS), 6, generator=torch.Generator().manual_seed(0), requires_grad=True)
    batch = {"targets": found, "labels": torch.full((len(ITEMS),), -1), "weight": torch.ones(len(ITEMS))}
    default_objective(from_targets(ITEMS, found))(logits, batch)[0].backward()
    told = found / lead.unsqueeze(-1)
    wanted = lead.unsqueeze(-1) * (logits.detach().softmax(-1) - told) / len(ITEMS)
    assert logits.grad is not None
    torch.testing.assert_close(logits.grad, wanted, rtol=1e-4, atol=1e-7)


def test_normalised_margins_mean_one(tmp_path: Path) -> None:
    found, _ = training(tmp_path, score="entropy", normalise_margin=True)
    assert float(found.sum(-1).mean()) == pytest.approx(1, abs=1e-4)


def test_one_teacher_is_ordinary_distillation_bit_for_bit(tmp_path: Path) -> None:
    """Trap 5: q = p_1 and ω = 1."""
    one = noisy.carry(work(tmp_path / "a", "abcdef"), "muka")
    other = noisy.carry(work(tmp_path / "b", "abcdef"), "distill")
    assert noisy.same(one, other)


def test_a_teacher_of_one_class_is_certain(tmp_path: Path) -> None:
    """Trap 6."""
    here = gather(run := work(tmp_path, "a", "bcdef"))
    known = scored(run, here, "mc_entropy", 4)
    assert known.scores[0].tolist() == [1] * len(ITEMS) and bool(known.scores.isfinite().all())


def test_equal_scores_leave_items_counted_and_finite(tmp_path: Path) -> None:
    """Trap 8: two teachers that are the same network."""
    run = work(tmp_path, teachers=[teacher("abc"), ours := teacher("abc")])
    ours.name = "its twin"
    student = noisy.carry(run, "muka", score="entropy")
    found = run.fits["student"].labelled
    assert found.targets.sum(-1).tolist() == pytest.approx([1e-6] * len(ITEMS)) and len(found.told()) == len(ITEMS)
    assert all(bool(value.isfinite().all()) for value in noisy.weights(student).values())


@pytest.mark.parametrize("options", [{}, {"target": "soft", "score": "auto", "scouts": False}])
def test_the_order_of_teachers_and_of_classes_changes_nothing(tmp_path: Path, options: dict[str, Any]) -> None:
    """Trap 9."""
    first, labels = training(tmp_path / "a", "abc", "def", gold=60, **options)
    second, _ = training(tmp_path / "b", "def", "abc", gold=60, **options)
    torch.testing.assert_close(second, first, rtol=1e-3, atol=1e-4)
    renamed = LabelSpace(tuple(reversed(NAMES)))
    gold = Gold(ITEMS.ids[:60], 5 - LABELS[:60], renamed)
    run = work(tmp_path / "c", "abc", "def", space=renamed, gold=gold)
    noisy.carry(run, "muka", **options)
    third = run.fits["student"].labelled
    torch.testing.assert_close(third.targets.flip(1), first, rtol=1e-3, atol=1e-4)
    assert torch.equal(torch.where(third.labels < 0, -1, 5 - third.labels), labels)


def test_oracle_scores_are_the_oracles_choice(tmp_path: Path) -> None:
    """Trap 10."""
    here = gather(work(tmp_path, *PARTS))
    right = here.adequate(LABELS).float()
    found = here.target(Scored(right, odds=False).weights(hard=True, tau=0.2))
    wanted = torch.zeros(len(ITEMS), 6)
    for row, label in enumerate(LABELS.tolist()):
        part = label // 3
        wanted[row, 3 * part : 3 * part + 3] = chances(PARTS[part])[row]
    assert torch.equal(found, wanted)


@pytest.mark.parametrize("score", ["entropy", "energy", "max_logit", "neighbours", "mahalanobis", "disagreement", "auto"])
@pytest.mark.parametrize("target", ["hard", "soft"])
def test_every_score_trains_a_student_of_the_union(tmp_path: Path, score: str, target: str) -> None:
    teachers = [teacher(part, features={"hidden": "1"}) for part in PARTS]
    run = work(tmp_path, teachers=teachers)
    student = noisy.carry(run, "muka", score=score, target=target, passes=4)
    least = 0.5 if score in ("mahalanobis", "neighbours", "disagreement") else 0.7
    assert noisy.accuracy(student, TEST, TEST_LABELS) > least


def test_what_a_teacher_cannot_give_is_refused_in_a_sentence(tmp_path: Path) -> None:
    bare = [Claims("abc", [0] * 240), Claims("def", [0] * 240)]
    for name, score, words in (
        ("a", "mc_entropy", "says abc is no local model"),
        ("b", "energy", "says abc states no logits"),
        ("c", "neighbours", "set `feature: auto`"),
    ):
        with pytest.raises(RunError, match=words):
            noisy.carry(work(tmp_path / name, teachers=bare), "muka", score=score)
    with pytest.raises(TeacherError, match="no dropout above 0"):
        noisy.carry(work(tmp_path / "d", teachers=[teacher("abc", 0.0), teacher("def", 0.0)]), "muka")


def test_a_run_that_goes_on_asks_no_pass_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = noisy.carry(work(tmp_path, *PARTS), "muka", passes=4)
    again = work(tmp_path, *PARTS)
    for one in again.teachers:
        monkeypatch.setattr(one, "passes", noisy.Said)  # which would be told the wrong things, and refuse them
        monkeypatch.setattr(one, "ask", noisy.Said)
    assert noisy.same(first, noisy.carry(again, "muka", passes=4))


def test_the_preset_of_the_released_code_is_said_in_options() -> None:
    _, options = find("muka", {"target": "soft", "passes": 1})
    assert isinstance(options, Muka) and options.margin and options.tau == 0.2


def test_disagreement_of_one_pass_is_refused() -> None:
    with pytest.raises(RecipeError, match="score disagreement is between passes"):
        find("muka", {"score": "disagreement", "passes": 1})


def test_items_without_any_answer_are_left_out(tmp_path: Path) -> None:
    silent = [Claims("abc", [-1] * 40 + [0] * 200), Claims("def", [-1] * 240)]
    run = work(tmp_path, teachers=silent)
    noisy.carry(run, "muka", score="entropy")
    assert len(run.fits["student"].labelled.told()) == 200


def test_pools_of_one_item(tmp_path: Path) -> None:
    run = work(tmp_path, *PARTS, pool=Items(ITEMS.ids[:1], ITEMS.inputs[:1]))  # type: ignore[arg-type]
    assert noisy.carry(run, "muka", score="auto", target="soft").space == SPACE
