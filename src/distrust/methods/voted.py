"""What methods for teachers' mistakes begin with: the pool told by a vote, and what of it may be doubted.

Knows claims and gold. Does not know which of them a method doubts.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from distrust import combine
from distrust.errors import RunError
from distrust.evaluate import final_claims
from distrust.labelled import Labelled, from_targets
from distrust.run import Run

GoldWeight = Annotated[float, Field(ge=0, description="how many pool items a gold item counts as; 0: do not train on gold")]


def voted(run: Run) -> Labelled:
    """The pool's items of which somebody claims something, told the class that most teachers claim; gold is not used.

    Warns of claims from which nothing can be learned.

    Raises:
        RunError: fewer than two of them have no gold label.
    """
    targets = combine.majority_vote(final_claims(run.stacked()), len(run.space))
    pool = from_targets(run.pool, targets).told()
    if len(doubtable(run, pool)) < 2:
        raise RunError(
            f"The teachers claim something of {len(pool)} items, {len(doubtable(run, pool))} of them without gold; "
            "whom to doubt is learned from two at least."
        )
    said = (pool.targets > 0).any(0)
    if int(said.sum()) == 1:
        run.warn(
            f"The teachers claim {run.space.names[int(said.int().argmax())]!r} of every item: a student learns no other."
        )
    _warn_of_chance(run, pool)
    return pool


def doubtable(run: Run, pool: Labelled) -> Labelled:
    """The items of a pool that have no gold label: claims about the others are never ranked, so that gold can judge them."""
    known = set(run.gold.ids)
    return pool.select([row for row, item in enumerate(pool.items.ids) if item not in known])


def _warn_of_chance(run: Run, pool: Labelled) -> None:
    """Say so where gold in the pool shows claims to be no better than a guess."""
    part = run.gold.part("judge")
    label_of = dict(zip(part.ids, part.labels.tolist(), strict=True))
    rows = [row for row, item in enumerate(pool.items.ids) if item in label_of]
    right = sum(float(pool.targets[row, label_of[pool.items.ids[row]]]) for row in rows)
    if rows and right <= len(rows) / len(run.space):
        run.warn(
            f"The teachers are right on {right:.0f} of {len(rows)} gold items, no better than a guess among "
            f"{len(run.space)} classes: what a student learns early from them is no sign of truth either."
        )
