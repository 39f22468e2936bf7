"""The noise workshop: teachers, and tables of claims, made wrong in a controlled way.

`flips` and `policies` make labels wrong, `slips` open answers, `SimulatedTeacher` whatever a teacher says; docs/workshop.md
has each with its parameters. Knows nothing of who learns from the result.
"""

from distrust.workshop.draws import ByItem
from distrust.workshop.flips import abstaining, instance_dependent, near_clones, over_confident, pairwise, symmetric
from distrust.workshop.policies import adversary, class_blind, exchanged, forgotten, stale
from distrust.workshop.slips import slip
from distrust.workshop.teacher import SimulatedTeacher, clones

__all__ = [
    "ByItem",
    "SimulatedTeacher",
    "abstaining",
    "adversary",
    "class_blind",
    "clones",
    "exchanged",
    "forgotten",
    "instance_dependent",
    "near_clones",
    "over_confident",
    "pairwise",
    "slip",
    "stale",
    "symmetric",
]
