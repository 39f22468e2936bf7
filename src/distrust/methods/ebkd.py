"""ebkd: teachers weighed by how sure they are, item by item. Kwon et al., ICASSP 2020. Needs no label, and so cannot tell a
teacher that is sure and wrong."""

from __future__ import annotations

from distrust import trust
from distrust.methods.several import Several, also, lesson, objective
from distrust.run import Run
from distrust.students import Student


class Ebkd(Several):
    """Options of ebkd."""


def ebkd(run: Run, options: Ebkd) -> Student:
    """γ · CE(label) + α · Σ_k w_k T² · KL(teacher k ‖ student), w_k = (1 - H_k / Σ H) / (M - 1)."""
    here = lesson(run, options)
    weights = trust.entropy_weights(here.logits, here.stacked.answered)
    also(run, here, weights, options.temperature)
    told = here.told(here.mean(weights, options.temperature), weights)
    return run.fit("student", told, objective(told, options), options)
