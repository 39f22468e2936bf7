"""Buying a few answers at a time, with gold hidden among the items: what was bought, and whether the teachers still hold.

Knows a run's teachers, the budget in items, canary gold and the third signal. Does not know why these items, or which of
the answers are used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from torch import Tensor

from distrust import canary
from distrust.adoption import youden
from distrust.claimed import by_hash, final
from distrust.data import Items, concatenate
from distrust.evaluate import claims_on, wilson
from distrust.evidence import Evidence, join
from distrust.methods.assisted import Read, Signals, judges, of_assistant, outcomes
from distrust.methods.chances import NAMES, Signal, chances, joined
from distrust.run import Run
from distrust.selection import at_random


@dataclass(frozen=True)
class Purchase:
    """Answers that were bought together."""

    items: Items  # n, of the pool
    said: Evidence  # what the teachers say of them, as one source
    in_teacher: Tensor | None  # (n,) s3; None: switched off
    read: Read | None  # what was known of them before; None of those bought at random
    threshold: float | None = None  # of s3, by gold, where gold has shown that s3 knows anything
    as_read: Tensor | None = None  # (n,) s3 before anything calibrated it

    def select(self, rows: Tensor) -> Purchase:
        """Some of the items, by row (n,) long."""
        items = self.items.select(rows)
        read = None if self.read is None else self.read.on(items)
        return replace(
            self,
            items=items,
            said=self.said.on(items.ids),
            in_teacher=None if self.in_teacher is None else self.in_teacher[rows],
            as_read=None if self.as_read is None else self.as_read[rows],
            read=read,
        )


class Shop:
    """Where a run buys. Each item is asked of every teacher, once."""

    def __init__(self, run: Run, options: Signals, canaries: int, stages: Sequence[int]) -> None:
        self.run, self.options = run, options
        self.asked: list[str] = []  # pool items, in the order of choice
        self.sold: set[str] = set()  # those of them that got an answer, right or wrong: a cap may have left the others
        self.paused = False
        gold = judges(run)
        self._hidden = gold.select(at_random(gold.ids, canaries, run.seed))
        self._shares = _shares(canaries, stages)  # canaries of each stage
        self.met = 0  # canaries asked so far
        self._answered: set[str] = set()  # those of them that got an answer, right or wrong
        self._right = torch.zeros(0, dtype=torch.long)  # of these
        self._in_teacher = torch.zeros(0, dtype=torch.float64)  # s3 of them
        self._level: float | None = None  # what the first stage's canaries hold the teachers to
        self._first = 0  # how many of them there are
        self._bought: list[Purchase] = []
        self._raw: list[Signal] = []  # s3 of each, as it was read

    def hidden(self) -> Items:
        """The canaries that go with the next stage."""
        return self._hidden.select(range(self.met, self.met + self._shares[0]))

    def buy(self, items: Items, read: Read | None = None) -> list[Purchase]:
        """Ask every teacher about items of the pool, and about the stage's canaries among them; an alarm ends it early.

        Returns everything bought so far, its third signal brought to what all of it shows by now: to one scale.
        """
        gold = self.hidden()
        self._shares.pop(0)
        hidden = set(gold.ids)
        whole = concatenate(items, gold) if hidden else items
        said: list[list[Evidence]] = [[] for _ in self.run.teachers]
        for part in _parts(whole, items.ids, gold.ids, self.run.seed):
            for mine, teacher in zip(said, self.run.teachers, strict=True):
                mine.append(self.run.ask(teacher, part))
            self.asked += [item for item in part.ids if item not in hidden]
            self.sold |= _spoken([one[-1] for one in said]) - hidden
            if self._alarm(
                [one[-1] for one in said], part.select([row for row, item in enumerate(part.ids) if item in hidden])
            ):
                break
        asked = set(self.asked)
        got = items.select([row for row, item in enumerate(items.ids) if item in asked])
        answers = as_one(self.run, [join(one) for one in said], whole)
        if self._level is None and not self._first:
            self._hold()
        self._bought.append(Purchase(got, answers.on(got.ids), None, None if read is None else read.on(got)))
        if self.options.reads(self.run, "s3"):
            self._third(answers, gold)
        return list(self._bought)

    def _alarm(self, said: Sequence[Evidence], gold: Items) -> bool:
        """Judge canaries by what each teacher said of them; whether they tell by now that the teachers have fallen.

        One that nobody answered, for a cap that was reached or a lost connection, tells nothing.
        """
        self.met += len(gold)
        spoke = _spoken(said)
        gold = gold.select([row for row, item in enumerate(gold.ids) if item in spoke])
        if not len(gold):
            return False
        self._answered |= set(gold.ids)
        self._right = torch.cat(
            [self._right, outcomes(self.run, as_one(self.run, said, gold).on(gold.ids), self._vouched(gold))]
        )
        if self._level is None:
            return False
        later = self._right[self._first :]
        when = canary.alarm(later, self._level)
        if when is None:
            return False
        self.paused = True
        self.run.warn(
            f"Buying is paused: the teachers were right on {int(self._right[: self._first].sum())} of the first "
            f"{self._first} hidden gold items and on {int(later.sum())} of the {len(later)} since, so they have changed or "
            "broken. What is bought is kept and used; see what they answer now, and start again with `canaries: 0`."
        )
        return True

    def _vouched(self, gold: Items) -> Items:
        """The same items with what a person says of them, which no teacher is shown."""
        return self._hidden.select(self._hidden.rows(gold.ids))

    def _hold(self) -> None:
        """What the teachers are held to from now on: the low end of how often they were right about the first canaries."""
        self._first = len(self._right)
        held = wilson(int(self._right.sum()), self._first) if self._first else None
        if held is not None and 0 < held.low < 1:
            self._level = held.low
        elif self._first:
            self.run.warn(f"The teachers were right on none of the first {self._first} hidden gold items; look at them.")

    def _third(self, said: Evidence, gold: Items) -> None:
        """s3 of the last purchase, and of all of them what canaries and agreement make of it; the threshold gold finds."""
        met = gold.select([row for row, item in enumerate(gold.ids) if item in self._answered])
        if len(met):
            more = of_assistant(self.run, said.on(met.ids), met, self.options).value
            self._in_teacher = torch.cat([self._in_teacher, more.double()])
        last = self._bought[-1]
        self._raw.append(of_assistant(self.run, last.said, last.items, self.options))
        s3, on_gold = chances(
            self.run, NAMES["s3"], joined(self._raw), self._in_teacher, self._right, self.options.calibrate
        )
        judged = self.run.signals.get(NAMES["s3"])
        knows = judged is not None and judged.auroc is not None and judged.auroc.low > 0.5
        threshold = youden(on_gold, self._right) if knows else None
        parts = torch.split(s3, [len(one.items) for one in self._bought])
        self._bought = [
            replace(one, in_teacher=part, threshold=threshold, as_read=raw.value)
            for one, part, raw in zip(self._bought, parts, self._raw, strict=True)
        ]


def as_one(run: Run, said: Sequence[Evidence], items: Items) -> Evidence:
    """What several teachers say as if one had: each one's final claim is a sample. One teacher is itself."""
    if len(said) == 1:
        return said[0]
    asked = set(said[0].ids)
    ids = [item for item in items.ids if item in asked]
    if run.answers is None:
        return Evidence("teachers", tuple(ids), run.space, claims_on(said, run.space, ids))
    here = items.select(items.rows(ids))
    claims = [final(one, here) for one in said]
    texts = [[claim.text for one in claims if (claim := one[row]) is not None] for row in range(len(ids))]
    fair = [by_hash(spoken, item, str) for item, spoken in zip(ids, texts, strict=True)]
    return run.answers.evidence("teachers", ids, fair)


def _spoken(said: Sequence[Evidence]) -> set[str]:
    """Items of which anybody said anything; who keeps no texts has spoken of all."""
    return {item for one in said for item, texts in zip(one.ids, one.texts or [["-"]] * len(one), strict=True) if texts}


def _shares(canaries: int, stages: Sequence[int]) -> list[int]:
    """How many canaries go with each stage of so many items, in proportion."""
    ends = [round(canaries * sum(stages[: place + 1]) / max(sum(stages), 1)) for place in range(len(stages))]
    return [end - start for start, end in zip([0, *ends], ends, strict=False)]


def _parts(whole: Items, ids: Sequence[str], canaries: Sequence[str], seed: int) -> list[Items]:
    """The items in the order in which they are asked, a part up to each canary, and what comes after the last."""
    if not canaries:
        return [whole] if len(whole) else []
    order, gold = canary.hidden(ids, canaries, seed), set(canaries)
    ends = [place + 1 for place, item in enumerate(order) if item in gold]
    cuts = [0, *ends, *([len(order)] if ends[-1] < len(order) else [])]
    return [whole.select(whole.rows(order[start:end])) for start, end in pairwise(cuts)]
