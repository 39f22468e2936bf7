"""Several language models heard together, each in the loop or by what is kept of it, and how much each is believed.

Knows sides, what they say of tokens, and trust. Knows nothing of divergences or of any one method.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from distrust import trust
from distrust.labelled import Labelled
from distrust.losses.chunks import Given
from distrust.losses.surprise import surprise
from distrust.methods.language import PROBE, Tutor
from distrust.modules import device_of, frozen
from distrust.objective import Batch, Objective
from distrust.recipe import Train
from distrust.rows import Completions
from distrust.run import Run
from distrust.sides import Side
from distrust.token_evidence import Kept, Spoken, stored

Rule = Literal["alike", "entropy", "label"]


def beside(tutors: Sequence[Tutor], kept: Kept, folder: Path, options: Train) -> list[Side]:
    """Language models as sides that never move: in the loop, or what they once said, kept in a folder."""
    if not kept:
        return [one.side(options) for one in tutors]
    told = [stored(one.teacher.name, one.model, one.vocabulary, kept, folder) for one in tutors]
    return [
        Side(student, Objective({}), options, one.called, 0, steady=True) for one, student in zip(tutors, told, strict=True)
    ]


def heard(rule: Rule, tutors: Sequence[Tutor], said: Mapping[str, Any], batch: Batch) -> tuple[list[Given], Tensor | None]:
    """What each of M teachers says of a batch's tokens (n, T), and how much each is believed: (M, n, T), None for alike.

    `label`: by its cross-entropy with the text's token, so that a weight is its share of what all think the token likely;
    `entropy`: by how sure it is, as ebkd.
    """
    told = [said[one.called] for one in tutors]
    targets = [one.target if isinstance(one, Spoken) else one for one in told]
    if rule == "alike" or len(told) == 1:
        return targets, None
    labels, counted = batch["labels"].clamp(min=0), batch["weight"] > 0
    pairs = [
        (one.surprise, one.entropy) if isinstance(one, Spoken) else surprise(one, labels, counted, tutor.vocabulary)
        for one, tutor in zip(told, tutors, strict=True)
    ]
    unlikely, unsure = (torch.stack(parts) for parts in zip(*pairs, strict=True))  # (M, n, T) each
    everybody = torch.ones_like(unsure)
    if rule == "label":
        return targets, trust.softmin_weights(unlikely, everybody)
    return targets, trust.entropy_shares(unsure, everybody)


def believed(run: Run, rule: Rule, tutors: Sequence[Tutor], sides: Sequence[Side], told: Labelled) -> None:
    """Say in the report how much each teacher is believed, on average over the tokens of some texts."""
    if rule == "alike" or len(tutors) == 1:
        return
    first = told.told()
    first = first.select(range(min(PROBE, len(first))))
    rows = Completions([tutors[0].model, *(side.student for side in sides)], first)
    inputs, batch = rows.take(torch.arange(len(rows)))
    said = {}
    for side, own in zip(sides, inputs[1:], strict=True):
        device = device_of(side.student.module)
        batch = {name: value.to(device) for name, value in batch.items()}
        with frozen(side.student.module):
            said[side.name] = side.student.hidden({name: value.to(device) for name, value in own.items()})  # type: ignore[attr-defined]
    _, weights = heard(rule, tutors, said, batch)
    assert weights is not None
    counted = batch["weight"] > 0
    shares = ", ".join(
        f"{one.teacher.name} {float(own[counted].mean()):.2f}" for one, own in zip(tutors, weights, strict=True)
    )
    run.note(f"Of a token, believed by {rule}, on average over {len(first)} texts: {shares}.")
