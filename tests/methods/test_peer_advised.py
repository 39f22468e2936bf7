"""peer-advised: the paper's six steps by hand, and the traps of its card."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from distrust.errors import RecipeError, RunError
from distrust.labelled import Labelled, from_targets
from distrust.methods import find
from tests.methods import noisy

NOISY = noisy.corrupted(noisy.LABELS)


def by_hand(folder: Path, claims: list[int], keep: float, dropout: float) -> tuple[dict[str, Any], set[str]]:
    """The algorithm with loops: its three students, and T_high's ids."""
    ids, pool = noisy.ITEMS.ids, from_targets(noisy.ITEMS, torch.eye(3)[claims])
    scout = noisy.fit(folder, "scout", pool, 2, dropout)
    likely = [row[claim] for row, claim in zip(noisy.chances(scout, noisy.ITEMS), claims, strict=True)]
    ranked = sorted(range(len(ids)), key=lambda row: (-likely[row], ids[row]))
    high = sorted(ranked[: round(keep * len(ids))])
    peer = noisy.fit(folder, "peer", pool.select(high), 3, dropout)
    said = noisy.claims(peer, noisy.ITEMS)
    advised = [claim if row in high else said[row] for row, claim in enumerate(claims)]
    student = noisy.fit(folder, "student", pool.told_as(torch.eye(3)[advised]), 3, dropout)
    return {"scout": scout, "peer": peer, "student": student, "advised": advised}, {ids[row] for row in high}


@pytest.mark.parametrize(("keep", "dropout"), [(0.5, 0.0), (0.5, 0.5), (0.3, 0.0)])
def test_it_is_the_papers_algorithm(tmp_path: Path, keep: float, dropout: float) -> None:
    """Each student starts afresh and is trained by the loop alone; with dropout, c is only right in eval mode (trap 7)."""
    hand, high = by_hand(tmp_path / "hand", NOISY.tolist(), keep, dropout)
    run = noisy.work(tmp_path / "run", NOISY, dropout=dropout)
    student = noisy.carry(run, "peer-advised", gate="none", keep=keep, balance="none")
    assert set(run.fits["peer"].labelled.items.ids) == high and len(high) == round(keep * 60)
    assert run.fits["student"].labelled.targets.argmax(-1).tolist() == hand["advised"]
    assert noisy.same(student, hand["student"])
    for name in ("scout", "peer"):  # the weights a stage kept are those of the student it trained, asked or not
        kept = run.fit(name, run.fits[name].labelled, epochs=2 if name == "scout" else None)
        assert noisy.same(kept, hand[name])


def told(run: Any) -> tuple[Labelled, Labelled]:
    return run.fits["peer"].labelled, run.fits["student"].labelled


# traps of the card


@pytest.mark.parametrize(("gold", "weight"), [(0, 0.0), (0, 1.0), (12, 1.0), (12, 5.0)])
def test_1_keep_1_is_plain_distillation_bit_for_bit(tmp_path: Path, gold: int, weight: float) -> None:
    plain = noisy.carry(noisy.work(tmp_path / "plain", NOISY, gold=gold), "distill", targets="hard", gold_weight=weight)
    ours = noisy.carry(
        noisy.work(tmp_path / "ours", NOISY, gold=gold), "peer-advised", gate="none", keep=1, gold_weight=weight
    )
    assert noisy.same(plain, ours)


def test_1_keep_0_is_refused_in_a_sentence() -> None:
    with pytest.raises(RecipeError, match=r"^The recipe's method\.options\.keep: .*greater than 0\.$"):
        find("peer-advised", {"keep": 0})


def test_1_a_share_of_no_item_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"keep: 0\.001 of 60 items is none"):
        noisy.carry(noisy.work(tmp_path), "peer-advised", gate="none", keep=0.001)


@pytest.mark.parametrize("score", ["label_likelihood", "match"])
def test_2_the_better_part_has_its_exact_size_ties_included(tmp_path: Path, score: str) -> None:
    run = noisy.work(tmp_path, NOISY)
    noisy.carry(run, "peer-advised", gate="none", score=score, keep=0.45)
    peer, student = told(run)
    assert len(peer) == round(0.45 * 60) and len(student) == 60


def test_2_all_ties_are_kept_where_asked_for(tmp_path: Path) -> None:
    run = noisy.work(tmp_path, NOISY)
    noisy.carry(run, "peer-advised", gate="none", score="match", balance="none", ties="all", keep=0.2)
    scout = run.fit("scout", run.fits["scout"].labelled, epochs=2)
    match = [one == claim for one, claim in zip(noisy.claims(scout, noisy.ITEMS), NOISY.tolist(), strict=True)]
    assert sum(match) > 12, "more than the share agree"
    assert set(told(run)[0].items.ids) == {one for one, kept in zip(noisy.ITEMS.ids, match, strict=True) if kept}


