"""Which items to buy answers for once there is a student to ask: by its and the assistant's signals, or by a baseline.

Knows what was read of the items that are left. Asks no teacher. A choice is kept as a stage before anything of it is bought,
so that a run that goes on after a kill buys the same.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from distrust import selection
from distrust.claimed import common
from distrust.data import Items, concatenate
from distrust.files import fingerprint, read_json, write_json
from distrust.fits import INERT
from distrust.labelled import Labelled
from distrust.methods.assisted import Read, Signals, samples
from distrust.processes import mix
from distrust.run import Run

COMMITTEE = 3  # members
WORDS = 512  # places of the hashed words by which texts are spread


class Choosing(Signals):
    """Options of what is bought after the warm-up."""

    select: Literal["need", "random", "entropy", "margin", "committee", "k_centre"] = Field(
        "need",
        description="what to buy after the warm-up: by s1 and s2 (A3), or by a baseline: at random, by the student's "
        "`entropy` or `margin`, by three students' disagreement, or spread over the pool",
    )
    lam: float = Field(0.5, ge=0, le=1, description="λ of A3: the weight of s1 against s2")


def chosen(run: Run, options: Choosing, told: Labelled, warm_up: str, said: Read, asked: Sequence[str], count: int) -> Items:
    """So many of the items that were read, in the order of choice.

    Args:
        told: what the student that was asked has learned, and warm_up: the name of its fit.
        said: what it and the assistant say of the items that are left.
        asked: ids of the pool's items that were bought before.
    """
    order = _order(run, options, told, said, asked, count)
    key = fingerprint(
        "chosen",
        run.fits[warm_up].start,  # not of what it learned: an answer that failed at first may be there the next time
        run.options.model_dump(exclude=INERT),
        options.model_dump(),
        run.seed,
        run.pool.key,
        list(asked),
        [*run.gold.ids],
        run.gold.labels,
        [one.fingerprint for one in (*run.teachers, run.assistant) if one is not None],
    )

    def build(folder: Path) -> None:
        write_json(folder / "ids.json", [said.items.ids[row] for row in order.tolist()])

    ids = read_json(run.stage(f"chosen-{warm_up}", key, build) / "ids.json")
    return said.items.select(said.items.rows(ids))


def _order(run: Run, options: Choosing, told: Labelled, said: Read, asked: Sequence[str], count: int) -> Tensor:
    """Rows of the items to buy: (count,) long."""
    ids = said.items.ids
    if options.select == "random":
        return selection.at_random(ids, count, run.seed)
    if options.select == "k_centre":
        before = run.pool.select(run.pool.rows(asked))
        both = concatenate(before, said.items)
        taken = torch.arange(len(before))
        return selection.k_centres(_features(both), both.ids, min(count, len(ids)), taken, run.seed) - len(before)
    scores = _scores(run, options, told, said)
    if scores is None or bool((scores == scores[0]).all()):
        run.note("What was read needs every item alike, so what is bought after the warm-up is bought at random.")
        return selection.at_random(ids, count, run.seed)
    return selection.ranked(scores, ids, count, run.seed)


def _scores(run: Run, options: Choosing, told: Labelled, said: Read) -> Tensor | None:
    """How much each item needs an answer: (n,); None where nothing says so."""
    if options.select in ("entropy", "margin"):
        return selection.uncertainty(said.said, "entropy" if options.select == "entropy" else "margin")
    if options.select == "committee":
        members = [run.fit(f"member-{place}", told, seed=mix(run.seed, 11, place)) for place in range(COMMITTEE)]
        voices = [samples(run, member, said.items, options) for member in members]
        if run.answers is not None:
            voices = common(voices, said.items.ids, [None] * len(said.items))
        claims = torch.cat([one.claims for one in voices])  # (V, n), of writers V times their samples
        return selection.disagreement(claims, len(voices[0].space))
    if said.consistency is None and said.in_student is None:
        return None
    alone = said.consistency is None or said.in_student is None
    weight = options.lam if not alone else float(said.consistency is not None)
    return selection.need(said.consistency, said.in_student, weight)


def _features(items: Items) -> Tensor:
    """What spreads items: their own numbers, or shares of hashed words: (n, D)."""
    if isinstance(items.inputs, Tensor):
        return items.inputs.reshape(len(items), -1).float()
    found = torch.zeros(len(items), WORDS)
    for row in range(len(items)):
        for word in items.text(row).casefold().split():
            found[row, zlib.crc32(word.encode("utf-8", "surrogatepass")) % WORDS] += 1
    return torch.nn.functional.normalize(found, dim=-1)
