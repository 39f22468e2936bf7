"""Methods that doubt claims, where claims are texts: coins that people flip, and a teacher that miscounts some."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import torch

from distrust.answers import Answers
from distrust.claimed import final
from distrust.data import REFERENCE, Items
from distrust.errors import RunError
from distrust.evaluate.texts import likeness
from distrust.evidence import Evidence
from distrust.gold import Gold
from distrust.labels import OPEN
from distrust.methods import find
from distrust.methods.gates import _believed
from distrust.methods.voted import agreed, voted
from distrust.recipe import Answer, Train
from distrust.run import Run
from tests import worlds
from tests.methods import noisy
from tests.writers import flips, writer

COUNT = 100
PLAIN, ANSWERS = flips(COUNT, most=1)
TEXTS = tuple(f"{text} {row}" for row, text in enumerate(PLAIN.inputs))  # no two are copies
ITEMS = Items(PLAIN.ids, TEXTS, {REFERENCE: list(ANSWERS)})
HOW = Answers(Answer(kind="yes_no"))


def wrong(share: float, seed: int = 0) -> list[str]:
    """The teacher's texts: some tell the other answer."""
    draw = random.Random(seed)
    other = {"yes": "no", "no": "yes"}
    return [other[answer] if draw.random() < share else answer for answer in ANSWERS]


class Recalled:
    """A teacher that says what it is given."""

    name, keeps_answers, space = "llm", True, worlds.SPACE

    def __init__(self, texts: list[str]) -> None:
        self.fingerprint = " ".join(texts)
        self.said = HOW.evidence("llm", ITEMS.ids, [[text] for text in texts])

    def ask(self, items: Items) -> Evidence:
        return self.said.on(items.ids)


def work(folder: Path, texts: list[str], gold: int = 0) -> Run:
    return Run(
        folder,
        space=None,
        answers=HOW,
        pool=ITEMS,
        teachers=[Recalled(texts)],
        new_student=lambda seed: writer(wild=False, seed=seed),
        gold=Gold(ITEMS.ids[:gold], torch.zeros(gold, dtype=torch.long), OPEN),
        options=Train(num_train_epochs=16, learning_rate=1e-2, per_device_train_batch_size=8),
    )


@pytest.mark.parametrize(("method", "more"), [("selective", {}), ("peer-advised", {"gate": "none"})])
def test_balance_by_class_is_refused_of_texts_before_anybody_is_asked(tmp_path: Path, method: str, more: Any) -> None:
    run = work(tmp_path, wrong(0.2))
    found, options = find(method, {"balance": "per-class", **more})
    with pytest.raises(RunError, match=r"balance: per-class is of classes, and open answers have none; leave it out\."):
        found.run(run, options)
    assert run.heard() == []


def told(run: Run) -> dict[str, str]:
    """What the student was told, by item."""
    labelled = run.fits["student"].labelled
    assert labelled.texts is not None
    return {
        item: listed[int(row.argmax())]
        for item, listed, row in zip(labelled.items.ids, labelled.texts.answers, labelled.targets, strict=True)
    }


def right(run: Run) -> float:
    said = told(run)
    return sum(said[item] == answer for item, answer in zip(ITEMS.ids, ANSWERS, strict=True) if item in said) / len(said)


