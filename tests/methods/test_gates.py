"""peer-advised's gates: what is relabelled is what gold, or the other half, speaks for."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from distrust.data import Items
from distrust.errors import RunError
from distrust.gold import Gold
from distrust.labels import LabelSpace
from distrust.methods import find
from distrust.modules import seeded
from distrust.run import Run
from distrust.students import Student
from distrust.students.module import ModuleStudent
from tests.methods import noisy

ITEMS, LABELS = noisy.clusters(240)
RANDOM = noisy.corrupted(LABELS, 0.4)
SWAPPED = torch.tensor([1, 0, 2])[LABELS]  # two classes exchanged: consistently, so that every student learns it


def told(run: object) -> torch.Tensor:
    """What the student was told of each pool item (N,); -1 where it was left out."""
    labelled = run.fits["student"].labelled  # type: ignore[attr-defined]
    said = dict(
        zip(
            labelled.items.ids,
            torch.where(labelled.labels >= 0, labelled.labels, labelled.targets.argmax(-1)).tolist(),
            strict=True,
        )
    )
    return torch.tensor([said.get(item, -1) for item in ITEMS.ids])


def right(run: object) -> float:
    """Share of what is told that is right."""
    said = told(run)
    return float((said == LABELS)[said >= 0].float().mean())


def test_gold_finds_errors_at_random_and_errors_by_system(tmp_path: Path) -> None:
    for name, claims in (("random", RANDOM), ("system", SWAPPED)):
        run = noisy.work(tmp_path / name, claims, ITEMS, LABELS, gold=30)
        student = noisy.carry(run, "peer-advised", gate="gold")
        assert right(run) > float((claims == LABELS).float().mean()) + 0.25, name
        assert noisy.accuracy(student, ITEMS, LABELS) > 0.9, name
        assert run.notes and "of 30 gold items the teachers are right on" in run.notes[0]
        said = told(run)[30:]
        changed = float((said[said >= 0] != claims[30:][said >= 0]).sum()) / len(said)
        left_out = float((said < 0).float().mean())
        assert f"tells {100 * changed:.0f} % of the items another" in run.notes[0]
        assert f"leaves {100 * left_out:.0f} % out" in run.notes[0]


def test_a_teacher_that_is_always_right_is_not_corrected(tmp_path: Path) -> None:
    run = noisy.work(tmp_path, LABELS, ITEMS, LABELS, gold=30)
    noisy.carry(run, "peer-advised")
    assert right(run) == 1.0


def test_gold_opens_the_gate_by_itself_and_without_it_the_paper_is_followed(tmp_path: Path) -> None:
    def student(name: str, gold: int, **options: object) -> object:
        return noisy.carry(noisy.work(tmp_path / name, RANDOM, ITEMS, LABELS, gold=gold), "peer-advised", **options)

    assert noisy.same(student("auto", 20), student("gold", 20, gate="gold"))  # type: ignore[arg-type]
    assert noisy.same(student("auto0", 0), student("none", 0, gate="none"))  # type: ignore[arg-type]


def test_no_peer_is_trained_on_gold_or_on_the_part_it_speaks_of(tmp_path: Path) -> None:
    run = noisy.work(tmp_path, RANDOM, ITEMS, LABELS, gold=20)
    noisy.carry(run, "peer-advised", gate="gold")
    rest = set(ITEMS.ids[20:])
    taught = {part: set(run.fits[f"scout-{part}"].labelled.items.ids) for part in "abcd"}
    spoken = {part: rest - taught[part] for part in "abcd"}
    assert set().union(*spoken.values()) == rest and sum(map(len, spoken.values())) == len(rest)
    assert all(ids <= rest for ids in taught.values())
    for part, ids in taught.items():
        assert set(run.fits[f"peer-{part}"].labelled.items.ids) <= ids
    gold = run.fits["student"].labelled.select(run.fits["student"].labelled.items.rows(ITEMS.ids[:20]))
    assert torch.equal(gold.labels, LABELS[:20]) and gold.weight.tolist() == [1.0] * 20


def test_copies_stand_in_one_part_and_nobody_learns_from_a_copy_of_gold(tmp_path: Path) -> None:
    doubled = torch.arange(240).roll(40) % 120  # each content twice; those of the 20 gold items once more in the pool
    items = Items(ITEMS.ids, ITEMS.inputs[doubled])
    run = noisy.work(tmp_path, RANDOM[doubled], items, LABELS[doubled], gold=20)
    noisy.carry(run, "peer-advised", gate="gold")
    copies = {item for item, content in zip(items.ids[20:], doubled[20:].tolist(), strict=True) if content in doubled[:20]}
    for part in "abcd":
        learned = run.fits[f"scout-{part}"].labelled.items
        contents = doubled[items.rows(learned.ids)].tolist()
        assert len(contents) == 2 * len(set(contents)) and not copies & set(learned.ids)
    assert copies & set(run.fits["student"].labelled.items.ids), "they are spoken of and told like any other"


def test_scouts_learn_for_longer_as_long_as_unseen_claims_become_more_probable(tmp_path: Path) -> None:
    def epochs(name: str, rate: float, most: int) -> int:
        loop = noisy.LOOP.model_copy(update={"learning_rate": rate, "num_train_epochs": most})
        run = noisy.work(tmp_path / name, RANDOM, ITEMS, LABELS, gold=20, options=loop)
        noisy.carry(run, "peer-advised", gate="gold")
        assert len({len(run.fits[f"scout-{part}"].history) for part in "bcd"}) == 1, "each part's alike"
        return len(run.fits["scout-b"].history)

    assert epochs("slow", 1e-3, 9) == 8, "no longer than the student"
    assert epochs("short", 1e-3, 3) == 2, "but never more briefly than it says"
    assert epochs("fast", 3e-1, 9) < 8


def test_as_many_are_told_as_are_estimated_right_of_every_class_alike(tmp_path: Path) -> None:
    run = noisy.work(tmp_path, RANDOM, ITEMS, LABELS, gold=20)
    noisy.carry(run, "peer-advised", gate="gold", gold_weight=0)
    labelled = run.fits["student"].labelled
    assert 110 < len(labelled) < 220, "not all are told: some are estimated wrong"
    assert bool((labelled.targets.amax(-1) == 1).all()) and bool((labelled.weight == 1).all())
    assert len(labelled.targets.argmax(-1).unique()) == 3


def test_the_student_is_told_of_the_trusted_what_the_peers_were(tmp_path: Path) -> None:
    """Peers are asked about the doubted rest alone: what the scouts' advice made of T_high stands."""
    run = noisy.work(tmp_path, RANDOM, ITEMS, LABELS, gold=20)
    noisy.carry(run, "peer-advised", gate="gold", gold_weight=0)
    student = run.fits["student"].labelled
    trusted = set()
    for name in ("peer-a", "peer-b", "peer-c", "peer-d"):
        high = run.fits[name].labelled
        assert torch.equal(student.select(student.items.rows(high.items.ids)).targets, high.targets)
        trusted |= set(high.items.ids)
    assert 110 <= len(trusted) < len(student), "half of the items at least, and not all that is told"


