"""One method for both kinds of answers: Peer-Advised KD's six steps, written once, over classes and over texts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from distrust.answers import Answers
from distrust.claimed import agreement, told_by
from distrust.data import Items
from distrust.errors import RunError
from distrust.evidence import Evidence
from distrust.labelled import Labelled
from distrust.labels import LabelSpace
from distrust.recipe import Answer, Train
from distrust.run import Run
from distrust.students import Student
from distrust.students.sampling import Sampling
from tests import worlds
from tests.writers import flips, writer

ITEMS, ANSWERS = flips(24, most=1)
WRONG = {row: ("yes" if ANSWERS[row] == "no" else "no") for row in range(0, 24, 6)}
TEXTS = [WRONG.get(row, answer) for row, answer in enumerate(ANSWERS)]


class Recalled:
    """A teacher that says what it is given."""

    name, keeps_answers, fingerprint, space = "llm", True, "llm", worlds.SPACE

    def __init__(self, said: Evidence) -> None:
        self.said = said

    def ask(self, items: Items) -> Evidence:
        return self.said.on(items.ids)


@dataclass(frozen=True)
class Advised:
    student: Student
    told: Labelled
    doubted: Items
    said: Evidence  # the teacher
    peer: Evidence  # on the doubted items


def advised(run: Run, space: LabelSpace | None, keep: float = 0.5) -> Advised:
    """Scout, rank the claims, peer on the better part, relabel the rest, student: knows neither classes nor texts."""
    said = run.ask(run.teachers[0], run.pool)
    pool = told_by([said], run.pool, space)
    scout = run.fit("scout", pool, epochs=1)
    order = agreement(said, run.ask(scout, run.pool), run.pool).argsort(descending=True, stable=True)
    kept, doubted = order.split([round(keep * len(order)), len(order) - round(keep * len(order))])
    peer = run.fit("peer", pool.select(kept))
    rest = run.pool.select(doubted)
    advice = run.ask(peer, rest)
    told = pool.relabelled(told_by([advice], rest, space))
    return Advised(run.fit("student", told), told, rest, said, advice)


def check(found: Advised, run: Run, space: LabelSpace | None) -> None:
    """Each item is told, in the pool's order, the peer's claim if it is doubted, and else the teacher's."""
    doubted = set(found.doubted.ids)
    assert len(doubted) == len(run.pool) // 2 and found.told.items.ids == run.pool.ids
    for source, rows in (
        (found.peer, [row for row, item in enumerate(run.pool.ids) if item in doubted]),
        (found.said, [row for row, item in enumerate(run.pool.ids) if item not in doubted]),
    ):
        part = found.told.select(rows)
        wanted = told_by([source], part.items, space)
        width = min(part.targets.shape[1], wanted.targets.shape[1])
        assert torch.equal(part.targets[:, :width], wanted.targets[:, :width])
        if part.texts is not None and wanted.texts is not None:
            assert part.texts.answers == wanted.texts.answers
    assert run.fits["student"].labelled.key == found.told.key


def test_over_texts(tmp_path: Path) -> None:
    answers = Answers(Answer(kind="yes_no"))
    teacher = Recalled(answers.evidence("llm", ITEMS.ids, [[text] for text in TEXTS]))
    run = Run(
        tmp_path,
        space=None,
        answers=answers,
        pool=ITEMS,
        teachers=[teacher],
        new_student=lambda seed: writer(wild=False, seed=seed),
        options=Train(num_train_epochs=2, learning_rate=5e-3, per_device_train_batch_size=8),
    )
    found = advised(run, None)
    check(found, run, None)
    student = found.student
    several = run.ask(student, ITEMS, Sampling(samples=4, temperature=1.0))
    assert several.claims.shape == (4, 24) and several.source == "student"
    again = run.ask(student, ITEMS, Sampling(samples=4, temperature=1.0))
    assert again.texts == several.texts, "kept as a stage"
    assert run.ask(student, ITEMS, Sampling(samples=4, temperature=1.0, seed=1)).texts != several.texts
    run.close()


def test_over_classes(tmp_path: Path) -> None:
    items, labels = worlds.points(60)
    claims = torch.where(torch.arange(60) % 6 == 0, (labels + 1) % 3, labels)
    teacher = Recalled(Evidence("llm", items.ids, worlds.SPACE, claims[None]))
    run = Run(
        tmp_path,
        space=worlds.SPACE,
        pool=items,
        teachers=[teacher],
        new_student=worlds.student,
        options=Train(num_train_epochs=5, learning_rate=2e-2, per_device_train_batch_size=8),
    )
    check(advised(run, run.space), run, run.space)
    run.close()


def test_a_method_of_classes_is_refused_before_anybody_is_asked(tmp_path: Path) -> None:
    teacher = Recalled(Answers(Answer()).evidence("llm", [], []))
    teacher.ask = lambda items: pytest.fail("was asked")  # type: ignore[assignment, method-assign]
    run = Run(
        tmp_path, space=None, answers=Answers(Answer()), pool=ITEMS, teachers=[teacher], new_student=lambda _: writer()
    )
    with pytest.raises(RunError, match="needs classes"):
        run.stacked()
    run.close()
