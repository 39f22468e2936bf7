"""A made panel: open answers, some good teachers, and a crowd that shares its mistakes."""

from __future__ import annotations

import random

from torch import Tensor

from distrust.evidence import Evidence
from distrust.trust.panel_answers import gold_claims, read_answers

GOOD, CROWD = ("good-0", "good-1", "good-2"), ("crowd-0", "crowd-1", "crowd-2", "crowd-3", "crowd-4", "crowd-5")
GROUPS = {"model": [*GOOD, *("crowd" for _ in CROWD)]}


def world(items: int = 400, seed: int = 0, texts: bool = False) -> tuple[list[Evidence], Tensor]:
    """Three good teachers (80 %), six that mostly say what one weak mind says (55 %); one answer in 20 is missing."""
    rng = random.Random(seed)
    answers: dict[str, list[object]] = {name: [] for name in (*GOOD, *CROWD)}
    told: dict[str, list[str]] = {name: [] for name in answers}
    truth = [rng.randrange(100) for _ in range(items)]
    for right in truth:
        mind = right if rng.random() < 0.55 else rng.randrange(100)
        for name in answers:
            own = right if rng.random() < 0.8 else rng.randrange(100)
            said = own if name in GOOD else (mind if rng.random() < 0.9 else rng.randrange(100))
            answers[name].append(None if rng.random() < 0.05 else said)
            sure = rng.random() < (0.9 if said == right else 0.2)
            told[name].append("clearly the answer is this" if sure else "hmm perhaps maybe not this")
    ids = [f"item {row}" for row in range(items)]
    evidence = read_answers(ids, answers, "number", told if texts else None)
    return evidence, gold_claims(evidence, dict(zip(ids, truth, strict=True)), "number")
