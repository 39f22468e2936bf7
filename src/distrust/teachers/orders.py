"""What is still to be asked of an endpoint teacher, and what asking it may cost at worst.

Knows prompts, prices and what the ledger has. Sends nothing: a plan counts orders, buying fills them.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass

from distrust.budget import Charge, money
from distrust.data import Items
from distrust.ledger import CHUNK, Ledger
from distrust.recipe import Endpoint
from distrust.teachers.prompt import Prompt, Question


@dataclass(frozen=True)
class Order:
    """Samples of one question that are not in the ledger yet, for one request where the server honours `n`."""

    question: Question
    samples: tuple[int, ...]


def missing(
    recipe: Endpoint, prompt: Prompt, items: Items, ledger: Ledger | None, setting: str, skip: Container[bytes] = ()
) -> Iterator[Order]:
    """What the ledger lacks about some items, one look-up and some prompts at a time; all of it without a ledger."""
    for questions in in_chunks(prompt, items, setting):
        there = {} if ledger is None else ledger.samples([question.key for question in questions])
        for question in questions:
            have = there.get(question.key, set())
            lacking = [sample for sample in range(recipe.samples) if sample not in have and question.key not in skip]
            if recipe.honours_n and lacking:
                yield Order(question, tuple(lacking))
            else:
                yield from (Order(question, (sample,)) for sample in lacking)


def in_chunks(prompt: Prompt, items: Items, setting: str) -> Iterator[list[Question]]:
    """The questions about some items under a setting's fingerprint, as many at a time as one look-up takes."""
    for begin in range(0, len(items), CHUNK):
        yield [prompt.question(items, row, setting) for row in range(begin, min(begin + CHUNK, len(items)))]


def worst_case(recipe: Endpoint, prompt: Prompt, text: str, samples: int) -> Charge:
    """What one request costs at most; without `max_tokens` the answer's part is unknown, and so is its money."""
    tokens = prompt.most_tokens(text)
    answer = samples * (recipe.max_tokens or 0)
    bounded = recipe.max_tokens is not None or recipe.price.per_million_completion_tokens is None
    return Charge(tokens, answer, money(recipe.price, tokens, answer) if bounded else None)
