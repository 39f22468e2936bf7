"""What methods for teachers' mistakes begin with: the pool told by a vote, what of it may be doubted, and its parts.

Knows claims and gold. Does not know which of them a method doubts.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from distrust import combine
from distrust.claimed import final, majority
from distrust.data import Items
from distrust.errors import RunError, nearest
from distrust.evaluate import final_claims
from distrust.evaluate.texts import SCORES, likeness
from distrust.evidence import Evidence
from distrust.labelled import Labelled, from_targets
from distrust.labels import LabelSpace
from distrust.processes import mix
from distrust.run import Run
from distrust.select import rows
from distrust.trust.claims import label_likelihood, label_match

Part = tuple[str, Tensor, Tensor]  # its name, rows of the others, which teach, and its own rows, which are spoken of
GoldWeight = Annotated[float, Field(ge=0, description="how many pool items a gold item counts as; 0: do not train on gold")]


def voted(run: Run, texts: bool = False) -> Labelled:
    """The pool's items of which somebody claims something, told what most teachers claim; gold is not used.

    Warns of claims from which nothing can be learned. `texts` says that the method takes open answers too.

    Raises:
        RunError: fewer than two of them have no gold label; no teacher; open answers, where the method takes classes alone.
    """
    if texts and run.answers is not None:
        if not run.teachers:
            raise RunError("This method asks teachers and the recipe names none; name one, or use the method gold-only.")
        pool = majority(run.evidence(), run.pool).told()
    else:
        pool = from_targets(run.pool, combine.majority_vote(final_claims(run.stacked()), len(run.space))).told()
    if len(doubtable(run, pool)) < 2:
        raise RunError(
            f"The teachers claim something of {len(pool)} items, {len(doubtable(run, pool))} of them without gold; "
            "whom to doubt is learned from two at least."
        )
    if pool.texts is not None:
        return pool
    said = (pool.targets > 0).any(0)
    if int(said.sum()) == 1:
        run.warn(
            f"The teachers claim {run.space.names[int(said.int().argmax())]!r} of every item: a student learns no other."
        )
    _warn_of_chance(run, pool)
    return pool


def classes(run: Run) -> LabelSpace | None:
    """The task's classes; None where answers are open."""
    return None if run.answers is not None else run.space


def agreed(run: Run, said: Evidence, pool: Labelled, score: str) -> Tensor:
    """How far a source agrees with what a pool is told: its evidence on the pool's items to (N,) in [0, 1].

    Source: s(ỹ, ŷ) of Peer-Advised KD, equation 1. `label_likelihood` is of classes, `match` of both, the others of texts.

    Raises:
        RunError: a score of texts for classes, or of classes for texts.
    """
    check_score(run, score)
    if pool.texts is None:
        judge = label_likelihood if score == "label_likelihood" else label_match
        return judge(said.distribution(), pool.targets)
    assert run.answers is not None, "texts are read as the run's answers"
    told = [one[int(row.argmax())] for one, row in zip(pool.texts.answers, pool.targets, strict=True)]
    claims = final(said, pool.items)
    if score == "match":
        pairs = zip(claims, map(run.answers.read, told), strict=True)
        return torch.tensor([claim is not None and claim.answer == answer for claim, answer in pairs], dtype=torch.float64)
    return likeness([None if claim is None else claim.text for claim in claims], [[text] for text in told], score)


def check_score(run: Run, score: str) -> None:
    """Raises RunError for a score of texts where there are classes, or of classes where answers are open."""
    kind, legal = ("classes", ("label_likelihood", "match")) if run.answers is None else ("texts", ("match", *SCORES))
    if score not in legal:
        raise RunError(f"score: {score} does not suit {kind}; {nearest(score, legal)}.")


def doubtable(run: Run, pool: Labelled) -> Labelled:
    """The items of a pool that have no gold label: claims about the others are never ranked, so that gold can judge them."""
    known = set(run.gold.ids)
    return pool.select([row for row, item in enumerate(pool.items.ids) if item not in known])


def parts(run: Run, items: Items, count: int, judged: Items | None = None) -> list[Part]:
    """Items in random parts, copies of a content in one; of each its name, the rows that teach its judge, and its own rows.

    What teaches is every other part, but for copies of what is `judged` too: it must be as new to a judge as the part is.

    Raises:
        RunError: all items are copies of one, or of what is judged.
    """
    known = set() if judged is None else set(_contents(judged))
    met: dict[Hashable, int] = {}
    content = torch.tensor([met.setdefault(one, len(met)) for one in _contents(items)], dtype=torch.long)  # (N,)
    if len(met) < 2:
        raise RunError(
            f"The {len(items)} items are all the same, so no peer can speak of what it has not seen; set gate: none."
        )
    new = torch.tensor([one not in known for one in met])[content]  # (N,) bool
    if not bool(new.any()):
        raise RunError(
            f"Each of the {len(items)} items is a copy of a gold item, so no peer can be judged by gold; set gate: none."
        )
    order = torch.randperm(len(met), generator=torch.Generator().manual_seed(mix(run.seed, 3)))
    part = torch.empty_like(order)
    part[order] = torch.arange(len(met)) % count
    part = part[content]  # (N,)
    return [(chr(ord("a") + one), rows((part != one) & new), rows(part == one)) for one in range(min(count, len(met)))]


def _contents(items: Items) -> list[Hashable]:
    """What items are made of, equal for copies."""
    return list(items.inputs) if isinstance(items.inputs, tuple) else [tuple(one.flatten().tolist()) for one in items.inputs]


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
