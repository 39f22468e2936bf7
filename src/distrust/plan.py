"""What a recipe would buy and what that would cost, before anything is spent.

Knows prompts, prices, caps and what the ledger already has. Sends nothing and writes nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from distrust.assistant import HOW_SURE, TRUE_OR_FALSE, TRUTH
from distrust.budget import NOTHING, Charge, Sum, money, refuse_unkeepable
from distrust.build import LEDGER, few_shot, known, read_task
from distrust.data import Items
from distrust.gold import Gold
from distrust.ledger import Ledger
from distrust.methods import find
from distrust.recipe import Endpoint, Recipe, is_judge
from distrust.secrets import expand
from distrust.task import Task
from distrust.teachers.orders import missing, worst_case
from distrust.teachers.prompt import Prompt, fill

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

    A local or recorded teacher costs nothing new. Where the method chooses what to buy, so many items are counted as it
    asks about at most, and its assistant too. Prompts are counted as they would be sent, on the pool and on gold
    items outside it.

    Raises:
        DistrustError: whatever `run` would refuse in data, prompts, prices and caps.
    """
    task = read_task(recipe)
    known = set(task.pool.ids)
    outside = task.gold_items.select([row for row, item in enumerate(task.gold_items.ids) if item not in known])
    chosen = _chosen(recipe, task)
    path = Path(expand(recipe.output_dir)) / LEDGER
    ledger = Ledger(path, readonly=True) if path.is_file() else None
    try:
        rows: list[Planned] = []
        total = Sum()
        for spent in ledger.accounts.settled.values() if ledger is not None else ():
            total.include(spent)
        for teacher in recipe.teachers:
            if isinstance(teacher, Endpoint):
                rows.append(_endpoint(teacher, recipe, task, outside, ledger, total, chosen))
            else:
                size = len(task.pool) + len(outside) if chosen is None else chosen
                rows.append(Planned(teacher.name, teacher.kind, size, size, 0, 0, FREE, FREE, FREE, "complete"))
        if isinstance(recipe.assistant, Endpoint) and chosen is not None:
            rows.append(_assistant(recipe.assistant, recipe, task, ledger, total))
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

    def scaled(self, share: float) -> _Tally:
        """So many times as much, calls and tokens rounded up."""
        if share == 1:
            return self
        calls, prompt, completion = (math.ceil(share * one) for one in (self.calls, self.prompt, self.completion))
        return _Tally(calls, prompt, completion, None if self.money is None else share * self.money)

    def sum(self) -> Sum:
        return Sum(self.calls, self.prompt + self.completion, self.money or 0.0)


def _chosen(recipe: Recipe, task: Task) -> int | None:
    """How many items each teacher is asked about, where the method chooses them; None: all of them."""
    asked = getattr(find(recipe.method.name, recipe.method.options)[1], "asked", None)
    return None if asked is None else int(asked(len(task.pool) - len(set(task.pool.ids) & set(task.gold.ids))))


def _assistant(assistant: Endpoint, recipe: Recipe, task: Task, ledger: Ledger | None, total: Sum) -> Planned:
    """What an assistant would be asked at most: the items themselves, or a question for each claim that it is shown.

    The claims are not known yet: prices take the shortest that there can be, and their worst case is unknown.
    """
    options: Any = find(recipe.method.name, recipe.method.options)[1]
    own = not is_judge(assistant) and options.confidence == "answers"
    gold = task.gold_items.select(task.gold_items.rows(task.gold.part("calibrate").ids))
    known = set(task.gold.ids)
    pool = task.pool.select([row for row, item in enumerate(task.pool.ids) if item not in known])
    claims = options.judged(len(pool), len(gold))
    if own:
        most = min(claims, len(pool) + len(gold))
        return _endpoint(assistant, recipe, task, gold, ledger, total, most, pool)
    question = HOW_SURE if options.confidence == "stated" else TRUE_OR_FALSE
    shown = [fill(question, {"prompt": pool.text(row), "claim": "-"}, "The question") for row in range(len(pool))]
    asked = Items(pool.ids, tuple(shown))
    nobody = Gold((), torch.zeros(0, dtype=torch.long), TRUTH)
    about = replace(task, space=TRUTH, answers=None, gold=nobody) if is_judge(assistant) else task
    found = _endpoint(assistant, recipe, about, gold.select([]), None, total, claims, asked)
    there = 0 if ledger is None else ledger.totals(assistant.name).get("answered", (0, NOTHING))[0]
    return replace(
        found,
        there=min(there, found.wanted),
        prompt_tokens=Span(found.prompt_tokens.expected, None),
        completion_tokens=Span(found.completion_tokens.expected, None),
        money=Span(found.money.expected, None if found.money.worst else found.money.worst),
    )


def _endpoint(
    teacher: Endpoint,
    recipe: Recipe,
    task: Task,
    outside: Items,
    ledger: Ledger | None,
    total: Sum,
    most: int | None = None,
    pool: Items | None = None,
) -> Planned:
    """One endpoint's part. `most`: it is asked about so many of the items; which is not known yet, so prices are means."""
    parts = (task.pool, outside) if pool is None else (pool, outside)
    refuse_unkeepable(teacher.name, teacher.price, teacher.max_tokens, teacher.budget, recipe.budget)
    prompt = Prompt(teacher, known(teacher, task.space), few_shot(task, teacher))
    setting = "" if ledger is None else ledger.setting(teacher.name, prompt.setting()).fingerprint
    length = _answer_tokens(teacher, prompt, ledger)
    found: list[tuple[Charge, Charge, int]] = []  # expected, at worst, answers
    calls_on_gold, lacking = 0, 0
    for place, items in enumerate(parts):
        for order in missing(teacher, prompt, items, ledger, setting):
            bound = worst_case(teacher, prompt, order.question.prompt, len(order.samples))
            tokens, answer = -(-bound.prompt_tokens // BYTES_PER_TOKEN), math.ceil(length * len(order.samples))
            found.append((Charge(tokens, answer, money(teacher.price, tokens, answer)), bound, len(order.samples)))
            calls_on_gold += place
            lacking += len(order.samples)
    there = teacher.samples * sum(map(len, parts)) - lacking
    wanted = teacher.samples * (sum(map(len, parts)) if most is None else most)
    there = min(there, wanted)
    buys = len(found) if most is None else math.ceil(len(found) * (wanted - there) / max(lacking, 1))
    expected, worst = _Tally(), _Tally()
    for one, _, _ in found:
        expected.add(one)
    for _, bound, _ in sorted(found, key=lambda row: row[1].prompt_tokens, reverse=True)[:buys]:
        worst.add(bound)
    expected = expected.scaled(buys / max(len(found), 1))
    return Planned(
        teacher=teacher.name,
        kind=teacher.kind,
        wanted=wanted,
        there=there,
        calls=expected.calls,
        calls_on_gold=calls_on_gold if most is None else 0,
        prompt_tokens=Span(expected.prompt, worst.prompt),
        completion_tokens=Span(
            expected.completion, worst.completion if teacher.max_tokens is not None or wanted == there else None
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
