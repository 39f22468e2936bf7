"""Tiny causal students, made on the spot, and prompts for them."""

from __future__ import annotations

import random

from distrust import recipe
from distrust.answers import Answers
from distrust.data import Items
from distrust.students.causal import CausalStudent, build

LLAMA = {
    "model_type": "llama",
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
}
GPT2 = {"model_type": "gpt2", "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 128}
SLIDING = {**LLAMA, "model_type": "mistral", "sliding_window": 8}
KINDS = {"llama": LLAMA, "gpt2": GPT2, "mistral": SLIDING}
WILD = {"initializer_range": 0.4}  # so that different prompts are answered differently


def flips(count: int, seed: int = 0, most: int = 3) -> tuple[Items, list[str]]:
    """Coins that people flip or do not, and whether heads are up in the end."""
    draw = random.Random(seed)
    texts, answers = [], []
    for _ in range(count):
        turns = [draw.random() < 0.5 for _ in range(draw.randint(1, most))]
        texts.append("Heads up. " + " ".join(f"{draw.choice('ABC')} {'flips' if turn else 'waits'}." for turn in turns))
        answers.append("no" if sum(turns) % 2 else "yes")
    return Items(tuple(f"f{row}" for row in range(count)), tuple(texts)), answers


def options(kind: str = "llama", wild: bool = False, **more: object) -> recipe.CausalStudent:
    config = {**KINDS[kind], **(WILD if wild else {})}
    known = {"kind": "causal", "config": config, "vocabulary": 300, "max_prompt_length": 48, "max_completion_length": 12}
    return recipe.CausalStudent.model_validate({**known, **more})


def writer(kind: str = "llama", wild: bool = True, seed: int = 0, **more: object) -> CausalStudent:
    """An untrained student whose tokenizer knows the coins."""
    return build(options(kind, wild, **more), Answers(recipe.Answer()), seed, flips(60)[0])
