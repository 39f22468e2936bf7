"""One item's whole trace, as lines of text: what was claimed, believed, told and learned.

Knows the facts of a run and its saved student. Asks no teacher.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from distrust import trust
from distrust.errors import DataError, RunError, nearest
from distrust.evidence import Evidence, stack
from distrust.labels import LabelSpace
from distrust.report.facts import Facts
from distrust.secrets import show


def trace(facts: Facts, item: str, folder: Path) -> Iterator[str]:
    """The trace of an item of the pool, by id or by the beginning of one.

    Raises:
        DataError: no such item, or a beginning that several items share.
    """
    row = _row(facts, item)
    name = facts.pool.ids[row]
    yield f"{show(name)}: {show(facts.pool.text(row), limit=400)}"
    if facts.gold is not None and name in facts.gold.ids:
        label = facts.space.names[int(facts.gold.labels[facts.gold.ids.index(name)])]
        yield "gold: there is a reference" if facts.open_answers else f"gold: {show(label)}"
    support = _support(facts, row)
    for number, evidence in enumerate(facts.evidence):
        yield from _claimed(evidence, name, facts.kinds[evidence.source], support[number])
    if facts.targets is not None and facts.target_weight is not None:
        yield f"told to the student: {_said(facts.targets[row], facts.space)}; weight {float(facts.target_weight[row]):g}"
    try:
        yield f"the student now says: {_student(facts, row, folder)}"
    except RunError as error:  # a bare torch module, which only the program that made it can load
        yield f"the student cannot be asked here: {error}"


def _row(facts: Facts, item: str) -> int:
    found = [row for row, name in enumerate(facts.pool.ids) if name == item] or [
        row for row, name in enumerate(facts.pool.ids) if name.startswith(item)
    ]
    if not found:
        raise DataError(f"There is no item {item!r} in the pool; {nearest(item, facts.pool.ids)}.")
    if len(found) > 1:
        raise DataError(f"{len(found)} items begin with {item!r}; give more of the id, such as {facts.pool.ids[found[0]]}.")
    return found[0]


def _support(facts: Facts, row: int) -> Tensor:
    """Share of the other teachers that claim the same: (M,)."""
    if not facts.evidence:
        return torch.zeros(0)
    stacked = stack(facts.evidence, facts.space, [facts.pool.ids[row]])
    return trust.agreement(stacked.claims[:, 0], len(facts.space))[:, 0]


def _claimed(evidence: Evidence, name: str, kind: str, support: Tensor) -> Iterator[str]:
    one, source = evidence.on([name]), show(evidence.source)
    if not len(one) or not isinstance(one.space, LabelSpace):
        yield f"{source} ({kind}): was not asked"
        return
    said = [one.space.names[int(claim)] if claim >= 0 else "abstains" for claim in one.claims[:, 0]]
    price = "free" if one.cost is None else _price(float(one.cost.calls[0]), float(one.cost.money[0]))
    sure = f"confidence {float(trust.confidence(one.distribution())[0]):.2f}, " if one.logits is not None else ""
    yield f"{source} ({kind}): {show(', '.join(said))}; {sure}agreement of the others {float(support):.2f}; {price}"
    for text in one.texts[0] if one.texts else []:
        yield f"    it wrote: {show(text, limit=400)}"


def _price(calls: float, money: float) -> str:
    if not calls and not money:
        return "no call"
    return f"{calls:.0f} calls, " + ("price unknown" if money != money else f"price {money:.6f}")


def _said(distribution: Tensor, space: LabelSpace) -> str:
    """The three likeliest classes of (C,)."""
    if not float(distribution.sum()):
        return "nothing"
    top = distribution.topk(min(3, len(space)))
    return ", ".join(
        f"{show(space.names[int(index)])} {float(value):.2f}"
        for value, index in zip(top.values, top.indices, strict=True)
        if value > 0
    )


def _student(facts: Facts, row: int, folder: Path) -> str:
    from distrust.build import load_student
    from distrust.students import answer
    from distrust.students.causal import CausalStudent
    from distrust.students.sampling import generate

    student, item = load_student(folder / "student"), facts.pool.select([row])
    if isinstance(student, CausalStudent):
        return show(generate(student, item).texts[0][0], limit=400)
    return _said(answer(student, item).distribution()[0], facts.space)
