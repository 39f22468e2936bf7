"""Accuracy against what it cost: the student that each stage of buying would have left, judged on the test items.

Knows what was learned and what had been said at the end of each stage. Does not know why anything was bought.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from distrust.claimed import final
from distrust.data import REFERENCE, Items
from distrust.evidence import Evidence
from distrust.labelled import Labelled
from distrust.recipe import Price
from distrust.report.facts import Buying

if TYPE_CHECKING:
    from distrust.run import Run
    from distrust.students import Student


@dataclass(frozen=True)
class Bought:
    """A run at the end of a stage of buying."""

    name: str  # of the fit, if the method made one of this very training set
    items: int  # that each teacher had been asked about
    labelled: Labelled  # what a student would learn then
    said: Sequence[Evidence]  # what teachers and assistant had said of anything, by then
    epochs: int | None = None  # of its fit; None: as the recipe has it


def buying(
    run: Run, students: Mapping[str, Student], test: tuple[Items, Tensor], prices: Mapping[str, Price]
) -> Buying | None:
    """Where each stage's student is right; None where nothing was bought in stages, or there is nothing to compare with.

    The last stage's student is the run's; the others are trained here, as it was. A student of gold alone, where the run has
    one, stands for nothing bought.
    """
    if not run.bought:
        return None
    found: list[tuple[int, float | None, int, Student]] = []
    if "gold-only" in students:
        found.append((0, 0.0, 0, students["gold-only"]))
    made = dict(run.fits)
    for one in run.bought[:-1]:
        student = run.fit(one.name, one.labelled, epochs=one.epochs)
        found.append((one.items, _money(run, one.said, prices), _calls(run, one.said), student))
    run.fits.clear()  # the report logs how the method learned, not how what it is compared with did
    run.fits.update(made)
    last = run.bought[-1]
    found.append((last.items, _money(run, last.said, prices), _calls(run, last.said), students["student"]))
    if len(found) < 2:
        return None
    items, money, calls, made_of_them = zip(*found, strict=True)
    return Buying(items, money, torch.stack([_right(run, student, *test) for student in made_of_them]), calls)


def _right(run: Run, student: Student, items: Items, labels: Tensor) -> Tensor:
    """On which items a student is right: (N,) bool."""
    said = run.ask(student, items)
    if run.answers is None:
        return said.distribution().argmax(-1) == labels
    pairs = zip(final(said, items), items.columns[REFERENCE], strict=True)
    return torch.tensor([one is not None and one.answer == run.answers.reference(text) for one, text in pairs])


def _paid(run: Run) -> set[str]:
    """Who is bought from in this run."""
    return {one.name for one in (*run.teachers, run.assistant) if one is not None and hasattr(one, "spending")}


def _calls(run: Run, said: Sequence[Evidence]) -> int:
    """How many answers were given: calls by the ledger, and of all others each claim, which was a call, or is as good."""
    paid = _paid(run)
    return sum(
        int(one.cost.calls.sum()) if one.source in paid and one.cost is not None else int((one.claims >= 0).sum())
        for one in said
    )


def _money(run: Run, said: Sequence[Evidence], prices: Mapping[str, Price]) -> float | None:
    """What was said had cost: by the ledger, or by the price of answers that were bought before; None where unknown."""
    paid = _paid(run)
    total = 0.0
    for one in said:
        price = prices[one.source].per_call
        if one.source in paid and one.cost is not None:
            total += float(one.cost.money.sum())
        elif price is not None:
            total += price * int((one.claims >= 0).any(0).sum())
        else:
            return None
    return total if total == total else None
