"""ca-mkd: confidence-aware multi-teacher distillation. Zhang, Chen and Wang 2022 (arXiv 2201.00007).

Each teacher counts item by item by its cross-entropy with the label, and its feature by how well the student's own,
projected into the teacher's space, works in the teacher's head. `weights: auto` goes beyond the paper.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from distrust import trust
from distrust.hints import Hints
from distrust.methods.hinted import FEATURE, Hinted, hints
from distrust.methods.several import Lesson, also, lesson, objective
from distrust.objective import Batch, Objective, Term
from distrust.run import Run
from distrust.students import Student
from distrust.trust.reliability import Reliability, reliability

Weigh = Callable[[Tensor, Tensor], Tensor]  # logits (M, *items, C) and labels (*items, C) to weights (M, *items)
SHOWN = 3  # teachers or classes that a sentence names


class CaMkd(Hinted):
    """Options of ca-mkd."""

    weights: Literal["ca_mkd", "softmin", "reciprocal", "entropy", "alike", "auto"] = Field(
        "ca_mkd",
        description="of teachers: `ca_mkd` the paper's, (1 - softmax(CE)) / (M - 1); `softmin` softmax(-CE); `reciprocal` "
        "1 / (1 + CE); `entropy` by how sure they are; `alike`; `auto` softmin of the claims as gold reads them, times how "
        "right each is in the class",
    )
    scaling: Literal["equation", "official"] = Field(
        "equation", description="`official`: divides both terms of the teachers by M once more, as the authors' code does"
    )
    detach_weights: bool = Field(
        True, description="false: a gradient flows through the hints' weights, as in the authors' code"
    )


def ca_mkd(run: Run, options: CaMkd) -> Student:
    """γ · CE(label) + α · Σ_k w_k T² · KL(teacher k ‖ student) + β · Σ_k v_k · mean (F_k - r_k(F_S))²."""
    here = lesson(run, options)
    found = reliability(here.logits, here.labels) if options.weights == "auto" else None
    weights = _rule(options, found)(here.logits, here.labels)  # w, equation 2
    official = options.scaling == "official"
    said, here = here, here if found is None else _as_read(run, here, found)
    also(run, here, weights, options.temperature, said)
    places, held, path = hints(run, here, options, heads=True)
    told = here.told(here.mean(weights, options.temperature), weights)
    alpha = options.alpha * (_official(options, len(weights)) if official else 1.0)
    whole = objective(told, options.model_copy(update={"alpha": alpha}))  # equations 3 and 6
    if held is not None:
        told = replace(told, extra={**told.extra, "label": here.labels, **held.extra})
        judge = _rule(options, None if found is None else found.of(places))
        inter = Term(partial(_inter, held, judge, options.detach_weights), options.beta / (len(places) if official else 1))
        whole = Objective({**whole.terms, "inter": inter}, held.projections, {FEATURE: path}, held.heads)
    return run.fit("student", told, whole, options)


def _inter(held: Hints, judge: Weigh, detach: bool, _: Tensor, batch: Batch) -> Tensor:
    """Equations 4 and 5: the student's own feature, as each teacher sees it, to (n,)."""
    projected = held.projected(batch)  # r_k(F_S), all from the same F_S
    weights = judge(held.judged(projected), batch["label"])  # v
    return ((weights.detach() if detach else weights) * held.errors(projected, batch)).sum(0)


def _rule(options: CaMkd, found: Reliability | None) -> Weigh:
    """How teachers are weighed."""
    if found is not None:
        return found.weights
    if options.weights == "alike":
        return lambda logits, labels: trust.label_weights(logits, torch.zeros_like(labels))
    if options.weights == "entropy":
        return lambda logits, labels: trust.entropy_weights(logits)
    return partial(trust.label_weights, rule=options.weights)


def _official(options: CaMkd, teachers: int) -> float:
    """What the authors' code makes of α: weights by label once more over M, EBKD's over M for M - 1, AVER's as they are."""
    return {"alike": 1.0, "entropy": (teachers - 1) / teachers}.get(options.weights, 1 / teachers)


def _as_read(run: Run, here: Lesson, found: Reliability) -> Lesson:
    """The lesson with every claim as what it means; the report says which mean another class, and who has little say."""
    names = here.stacked.sources
    classes = run.space.names
    changed = [
        f"{names[teacher]}'s {classes[claim]!r} as {classes[int(found.meaning[teacher, claim])]!r}"
        for teacher in range(len(names))
        for claim in range(len(classes))
        if int(found.meaning[teacher, claim]) != claim
    ]
    if changed:
        more = f" and {len(changed) - SHOWN} more" if len(changed) > SHOWN else ""
        run.note(f"Labels show that some claims mean another class: {', '.join(changed[:SHOWN])}{more} are read so.")
    few = [(int((say < 0.5).sum()), name) for name, say in zip(names, found.say, strict=True)]
    little = [f"{name} in {count}" for count, name in few if count]
    if little:
        run.note(f"Of {len(classes)} classes, some teachers count less than half of the best one: {', '.join(little)}.")
    return here.read(found.read) if found.renames else here