def test_halves_open_where_claims_err_at_random_and_shut_where_the_teacher_is_right(tmp_path: Path) -> None:
    opened = noisy.work(tmp_path / "open", RANDOM, ITEMS, LABELS)
    noisy.carry(opened, "peer-advised", gate="halves")
    shut = noisy.work(tmp_path / "shut", LABELS, ITEMS, LABELS)
    student = noisy.carry(shut, "peer-advised", gate="halves")
    assert shut.notes[0].startswith("The gate is shut") and right(shut) == 1.0
    plain = noisy.carry(noisy.work(tmp_path / "plain", LABELS, ITEMS, LABELS), "distill", targets="hard")
    assert noisy.same(student, plain), "a gate that stays shut leaves plain distillation, bit for bit"
    assert opened.notes[0].startswith("The gate is ")


def test_a_judge_without_gold_is_refused_and_one_with_little_is_doubted(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="gate: gold is judged on gold, and there is none"):
        noisy.carry(noisy.work(tmp_path / "none", RANDOM, ITEMS, LABELS), "peer-advised", gate="gold")
    run = noisy.work(tmp_path / "few", RANDOM, ITEMS, LABELS, gold=3)
    noisy.carry(run, "peer-advised")
    assert any("judged by 3 gold labels" in sentence for sentence in run.warnings)
    assert find("peer-advised", {})[1].model_dump()["gate"] == "auto"


def test_what_the_gate_leaves_unused_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="keep belongs to the gates `none` and `halves`; leave it out, or set gate: none"):
        noisy.carry(noisy.work(tmp_path, RANDOM, ITEMS, LABELS, gold=9), "peer-advised", keep=0.7)


def test_gold_that_no_teacher_speaks_of_is_held_against_nobody(tmp_path: Path) -> None:
    silent = RANDOM.clone()
    silent[:20] = -1
    run = noisy.work(tmp_path / "some", silent, ITEMS, LABELS, gold=40)
    noisy.carry(run, "peer-advised")
    assert "of 20 gold items the teachers are right on" in run.notes[0]
    with pytest.raises(RunError, match="No teacher says anything of a gold item"):
        noisy.carry(noisy.work(tmp_path / "none", silent, ITEMS, LABELS, gold=20), "peer-advised")


