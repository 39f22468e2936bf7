"""Sequences of symbols to be copied, reversed or sorted, and sets of symbols of which any order is right.

A teacher learns each kind from many more items than a student sees. Of the first kind one answer is right, so that a
student is right or wrong; of the second every prompt has 24, so that a student may say some of them and never the others.
Knows puzzles, who has learned them, and how answers are judged. Knows nothing of methods.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import cache
from itertools import permutations
from pathlib import Path

import torch
from torch import Tensor

from benchmarks._completions import learned, once, paired
from benchmarks._words import ANSWERS, tokenizer
from distrust.data import Items
from distrust.files import fingerprint
from distrust.modules import frozen
from distrust.recipe import CausalStudent as Described
from distrust.recipe import Train
from distrust.students.causal import CausalStudent, build
from distrust.students.completions import IGNORED
from distrust.students.sampling import generate

KINDS = ("sequences", "many")
SYMBOLS = tuple("abcdefghijkl")
TASKS = ("copy", "reverse", "sort")
SHORTEST, LONGEST, CHOSEN = 3, 5, 4  # symbols of a sequence; of a set
LEARNED = 48_000  # items that a teacher learns from, once each
TEACHER = (96, 3)  # width, layers
LAYERS = 2  # of a student
BATCH, RATE = 32, 2e-3


@dataclass(frozen=True)
class Puzzle:
    """A prompt and one right completion of it."""

    prompt: str
    answer: str


def items(kind: str, count: int, start: str) -> Items:
    """Puzzles with a right completion each; `start` begins their ids and decides what is drawn."""
    draw = random.Random(f"{kind} {start}")
    made = [_sequence(draw) if kind == "sequences" else _set(draw) for _ in range(count)]
    return paired([(one.prompt, one.answer) for one in made], start)


def model(width: int, layers: int, seed: int) -> CausalStudent:
    """A Llama from random weights that reads puzzles."""
    config = {
        "model_type": "llama",
        "hidden_size": width,
        "intermediate_size": width * 8 // 3,
        "num_hidden_layers": layers,
        "num_attention_heads": max(2, width // 16),
        "num_key_value_heads": max(2, width // 16),
        "max_position_embeddings": 64,
    }
    lengths = {"max_prompt_length": LONGEST + 1, "max_completion_length": LONGEST + 1}
    words = tokenizer((*SYMBOLS, *TASKS, "any"))
    options = Described(kind="causal", config=config, tokenizer=words, template="{prompt}", **lengths)
    return build(options, ANSWERS, seed, Items((), ()))


@cache
def teacher(kind: str) -> CausalStudent:
    """Who has learned a kind of puzzles; trained once and kept, by one process while others wait."""
    return once(kind, _made_by(), lambda: _taught(kind))


def _taught(kind: str) -> CausalStudent:
    loop = Train(num_train_epochs=1, per_device_train_batch_size=BATCH, learning_rate=RATE, lr_scheduler_type="cosine")
    loop = loop.model_copy(update={"warmup_ratio": 0.05, "save_seconds": 1e9})
    return learned("teacher", model(*TEACHER, seed=0), items(kind, LEARNED, "l"), loop, 0)


def judged(kind: str, own: CausalStudent, test: Items) -> dict[str, float]:
    """How right a student is: `exact` greedily and `exact_sampled`; or `right`, its probability of any right answer.

    And `covered`: the effective share of the right answers that it says, exp(entropy of its probabilities of them) over
    their number; 1 where it says all of them alike.
    """
    if kind == "sequences":
        wanted = test.columns["completion"]
        said = [generate(own, test, temperature=temperature, seed=9).texts for temperature in (0.0, 1.0)]
        shares = [sum(one[0] == right for one, right in zip(texts, wanted, strict=True)) / len(test) for texts in said]
        return {"exact": shares[0], "exact_sampled": shares[1]}
    orders = [[" ".join(one) for one in permutations(prompt.split()[1:])] for prompt in map(str, test.inputs)]
    chances = _chances(own, test, orders)  # (B, 24)
    mass = chances.sum(-1)
    shares = chances / mass.unsqueeze(-1)
    spread = torch.special.entr(shares).sum(-1).exp() / chances.shape[1]
    return {"right": float(mass.mean()), "covered": float(spread.mean())}


def _chances(own: CausalStudent, test: Items, texts: list[list[str]]) -> Tensor:
    """How likely a student finds each of K completions of each item, with its end: (B, K)."""
    whose = torch.arange(len(test)).repeat_interleave(len(texts[0]))
    read = own.encode_told(test, [one for own_texts in texts for one in own_texts], whose)
    found = []
    with frozen(own.module):
        for rows in torch.split(torch.arange(len(read)), 512):
            inputs = read.batch(rows)
            labels = inputs["labels"]
            logp = own.logits(inputs).log_softmax(-1).gather(-1, labels.clamp(min=0).unsqueeze(-1)).squeeze(-1)  # (n, T)
            found.append((logp * (labels != IGNORED)).sum(-1).double().exp())
    return torch.cat(found).view(len(test), -1)


def _sequence(draw: random.Random) -> Puzzle:
    task, symbols = draw.choice(TASKS), draw.choices(SYMBOLS, k=draw.randint(SHORTEST, LONGEST))
    answer = {"copy": symbols, "reverse": symbols[::-1], "sort": sorted(symbols)}[task]
    return Puzzle(" ".join([task, *symbols]), " ".join(answer))


def _set(draw: random.Random) -> Puzzle:
    symbols = draw.sample(SYMBOLS, CHOSEN)
    return Puzzle(" ".join(["any", *symbols]), " ".join(draw.sample(symbols, CHOSEN)))


def _made_by() -> str:
    """A fingerprint of how teachers are made."""
    return fingerprint(Path(__file__).read_text())[:12]
