"""What a recipe would buy and what that would cost, before anything is spent.

Knows prompts, prices, caps and what the ledger already has. Sends nothing and writes nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from distrust.budget import NOTHING, Charge, Sum, money, refuse_unkeepable
from distrust.build import LEDGER, few_shot, known, read_task
from distrust.data import Items
from distrust.ledger import Ledger
from distrust.recipe import Endpoint, Recipe
from distrust.secrets import expand
from distrust.task import Task
from distrust.teachers.orders import missing, worst_case
from distrust.teachers.prompt import Prompt

BYTES_PER_TOKEN = 4  # of English under the usual vocabularies: a guess, where the worst case is a bound


@dataclass(frozen=True)
class Span:
    """What to expect and what it cannot exceed; None is "unknown", never 0."""

    expected: float | None
    worst: float | None


FREE = Span(0.0, 0.0)


@dataclass(frozen=True)
class Planned:
    """One teacher's part of a plan. `wanted` answers, of which the ledger has `there`; the rest is still to buy."""

    teacher: str
    kind: str
    wanted: int
    there: int
    calls: int
    calls_on_gold: int  # of these, pilot calls on gold items outside the pool
    prompt_tokens: Span
    completion_tokens: Span
    money: Span
    ends: str  # "complete", or the recipe key of the cap that the expected cost would reach


def plan(recipe: Recipe) -> list[Planned]:
    """Expected calls, tokens and money of each teacher, less what the run's ledger already has.

    A local or recorded teacher costs nothing new. Prompts are counted as they would be sent, on the pool and on gold
    items outside it.

    Raises:
        DistrustError: whatever `run` would refuse in data, prompts, prices and caps.
    """
    task = read_task(recipe)
    known = set(task.pool.ids)
    outside = task.gold_items.select([row for row, item in enumerate(task.gold_items.ids) if item not in known])
    path = Path(expand(recipe.output_dir)) / LEDGER
    ledger = Ledger(path, readonly=True) if path.is_file() else None
    try:
        rows: list[Planned] = []
        total = Sum()
        for spent in ledger.accounts.settled.values() if ledger is not None else ():
            total.include(spent)
        for teacher in recipe.teachers:
            if isinstance(teacher, Endpoint):
                rows.append(_endpoint(teacher, recipe, task, outside, ledger, total))
            else:
                size = len(task.pool) + len(outside)
                rows.append(Planned(teacher.name, teacher.kind, size, size, 0, 0, FREE, FREE, FREE, "complete"))
        return rows
    finally:
        if ledger is not None:
            ledger.close()


@dataclass
class _Tally:
    calls: int = 0
    prompt: int = 0
    completion: int = 0
    money: float | None = 0.0

    def add(self, charge: Charge) -> None:
        self.calls += charge.calls
        self.prompt += charge.prompt_tokens
        self.completion += charge.completion_tokens
        self.money = None if self.money is None or charge.money is None else self.money + charge.money

    def sum(self) -> Sum:
        return Sum(self.calls, self.prompt + self.completion, self.money or 0.0)


def _endpoint(teacher: Endpoint, recipe: Recipe, task: Task, outside: Items, ledger: Ledger | None, total: Sum) -> Planned:
    refuse_unkeepable(teacher.name, teacher.price, teacher.max_tokens, teacher.budget, recipe.budget)
    prompt = Prompt(teacher, known(teacher, task.space), few_shot(task, teacher))
    setting = "" if ledger is None else ledger.setting(teacher.name, prompt.setting()).fingerprint
    length = _answer_tokens(teacher, prompt, ledger)
    expected, worst, answers, calls = _Tally(), _Tally(), 0, [0, 0]
    for place, items in enumerate((task.pool, outside)):
        for order in missing(teacher, prompt, items, ledger, setting):
            bound = worst_case(teacher, prompt, order.question.prompt, len(order.samples))
            tokens, answer = -(-bound.prompt_tokens // BYTES_PER_TOKEN), math.ceil(length * len(order.samples))
            expected.add(Charge(tokens, answer, money(teacher.price, tokens, answer)))
            worst.add(bound)
            calls[place] += 1
            answers += len(order.samples)
    wanted = teacher.samples * (len(task.pool) + len(outside))
    return Planned(
        teacher=teacher.name,
        kind=teacher.kind,
        wanted=wanted,
        there=wanted - answers,
        calls=expected.calls,
        calls_on_gold=calls[1],
        prompt_tokens=Span(expected.prompt, worst.prompt),
        completion_tokens=Span(
            expected.completion, worst.completion if teacher.max_tokens is not None or not answers else None
        ),
        money=Span(expected.money, worst.money),
        ends=_cap_reached(teacher, recipe, ledger, total, expected.sum()),
    )


def _cap_reached(teacher: Endpoint, recipe: Recipe, ledger: Ledger | None, total: Sum, expected: Sum) -> str:
    """The first cap that this teacher's expected cost would break, on top of the past and of the teachers before it."""
    own = Sum() if ledger is None else ledger.accounts.settled.get(teacher.name, Sum())
    total.include(expected)
    for key, spent, cap in (
        (f"teachers.{teacher.name}.budget", own + expected, teacher.budget),
        ("budget", total, recipe.budget),
    ):
        broken = spent.exceeded(NOTHING, cap)
        if broken is not None:
            return f"{key}.{broken}"
    return "complete"


def _answer_tokens(teacher: Endpoint, prompt: Prompt, ledger: Ledger | None) -> float:
    """Tokens of one answer: what this teacher's answers had so far, or a label's, or for a worked answer `max_tokens`."""
    answered = None if ledger is None else ledger.totals(teacher.name).get("answered")
    if answered is not None:
        return answered[1].completion_tokens / answered[0]
    label = 1 + max(len(one.encode()) for one in prompt.answers) / BYTES_PER_TOKEN
    limit = teacher.max_tokens or math.inf
    return limit if teacher.parse.after is not None and teacher.max_tokens is not None else min(label, limit)
