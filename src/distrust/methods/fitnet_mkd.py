"""fitnet-mkd: all teachers alike, in logits and in features. Romero et al. 2015 with several teachers.

Shows whether CA-MKD's weights or its hints help. In its authors' code this baseline's hints have no gradient.
"""

from __future__ import annotations

from dataclasses import replace

from pydantic import Field
from torch import Tensor

from distrust import combine
from distrust.methods.hinted import FEATURE, Hinted, hints
from distrust.methods.several import also, lesson, objective
from distrust.objective import Batch, Objective, Term
from distrust.run import Run
from distrust.students import Student


class FitnetMkd(Hinted):
    """Options of fitnet-mkd."""

    beta: float = Field(100.0, ge=0, description="weight of the hints; 0: logits only, which is `averaged`")
    feature: str | None = Field(
        "auto",
        description="where the student's feature is taken: a module's path, its output, or with `.input` what goes into it; "
        "`auto`: what goes into the layer that makes the logits; none: logits only",
    )


def fitnet_mkd(run: Run, options: FitnetMkd) -> Student:
    """γ · CE(label) + α · (1/M) Σ_k T² · KL(teacher k ‖ student) + β · (1/M) Σ_k mean (F_k - r_k(F_S))²."""
    here = lesson(run, options)
    weights = combine.uniform(here.stacked.answered)
    also(run, here, weights, options.temperature)
    told = here.told(here.mean(weights, options.temperature), weights)
    whole = objective(told, options)
    _, held, path = hints(run, here, options, heads=False)
    if held is not None:
        told = replace(told, extra={**told.extra, **held.extra})

        def hint(_: Tensor, batch: Batch) -> Tensor:
            return held.errors(held.projected(batch), batch).mean(0)

        whole = Objective({**whole.terms, "hint": Term(hint, options.beta)}, held.projections, {FEATURE: path})
    return run.fit("student", told, whole, options)
