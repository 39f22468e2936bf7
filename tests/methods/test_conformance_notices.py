"""The conformance tests notice what they are there for: methods that break one rule each, and are distill otherwise."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor

from distrust import combine
from distrust.distillation import default_objective
from distrust.evaluate import final_claims
from distrust.gold import Gold
from distrust.labelled import from_targets
from distrust.methods import METHODS, Method
from distrust.methods.distill import Distill, distill
from distrust.objective import Batch, Objective, Term
from distrust.run import Run
from distrust.students import Student
from tests.methods import test_conformance as conformance
from tests.methods.test_conformance_one_teacher import ONE_TEACHER, Plain
from tests.methods.test_conformance_one_teacher import (
    test_one_teacher_is_plain_distillation_or_the_table_says_why_not as one_teacher,
)

repeatable = conformance.test_it_is_repeatable_durable_and_leaves_everything_as_it_was
stopped = conformance.test_stopped_anywhere_it_goes_on_and_ends_alike
order = conformance.test_the_order_of_teachers_changes_nothing


def notes_in_the_pool(run: Run, options: Distill) -> Student:
    run.pool.columns["note"][3].append("seen")
    return distill(run, options)


def corrects_gold(run: Run, options: Distill) -> Student:
    run.gold.labels[0] = 2 - run.gold.labels[0]
    return distill(run, options)


def sets_its_options(run: Run, options: Distill) -> Student:
    object.__setattr__(options, "gold_weight", 0.5)
    return distill(run, options)


def draws_from_the_global_state(run: Run, options: Distill) -> Student:
    with torch.random.fork_rng():
        return run.fit("student", run.with_gold(from_targets(run.pool, torch.rand(90, 3)), 1.0), options=options)


def remembers_by_heart(run: Run, options: Distill) -> Student:
    """What its loss counts is in no module of the objective, and so in no checkpoint."""
    told = run.with_gold(from_targets(run.pool, _votes(run)), options.gold_weight)
    steps: list[int] = []

    def rising(plain: Callable[[Tensor, Batch], Tensor], logits: Tensor, batch: Batch) -> Tensor:
        steps.append(1)
        return len(steps) * plain(logits, batch)

    terms = default_objective(told).terms
    terms = {**terms, "target": Term(partial(rising, terms["target"].loss))}
    return run.fit("student", told, Objective(terms), options)


def believes_the_first(run: Run, options: Distill) -> Student:
    first = run.teachers[0].ask(run.pool).distribution()
    return run.fit("student", run.with_gold(from_targets(run.pool, first), options.gold_weight), options=options)


def learns_the_vote(run: Run, options: Distill) -> Student:
    return run.fit("student", run.with_gold(from_targets(run.pool, _votes(run)), options.gold_weight), options=options)


def _votes(run: Run) -> Tensor:
    return combine.majority_vote(final_claims(run.stacked()), len(run.space))


@pytest.mark.parametrize(
    ("method", "test", "words"),
    [
        (notes_in_the_pool, repeatable, "so are the pool"),
        (corrects_gold, repeatable, "so are the pool"),
        (sets_its_options, repeatable, "so are the pool"),
        (draws_from_the_global_state, repeatable, "equal"),
        (remembers_by_heart, stopped, "equal"),
        (believes_the_first, order, "not close"),
        (learns_the_vote, one_teacher, "bit for bit"),
    ],
)
def test_it_notices(
    method: Callable[[Run, Distill], Student],
    test: Callable[[str, Path], None],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = method.__name__
    monkeypatch.setitem(METHODS, name, Method(method, Distill, name))
    monkeypatch.setitem(ONE_TEACHER, name, Plain())
    gold, pool = conformance.GOLD, conformance.POOL
    monkeypatch.setattr(conformance, "GOLD", Gold(gold.ids, gold.labels.clone(), gold.space))
    monkeypatch.setitem(pool.columns, "note", [list(one) for one in pool.columns["note"]])
    with pytest.raises(AssertionError, match=words):
        test(name, tmp_path)


def test_a_method_in_neither_table_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(ONE_TEACHER, "elr")
    with pytest.raises(AssertionError, match="say in ONE_TEACHER how elr of one teacher is distill, or why it is not"):
        one_teacher("elr", tmp_path)