def test_3_the_peer_never_sees_a_doubted_label(tmp_path: Path) -> None:
    run = noisy.work(tmp_path / "a", NOISY)
    noisy.carry(run, "peer-advised", gate="none")
    peer, student = told(run)
    assert set(peer.items.ids) < set(student.items.ids)
    kept = student.items.rows(peer.items.ids)
    assert torch.equal(student.targets[kept], peer.targets), "and the student is told of T_high what the teachers claim"


def test_5_balanced_every_class_keeps_its_share(tmp_path: Path) -> None:
    skewed = torch.where(torch.arange(60) < 50, 0, NOISY)
    run = noisy.work(tmp_path, skewed)
    noisy.carry(run, "peer-advised", gate="none")
    for one in range(3):
        of = int((skewed == one).sum())
        count = int((told(run)[0].targets.argmax(-1) == one).sum())
        assert of // 2 <= count <= (of + 1) // 2


@pytest.mark.parametrize("reserve", [{}, {"prompt": 3, "trust": 4}])
@pytest.mark.parametrize("weight", [0.0, 2.0])
def test_6_gold_is_in_neither_half(tmp_path: Path, weight: float, reserve: dict[str, int]) -> None:
    run = noisy.work(tmp_path, NOISY, gold=12, reserve=reserve)
    noisy.carry(run, "peer-advised", gate="none", gold_weight=weight)
    for labelled in (*told(run), run.fits["scout"].labelled):
        claimed = [item for item, says in zip(labelled.items.ids, labelled.targets.any(-1).tolist(), strict=True) if says]
        assert not set(claimed) & set(run.gold.ids)
        gold = [item for item, label in zip(labelled.items.ids, labelled.labels.tolist(), strict=True) if label >= 0]
        assert set(gold) == (set(run.gold.part("train").ids) if weight else set())
    assert int(told(run)[0].targets.any(-1).sum()) == round(0.5 * 48)


def test_8_killed_after_the_split_it_ends_as_one_never_killed(tmp_path: Path) -> None:
    """Really killed, in the middle of the peer's training and again in the student's."""
    options = noisy.LOOP.model_copy(update={"save_seconds": 0})
    whole = noisy.work(tmp_path / "whole", NOISY, options=options, dropout=0.5)
    undisturbed = noisy.carry(whole, "peer-advised", gate="none")

    def do() -> None:
        noisy.carry(noisy.work(tmp_path / "broken", NOISY, options=options, dropout=0.5), "peer-advised", gate="none")

    noisy.killed_at(do, "peer", save=5)
    noisy.killed_at(do, "student", save=9)
    broken = noisy.work(tmp_path / "broken", NOISY, options=options, dropout=0.5)
    resumed = noisy.carry(broken, "peer-advised", gate="none")
    assert [one.key for one in told(broken)] == [one.key for one in told(whole)]
    assert noisy.same(undisturbed, resumed)
    stages = [sorted(path.name for path in (tmp_path / name / "stages").iterdir()) for name in ("whole", "broken")]
    assert stages[0] == stages[1], "nothing was done twice"


def share_right(claims: Tensor, folder: Path) -> tuple[float, float]:
    """How many claims are right: of all, and of T_high."""
    run = noisy.work(folder, claims, items=BIG, labels=BIG_LABELS)
    noisy.carry(run, "peer-advised", gate="none", balance="none")
    kept = BIG.rows(told(run)[0].items.ids)
    right = (claims == BIG_LABELS).double()
    return float(right.mean()), float(right[kept].mean())


BIG, BIG_LABELS = noisy.clusters(300)


def test_9_random_noise_is_found_and_structured_noise_is_not(tmp_path: Path) -> None:
    """A pair of classes that the teacher swaps consistently is as likely to the scout as what is right."""
    every, kept = share_right(noisy.corrupted(BIG_LABELS, 0.35), tmp_path / "random")
    assert kept > 0.95 > 0.75 > every
    swapped = torch.where(BIG_LABELS == 0, 1, torch.where(BIG_LABELS == 1, 0, BIG_LABELS))
    every, kept = share_right(swapped, tmp_path / "swapped")
    assert abs(kept - every) < 0.2, "keeping the likelier half finds nearly none of the swapped"


# what follows from the pool's order


def test_a_peer_that_agrees_leaves_plain_distillation_bit_for_bit(tmp_path: Path) -> None:
    items, labels = noisy.clusters(120, spread=0.1)
    ours = noisy.work(tmp_path / "ours", labels, items, labels, gold=9)
    plain = noisy.work(tmp_path / "plain", labels, items, labels, gold=9)
    assert noisy.same(noisy.carry(ours, "peer-advised", gate="none"), noisy.carry(plain, "distill", targets="hard"))
    assert len(ours.fits["peer"].labelled) < len(ours.fits["student"].labelled), "it was asked"