def test_the_papers_steps_over_texts(tmp_path: Path) -> None:
    """T_high are the texts most like the scout's; the others are told what the peer writes."""
    texts = wrong(0.2)
    run = work(tmp_path, texts)
    method, options = find("peer-advised", {"gate": "none", "scout_epochs": 6})
    method.run(run, options)
    scout = run.fit("scout", run.fits["scout"].labelled, epochs=6)
    claims = final(run.ask(scout, ITEMS), ITEMS)
    alike = likeness([None if claim is None else claim.text for claim in claims], [[text] for text in texts], "token_f1")
    order = sorted(range(COUNT), key=lambda row: (-float(alike[row]), ITEMS.ids[row]))
    high = {ITEMS.ids[row] for row in order[: COUNT // 2]}
    assert set(run.fits["peer"].labelled.items.ids) == high
    peer = run.fit("peer", run.fits["peer"].labelled)
    written = dict(zip(ITEMS.ids, final(run.ask(peer, ITEMS), ITEMS), strict=True))
    for item, text in zip(ITEMS.ids, texts, strict=True):
        advised = written[item]
        assert told(run)[item] == (text if item in high or advised is None else advised.text)
    run.close()


def test_gold_lets_a_peer_correct_a_teacher_that_errs_and_leaves_one_that_does_not(tmp_path: Path) -> None:
    texts = wrong(0.3)
    run = work(tmp_path / "errs", texts, gold=30)
    noisy.carry(run, "peer-advised")
    teacher = sum(text == answer for text, answer in zip(texts, ANSWERS, strict=True)) / COUNT
    assert right(run) > teacher + 0.03, "of texts that no peer has seen a copy of"
    assert "Where peers answer otherwise than the teachers on gold" in run.notes[0]
    good = work(tmp_path / "right", list(ANSWERS), gold=30)
    noisy.carry(good, "peer-advised", gate="gold")
    assert right(good) == 1.0


def test_a_gate_of_texts_has_no_scout_and_doubts_little_gold(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="scout_epochs belongs to the gates `none` and `halves`"):
        noisy.carry(work(tmp_path / "scout", wrong(0.3), gold=3), "peer-advised", scout_epochs=3)
    run = work(tmp_path / "few", wrong(0.3), gold=3)
    noisy.carry(run, "peer-advised")
    assert any("judged by 3 gold labels" in sentence for sentence in run.warnings)


def test_believing_is_by_part_and_by_whole_where_a_part_is_empty() -> None:
    seen = [(0.1, False, True)] * 6 + [(0.9, True, False)] * 6
    rule = _believed(seen)
    assert rule(torch.tensor([0.0, 0.4, 0.95])).tolist() == [False, False, True]
    assert _believed([])(torch.tensor([0.2, 0.8])).tolist() == [False, False], "nobody differed on gold: nothing is changed"
    assert _believed([(0.5, True, False)] * 5)(torch.tensor([0.2, 0.8])).tolist() == [True, True]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("selective", {"score": "match"}),
        ("selective", {"score": "rouge_l"}),
        ("mckd", {}),
        ("self-distillation", {}),
        ("peer-advised", {"gate": "halves"}),
    ],
)
def test_others_take_texts_too(tmp_path: Path, name: str, options: dict[str, Any]) -> None:
    run = work(tmp_path, wrong(0.2), gold=6)
    student = noisy.carry(run, name, **options)
    assert run.fits["student"].labelled.texts is not None and len(told(run)) >= COUNT // 2
    assert {claim.answer for claim in final(run.ask(student, ITEMS), ITEMS) if claim} <= {"yes", "no"}


@pytest.mark.parametrize("name", ["small-loss", "co-teaching", "elr"])
def test_those_that_need_classes_say_so_before_they_ask(tmp_path: Path, name: str) -> None:
    with pytest.raises(RunError, match="needs classes"):
        noisy.carry(work(tmp_path, wrong(0.2)), name)


def test_a_score_of_the_other_kind_is_refused_in_a_sentence(tmp_path: Path) -> None:
    run = work(tmp_path, wrong(0.2))
    pool = voted(run, texts=True)
    with pytest.raises(RunError, match=r"score: label_likelihood does not suit texts; .*match"):
        agreed(run, run.teachers[0].ask(ITEMS), pool, "label_likelihood")
    assert agreed(run, run.teachers[0].ask(ITEMS), pool, "match").tolist() == [1.0] * COUNT
    with pytest.raises(RunError, match="needs classes"):
        noisy.carry(work(tmp_path / "sure", wrong(0.2)), "self-distillation", confident=True)
    run.close()
