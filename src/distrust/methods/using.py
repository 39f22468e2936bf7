"""What is learned of bought answers: dropped, weighed or routed by the signals of the student and the assistant.

Knows purchases and options. Knows nothing of budgets: an answer that is dropped was paid for all the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from distrust import adoption, selection
from distrust.claimed import agreement, told_by
from distrust.errors import RunError
from distrust.labelled import Labelled
from distrust.methods.assisted import Read, Signals
from distrust.methods.purchases import Purchase
from distrust.methods.voted import classes
from distrust.run import Run
from distrust.select import rows


class Using(Signals):
    """Options of what becomes of bought answers."""

    use: Literal["filter", "weigh", "route"] = Field(
        "filter",
        description="`filter` drops the answers that s3 doubts (R1), `weigh` counts them less (R2), `route` filters, and "
        "tells items that s1 and s2 are sure of the student's own answer, at no price (R3)",
    )
    threshold: Literal["quantile", "gold", "tried"] | float = Field(
        "quantile",
        description="of s3, below which an answer is dropped: `quantile` drops the share `drop` of each purchase; `gold`: "
        "best by the canaries, none where they do not show that s3 knows anything; `tried`: 0.5, or none where a student "
        "learns as well with the doubted ones, by answers that are held out; or a number, such as 0.5",
    )
    drop: float = Field(0.2, ge=0, lt=1, description="of `quantile`")
    conflict: bool = Field(
        True,
        description="drop an answer that is not the student's where s3 is below s2, both as the assistant said them; "
        "`route` has no such rule",
    )
    boost: float = Field(1.0, ge=0, description="γ of `weigh`: how much more an answer counts where s1 is low")
    most: float = Field(2.0, gt=0, description="the largest weight of `weigh`")
    sure: float = Field(0.9, ge=0, description="of `route`: the least s1 of an item that is told the student's own answer")
    agreed: float = Field(0.9, ge=0, description="of `route`: the least s2 of such an item")


def lesson(run: Run, options: Using, bought: Sequence[Purchase], said: Read | None = None) -> Labelled:
    """What is learned of everything bought, and by `route` of what the student is sure of (`said`), in the pool's order.

    Raises:
        RunError: nothing is left to learn from.
    """
    told = [_used(run, options, one) for one in bought]
    if options.use == "route" and said is not None and said.consistency is not None and said.in_student is not None:
        routes = adoption.route(said.consistency, said.in_student, None, options.sure, options.agreed, 0.0)
        own = told_by([said.said], said.items, classes(run)).select(rows(routes == adoption.STUDENT)).told()
        free = set(own.items.ids)
        kept = [[row for row, item in enumerate(one.items.ids) if item not in free] for one in told]
        told = [*(one.select(index) for one, index in zip(told, kept, strict=True)), own]
        run.note(f"{len(own)} items are told the student's own answer, of which s1 and s2 are sure; that cost nothing.")
    told = [one for one in told if len(one)]
    if not told:
        raise RunError(_nothing(options, bought))
    whole = told[0]
    for one in told[1:]:
        whole = whole + one
    row_of = {item: row for row, item in enumerate(run.pool.ids)}
    return whole.select(sorted(range(len(whole)), key=lambda row: row_of[whole.items.ids[row]]))


def _used(run: Run, options: Using, one: Purchase) -> Labelled:
    """Of one purchase the answers that are learned from, weighed."""
    told = told_by([one.said], one.items, classes(run))
    spoken = told.targets.sum(-1) > 0
    told, one = told.select(rows(spoken)), one.select(rows(spoken))
    if not len(told):
        return told
    if options.use == "weigh":
        s1 = None if one.read is None else one.read.consistency
        s3 = torch.full((len(told),), torch.nan) if one.in_teacher is None else one.in_teacher
        weight = (
            adoption.soft_weight(s3, s1, options.boost, options.most) if bool((s3 != 0).any()) else torch.zeros(len(told))
        )
        told, kept = replace(told, weight=weight.to(told.weight)), weight > 0
    else:
        kept = _believed(run, options, one)
    s2 = None if one.read is None else one.read.as_read
    if options.conflict and options.use != "route" and one.read is not None and s2 is not None and one.as_read is not None:
        # as the assistant said both: gold may have calibrated one of them alone
        kept &= adoption.stands(agreement(one.said, one.read.said, one.items) == 1, one.as_read, s2)
    return told.select(rows(kept))


def _believed(run: Run, options: Using, one: Purchase) -> Tensor:
    """Equation A4: which answers s3 leaves, (n,) bool; all where it is off. Where it has no say, it drops nothing.

    Of equally doubted answers a hash of seed and id decides which are dropped; where all are doubted alike, none is.
    """
    everything = torch.ones(len(one.items), dtype=torch.bool)
    if one.in_teacher is None or options.threshold == "tried":  # until it has been tried, nothing is dropped
        return everything
    if options.threshold == "quantile":
        s3 = one.in_teacher.nan_to_num(2.0)
        if bool((s3 == s3[0]).all()):
            if options.drop:
                run.note("s3 is the same of every answer of a purchase, so it drops none of them.")
            return everything
        keep = len(s3) - round(options.drop * len(s3))
        kept = torch.zeros(len(s3), dtype=torch.bool)
        kept[selection.ranked(s3, one.items.ids, keep, run.seed)] = True
        return kept
    if options.threshold == "gold":
        if one.threshold is None:
            run.note("The canaries have not shown that s3 tells right answers from wrong ones, so it drops none.")
            return everything
        return ~(one.in_teacher < one.threshold)
    return ~(one.in_teacher < options.threshold)


def _nothing(options: Using, bought: Sequence[Purchase]) -> str:
    """Why there is nothing to learn from."""
    count = sum(len(one.items) for one in bought)
    if not any(bool((one.said.claims >= 0).any()) for one in bought):
        return f"The teachers gave no usable answer to the {count} items that were bought; look at what they say."
    doubted = [one.in_teacher for one in bought if one.in_teacher is not None]
    best = f"{float(torch.cat(doubted).nan_to_num(0.0).max()):.3g}" if doubted else "unknown"
    return (
        f"None of the {count} bought answers is used: the assistant's highest confidence in one is {best}, the threshold is "
        f"{options.threshold}; lower it, or set drop, or use: weigh."
    )
