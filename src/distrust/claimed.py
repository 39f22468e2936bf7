"""What a source finally claims of each item, class or text alike: told to a student, or compared with another's claim.

The same functions serve classes and open answers, so that a method is written once. Knows evidence and training sets.
Knows nothing of who is right.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from distrust.data import Items
from distrust.evaluate.judging import final_claims
from distrust.evaluate.texts import likeness
from distrust.evidence import Evidence, stack, votes
from distrust.files import fingerprint
from distrust.labelled import Labelled, from_targets, from_texts
from distrust.labels import ABSTAIN, Candidates, LabelSpace

One = TypeVar("One")


@dataclass(frozen=True)
class Claim:
    """What one source finally says of one item."""

    answer: str  # in the form in which answers are compared: a class's name, or what was read from the text
    text: str  # what a student would learn to write; of a class its name


def final(evidence: Evidence, items: Items) -> list[Claim | None]:
    """One source's final claim on each item (B), None where it was not asked or abstained.

    The most frequent answer over its samples; of equally frequent classes the most probable, of texts the first one said.
    The text is the first sample that gives this answer.
    """
    found: dict[str, Claim | None] = {}
    if isinstance(evidence.space, Candidates):
        top = votes(evidence.claims, len(evidence.space)).argmax(-1)  # (B',) listed in the order in which they were said
        spoke = (evidence.claims >= 0).any(0)
        for row, (item, claim) in enumerate(zip(evidence.ids, top.tolist(), strict=True)):
            found[item] = _text(evidence, evidence.space, row, claim) if spoke[row] else None
    elif len(evidence):
        names = evidence.space.names
        for item, claim in zip(evidence.ids, final_claims(stack([evidence], evidence.space))[0].tolist(), strict=True):
            found[item] = None if claim == ABSTAIN else Claim(names[claim], names[claim])
    return [found.get(item) for item in items.ids]


def told_by(evidence: Sequence[Evidence], items: Items, space: LabelSpace | None = None) -> Labelled:
    """A training set of what sources finally claim: each that speaks of an item tells its share of the target.

    Args:
        evidence: M sources.
        items: B items; one of which nobody speaks is told nothing.
        space: the task's classes; None where answers are open, whose target is then the texts themselves, weighted.
    """
    said = [final(one, items) for one in evidence]
    if space is None:
        return from_texts(items, [_shares([one[row] for one in said]) for row in range(len(items))])
    claims = torch.tensor([[ABSTAIN if one is None else space.find(one.answer) for one in each] for each in said])  # (M, B)
    counts = votes(claims, len(space))
    return from_targets(items, counts / counts.sum(-1, keepdim=True).clamp(min=1))


def majority(evidence: Sequence[Evidence], items: Items) -> Labelled:
    """A training set of open answers: each item told the answer that most sources give, as one of them writes it.

    Between equals a hash of item and text decides, so that the order of the sources changes nothing.
    """
    told: list[Mapping[str, float]] = []
    said = [final(one, items) for one in evidence]
    for row, item in enumerate(items.ids):
        spoken = by_hash([claim for one in said if (claim := one[row]) is not None], item, lambda claim: claim.text)
        answers = [claim.answer for claim in spoken]
        most = max(spoken, key=lambda claim: answers.count(claim.answer), default=None)
        told.append({} if most is None else {most.text: 1.0})
    return from_texts(items, told)


def by_hash(said: Sequence[One], item: str, text: Callable[[One], str]) -> list[One]:
    """What several sources say of an item, in an order that does not depend on theirs: that of a hash of item and text."""
    return sorted(said, key=lambda one: fingerprint(item, text(one)))


def agreement(first: Evidence, second: Evidence, items: Items, score: str = "match") -> Tensor:
    """How alike two sources' final claims are: (B,) in [0, 1]; 0 where either says nothing.

    Args:
        first, second: classes or texts, both of one kind.
        score: "match": the same answer or not; else a score of texts: "exact_match", "token_f1", "rouge_l".

    Source: s(ỹ, ŷ) of Peer-Advised KD, equation 1.
    """
    pairs = list(zip(final(first, items), final(second, items), strict=True))
    if score == "match":
        same = [one is not None and other is not None and one.answer == other.answer for one, other in pairs]
        return torch.tensor(same, dtype=torch.float64)
    return likeness(
        [None if one is None else one.text for one, _ in pairs],
        [[] if other is None else [other.text] for _, other in pairs],
        score,
    )


def common(evidence: Sequence[Evidence], ids: Sequence[str], references: Sequence[str | None]) -> list[Evidence]:
    """Sources on items (B) in one list of answers an item, the reference's first: claim 0 is right, where it is known.

    The classes are places in those lists: they say which sources agree on an item, and nothing across items.
    """
    listed: list[dict[str | None, int]] = [{reference: 0} for reference in references]  # None: unknown, and never claimed
    row_of = {item: row for row, item in enumerate(ids)}
    placed = [one.on(ids) for one in evidence]
    moved = []
    for one in placed:
        assert isinstance(one.space, Candidates), "classes have a common space already"
        claims = torch.full_like(one.claims, ABSTAIN)
        for column, item in enumerate(one.ids):
            row = row_of[item]
            for sample, claim in enumerate(one.claims[:, column].tolist()):
                if claim != ABSTAIN:
                    answer = one.space.answers[column][claim]
                    claims[sample, column] = listed[row].setdefault(answer, len(listed[row]))
        moved.append(claims)
    width = max((len(one) for one in listed), default=1)
    space = LabelSpace(("reference", *(f"answer {place}" for place in range(1, max(width, 2)))))
    return [
        Evidence(one.source, one.ids, space, claims, texts=one.texts, cost=one.cost, notes=one.notes, features=one.features)
        for one, claims in zip(placed, moved, strict=True)
    ]


def _text(evidence: Evidence, space: Candidates, row: int, claim: int) -> Claim:
    assert evidence.texts is not None, "open answers are read from texts"
    sample = evidence.claims[:, row].tolist().index(claim)
    return Claim(space.answers[row][claim], evidence.texts[row][sample])


def _shares(said: Sequence[Claim | None]) -> dict[str, float]:
    spoken = sorted(one.text for one in said if one is not None)
    return {text: spoken.count(text) / len(spoken) for text in spoken}