def test_a_pool_too_small_to_part_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="Gold trusts nothing that is said of one part of the 2 items"):
        noisy.carry(noisy.work(tmp_path / "two", RANDOM, ITEMS, LABELS, gold=238), "peer-advised")
    same = Items(ITEMS.ids, torch.ones(240, 2))
    for gate in ("gold", "halves"):
        with pytest.raises(RunError, match="items are all the same, so no peer can speak"):
            noisy.carry(noisy.work(tmp_path / gate, RANDOM, same, LABELS, gold=20), "peer-advised", gate=gate)
    copies = Items(ITEMS.ids, ITEMS.inputs[torch.arange(240) % 20])
    with pytest.raises(RunError, match="Each of the 220 items is a copy of a gold item"):
        noisy.carry(noisy.work(tmp_path / "copies", RANDOM, copies, LABELS, gold=20), "peer-advised")


def test_a_score_of_texts_is_refused_before_anybody_is_asked(tmp_path: Path) -> None:
    for name, options in (("selective", {}), ("peer-advised", {"gate": "none"})):
        run = noisy.work(tmp_path / name, RANDOM, ITEMS, LABELS)
        with pytest.raises(RunError, match="score: token_f1 does not suit classes"):
            noisy.carry(run, name, score="token_f1", **options)
        assert not list((tmp_path / name).glob("stages/*"))


def test_several_teachers_one_of_which_is_always_wrong(tmp_path: Path) -> None:
    teachers = [
        noisy.Said("good", ITEMS, noisy.corrupted(LABELS, 0.2)),
        noisy.Said("other", ITEMS, noisy.corrupted(LABELS, 0.3, 1)),
        noisy.Said("liar", ITEMS, (LABELS + 1) % 3),
    ]
    run = noisy.work(tmp_path, RANDOM, ITEMS, LABELS, gold=30, teachers=teachers)
    noisy.carry(run, "peer-advised", gate="gold")
    assert right(run) > 0.95, "what the liar means is known from gold"


def test_a_killed_run_goes_on_with_the_same_halves_peers_and_student(tmp_path: Path) -> None:
    options = noisy.LOOP.model_copy(update={"save_seconds": 0.0})

    def go() -> object:
        return noisy.carry(noisy.work(tmp_path / "run", RANDOM, ITEMS, LABELS, gold=20, options=options), "peer-advised")

    noisy.killed_at(go, "peer-b", 3)
    resumed = go()
    whole = noisy.carry(noisy.work(tmp_path / "whole", RANDOM, ITEMS, LABELS, gold=20, options=options), "peer-advised")
    assert noisy.same(resumed, whole)  # type: ignore[arg-type]


def test_it_is_shut_where_most_claims_of_many_classes_are_wrong_by_system(tmp_path: Path) -> None:
    """Each class is mostly taken for the next one, and gold shows few: students learn the error and agree with it."""
    classes, count, gold = 16, 640, 24
    draw = torch.Generator().manual_seed(1)
    labels = torch.arange(count) % classes
    angle = labels * 2 * torch.pi / classes
    inputs = 3 * torch.stack([angle.cos(), angle.sin()], 1) + 0.15 * torch.randn(count, 2, generator=draw)
    order = torch.randperm(count, generator=draw)
    items, labels = Items(tuple(f"p{row:03d}" for row in range(count)), inputs[order]), labels[order]
    claims = torch.where(torch.rand(count, generator=draw) < 0.65, (labels + 1) % classes, labels)
    space = LabelSpace(tuple(f"c{one:02d}" for one in range(classes)))

    def student(seed: int) -> Student:
        with seeded(seed):
            return ModuleStudent(nn.Sequential(nn.Linear(2, 48), nn.ReLU(), nn.Linear(48, classes)), space)

    teacher = noisy.Said("teacher", items, claims)
    teacher.space = space
    loop = noisy.LOOP.model_copy(update={"num_train_epochs": 8})
    chosen = Gold(items.ids[:gold], labels[:gold], space)

    def work(name: str) -> Run:
        folder = tmp_path / name
        return Run(folder, space=space, pool=items, teachers=[teacher], new_student=student, gold=chosen, options=loop)

    run = work("gate")
    found = noisy.carry(run, "peer-advised", gate="gold")
    assert run.notes and "The gate is shut, and the claims are told as they are: of 24 gold items" in run.notes[0]
    assert noisy.same(found, noisy.carry(work("plain"), "distill", targets="hard"))
