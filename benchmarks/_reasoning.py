"""Four families of reasoning questions: made ones with their gold chains, and recorded ones with an LLM's chains.

Knows how a question is made and worked out, and the texts of a recorded teacher. Knows no models, budgets or methods.
"""

from __future__ import annotations

import os
import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distrust.recipe import Answer

PEOPLE = ("Alice", "Bob", "Claire")
COLOURS = ("red", "blue", "green", "white", "black", "pink", "brown", "yellow", "grey", "orange", "purple", "golden")
STEPS, SWAPS, HIGHEST = 3, 1, 9


@dataclass(frozen=True)
class Question:
    """A question, how it is worked out, and what comes of it."""

    text: str
    chain: str
    answer: str


@dataclass(frozen=True)
class Family:
    """One kind of question."""

    name: str
    make: Callable[[random.Random], Question]
    answer: Answer
    longest: int  # tokens of a chain that is worked out right, and some more
    recorded: tuple[tuple[Question, str], ...] = ()  # questions with the chain of thought that an LLM gave

    def questions(self, count: int, seed: int, without: frozenset[str] = frozenset()) -> list[Question]:
        """So many different questions, none of `without`: a function of the seed."""
        draw, found = random.Random(f"{self.name}/{seed}"), dict[str, Question]()
        for _ in range(100 * count):
            one = self.make(draw)
            if one.text not in without:
                found.setdefault(one.text, one)
            if len(found) == count:
                return list(found.values())
        raise ValueError(f"There are no {count} different questions of {self.name}.")


def families() -> list[Family]:
    """All four; the first two need DISTRUST_DATA."""
    short = Answer(kind="short", after="answer is")
    yes_no, number = Answer(kind="yes_no", after="answer is"), Answer(kind="number", after="answer is")
    coins, letters = _recorded("coinflip_ood4"), _recorded("letter_concat2")
    flippers = sorted({name for one in coins for name in re.findall(r"([A-Z]\w+) (?:flips|does)", one["question"])})
    quoted = [re.findall(r'"(.*)"', one["question"])[0].split() for one in _recorded("letter_concat_ood4")]
    first, last = ([one[0] for one in quoted], [one[-1] for one in quoted])
    return [
        Family("coin", lambda draw: _coin(draw, flippers), yes_no, 200, _told(coins)),
        Family("letters", lambda draw: letters_of([draw.choice(first), draw.choice(last)]), short, 130, _told(letters)),
        Family("arithmetic", _arithmetic, number, 40),
        Family("shuffled", _shuffled, short, 80),
    ]


def _recorded(task: str) -> list[dict[str, Any]]:
    import pyarrow.parquet as pq

    table = pq.read_table(Path(os.environ["DISTRUST_DATA"]) / "symbolic_lamda" / "outputs.parquet")
    return [one for one in table.to_pylist() if one["task"] == task and one["mode"] == "cot"]


def _told(rows: list[dict[str, Any]]) -> tuple[tuple[Question, str], ...]:
    """Each recorded question once, with what the LLM said of it and the gold answer."""
    found = {one["question"]: (Question(one["question"], "", str(one["target"])), str(one["prediction"])) for one in rows}
    return tuple(found.values())


def _coin(draw: random.Random, names: list[str], people: int = 4) -> Question:
    turns = [(name, draw.random() < 0.5) for name in draw.sample(names, people)]
    told = " ".join(f"{name} {'flips' if turn else 'does not flip'} the coin." for name, turn in turns)
    flipped = [name for name, turn in turns if turn]
    who = " and ".join([", ".join(flipped[:-1]), flipped[-1]] if len(flipped) > 1 else flipped) or "no one"
    count, odd = len(flipped), len(flipped) % 2
    said = (
        f"So the coin was flipped {count} time{'s' if count > 1 else ''}, which is an {'odd' if odd else 'even'} number. "
        f"The coin started heads up, so after an {'odd' if odd else 'even'} number of flips, it will "
        f"{'be tails up' if odd else 'still be heads up'}."
        if count
        else "So the coin was flipped 0 times. The coin started heads up, and it was not flipped, so it is still heads up."
    )
    answer = "no" if odd else "yes"
    return Question(
        f"A coin is heads up. {told} Is the coin still heads up?",
        f"The coin was flipped by {who}. {said} So the answer is {answer}.",
        answer,
    )


def letters_of(words: list[str]) -> Question:
    """Last letters of words, put together."""
    answer = "".join(word[-1] for word in words)
    said = " ".join(f'The last letter of "{word}" is "{word[-1]}".' for word in words)
    return Question(
        f'Take the last letters of the words in "{" ".join(words)}" and concatenate them.',
        f'{said} Concatenating them is "{answer}". So the answer is {answer}.',
        answer,
    )


def _arithmetic(draw: random.Random) -> Question:
    value = start = draw.randint(1, HIGHEST)
    told, said = [], []
    for _ in range(STEPS):
        add = value == 0 or (value < HIGHEST and draw.random() < 0.5)
        by = draw.randint(1, HIGHEST - value if add else value)
        value += by if add else -by
        told.append(f"{'Add' if add else 'Subtract'} {by}.")
        said.append(f"{told[-1][:-1]}: {value}.")
    return Question(
        f"Start with {start}. {' '.join(told)} What is the result?",
        f"{' '.join(said)} So the answer is {value}.",
        str(value),
    )


def _shuffled(draw: random.Random) -> Question:
    has = dict(zip(PEOPLE, draw.sample(COLOURS, len(PEOPLE)), strict=True))
    told, said = [f"{one} has the {colour} ball." for one, colour in has.items()], [_state(has)]
    for _ in range(SWAPS):
        a, b = sorted(draw.sample(PEOPLE, 2))
        has[a], has[b] = has[b], has[a]
        told.append(f"{a} and {b} swap.")
        said.append(f"{told[-1][:-1]}: {_state(has)}")
    who = draw.choice(PEOPLE)
    return Question(
        f"{' '.join(told)} Which ball does {who} have?", f"{' '.join(said)} So the answer is {has[who]}.", has[who]
    )


def _state(has: dict[str, str]) -> str:
    return f"{', '.join(f'{one} {colour}' for one, colour in has.items())}."
