"""self-distillation: a student relabels the whole pool, and another learns from that. Zhao 2023's "SD" and "SD w/ HC"."""

from __future__ import annotations

from pydantic import Field

from distrust.claimed import told_by
from distrust.methods.voted import GoldWeight, classes, voted
from distrust.recipe import Strict
from distrust.run import Run
from distrust.select import rows
from distrust.students import Student
from distrust.trust.distribution import confidence

SD_EPOCHS = 4  # after which the paper's student relabels; with high confidence its best validated checkpoint does


class SelfDistillation(Strict):
    """Options of self-distillation."""

    confident: bool = Field(False, description="keep only the items of above-mean confidence (the paper's SD w/ HC)")
    relabel_epochs: int | None = Field(
        None,
        gt=0,
        description="how long the relabelling student learns; default: 4, with `confident` as long as the student",
    )
    gold_weight: GoldWeight = 1.0


def self_distillation(run: Run, options: SelfDistillation) -> Student:
    """Train, relabel everything, keep what is confident if asked to, train anew."""
    pool = voted(run, texts=not options.confident)  # a text has no confidence to be above the mean of
    epochs = options.relabel_epochs or (None if options.confident else SD_EPOCHS)
    first = run.fit("first", run.with_gold(pool, options.gold_weight), epochs=epochs)
    said = run.ask(first, pool.items)
    pool = told_by([said], pool.items, classes(run))
    if options.confident:
        sure = confidence(said.distribution().double())  # (N,); in doubles equal ones are not below their mean
        pool = pool.select(rows(sure >= sure.mean()))
    return run.fit("student", run.with_gold(pool, options.gold_weight))
