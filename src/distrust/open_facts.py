"""The end of a run with open answers: everybody's texts brought to one list of answers an item, so that a page can count.

Knows that a claim is right where it is the item's reference, and how few items show how closely a student follows its
language models. Knows nothing of how it is shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from distrust.claimed import common, final
from distrust.data import REFERENCE, Items
from distrust.errors import RunError
from distrust.evaluate.following import read_alike, sampled
from distrust.evidence import Evidence, votes
from distrust.files import fingerprint, read_json, write_json
from distrust.gold import Gold
from distrust.labels import LabelSpace
from distrust.report.facts import Texts
from distrust.report.text import plain
from distrust.students.causal import CausalStudent, writer
from distrust.teachers.local_writer import LocalWriter

if TYPE_CHECKING:
    from distrust.labelled import Labelled
    from distrust.run import Run
    from distrust.students import Student

ITEMS, SAMPLES = 64, 3  # of a test set that a student is sampled on, and how often: what a report may cost


def open_facts(
    run: Run,
    heard: Sequence[Evidence],
    told: Labelled | None,
    said: Mapping[str, Evidence],
    on_test: Sequence[Evidence],
    test: Items | None,
    student: Student | None = None,
) -> dict[str, Any]:
    """The fields of `report.facts.Facts` that a label space decides, for open answers.

    Args:
        run: the run; heard: what each teacher said, of whatever it was asked.
        told: what the student learned from.
        said: each student's evidence on the test items; on_test: each teacher's.
        test: those items, or None.
        student: who is kept, and sampled beside the language models among the run's teachers; None: nobody is.

    Returns:
        Evidence, targets and predictions over one space: the reference, other answers by the order in which an item got
        them, and no answer. A class other than the reference means something within one item only.
    """
    assert run.answers is not None, "a run over classes has a label space of its own"
    gold = {item: run.answers.reference(text) for item, text in zip(run.gold.ids, _texts(run.gold_items), strict=True)}
    learned = [] if told is None else [_told(run, told)]
    pool = common([*heard, *learned], run.pool.ids, [gold.get(item) for item in run.pool.ids])
    judged = common(heard, run.gold.ids, [gold[item] for item in run.gold.ids])
    wanted = [] if test is None else [run.answers.reference(text) for text in _texts(test)]
    tested = [] if test is None else common([*said.values(), *on_test], test.ids, wanted)
    space = _space([*pool, *judged, *tested])
    pool, judged, tested = ([replace(one, space=space) for one in each] for each in (pool, judged, tested))
    found: dict[str, Any] = {
        "open_answers": True,
        "space": space,
        "evidence": pool[: len(heard)],
        "gold": Gold(run.gold.ids, run.gold.labels, space, run.gold.reserve, run.gold.seed) if len(run.gold) else None,
        "gold_evidence": judged,
        "targets": None if told is None else _targets(pool[-1], told, run.pool),
        "target_weight": None if told is None else _weight(told, run.pool),
        "test_labels": None if test is None else torch.zeros(len(test), dtype=torch.long),
        "predictions": {name: _chances(one, space) for name, one in zip(said, tested, strict=False)},
        "test_evidence": tested[len(said) :],
        "texts": None,
    }
    if test is not None:
        everybody = {**said, **{one.source: one for one in on_test}}
        claims = {name: [None if one is None else one.text for one in final(each, test)] for name, each in everybody.items()}
        found["texts"] = Texts(tuple(_texts(test)), claims, None if student is None else beside(run, writer(student), test))
    return found


def beside(run: Run, student: CausalStudent, test: Items) -> dict[str, Any] | None:
    """What a student samples of the first `ITEMS` test items, and how closely it follows its language models, as a stage.

    Returns:
        `evaluate.following.sampled` as plain values, with `items` `of` how many, `samples` and `temperature`; a teacher that
        cannot be compared, one of another tokenizer, has `left_out`, a sentence. None where no teacher is a language model
        of this process.
    """
    models = [one for one in run.teachers if isinstance(one, LocalWriter) and one.sampling is not None]
    if not models or not len(test):
        return None
    items = test.select(range(min(ITEMS, len(test))))
    wanted = _texts(items)

    def build(folder: Path) -> None:
        alike, silent = {}, {}
        for one in models:
            try:
                alike[one.name] = read_alike(one.name, one.model, student)
            except RunError as error:
                silent[one.name] = {"left_out": str(error)}
        found = plain(sampled(student, items, wanted, SAMPLES, alike))
        found["teachers"] |= silent
        about = {"items": len(items), "samples": SAMPLES, "temperature": 1.0}
        write_json(folder / "sampled.json", about | found)

    key = fingerprint(
        "sampled", student.key, items.key, list(wanted), SAMPLES, [(one.name, one.fingerprint) for one in models]
    )
    kept: dict[str, Any] = read_json(run.stages.done("sampled", key, build) / "sampled.json")
    return kept | {"of": len(test)}


def _texts(items: Items) -> list[str]:
    return items.columns.get(REFERENCE, [])


def _told(run: Run, told: Labelled) -> Evidence:
    """A training set as if a source had said it: each completion of weight above 0 is a sample."""
    assert run.answers is not None and told.texts is not None, "open answers are told as texts"
    known = set(run.pool.ids)
    rows = [row for row, item in enumerate(told.items.ids) if item in known]
    texts = [told.texts.answers[row] for row in rows]
    return run.answers.evidence("told", [told.items.ids[row] for row in rows], texts)


def _targets(said: Evidence, told: Labelled, pool: Items) -> Tensor:
    """What each pool item was told, over answers: (N, C); completions that give one answer add up."""
    row_of, place = {item: row for row, item in enumerate(pool.ids)}, {item: row for row, item in enumerate(told.items.ids)}
    targets = torch.zeros(len(pool), len(said.space))
    for column, item in enumerate(said.ids):
        for sample, share in enumerate(told.targets[place[item], : len(said.claims)].tolist()):
            claim = int(said.claims[sample, column])
            targets[row_of[item], claim] += share  # -1, a text without an answer, is the last column: no answer
    return targets


def _weight(told: Labelled, pool: Items) -> Tensor:
    weight = dict(zip(told.items.ids, told.weight.tolist(), strict=True))
    return torch.tensor([weight.get(item, 0.0) for item in pool.ids])


def _space(evidence: Sequence[Evidence]) -> LabelSpace:
    widest = max((len(one.space) for one in evidence), default=2)
    return LabelSpace(("reference", *(f"answer {place}" for place in range(1, widest)), "no answer"))


def _chances(said: Evidence, space: LabelSpace) -> Tensor:
    """A student's answers as a distribution (N, C): the shares of its samples, those without an answer included."""
    claims = torch.where(said.claims >= 0, said.claims, len(space) - 1)
    return votes(claims, len(space)) / len(claims)
