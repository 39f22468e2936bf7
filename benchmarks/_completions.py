"""Prompts with their completions, and models that have learned them: what the language models of benchmarks share.

Knows the library's loop. Knows nothing of what the texts are.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from distrust.data import Items
from distrust.distillation import default_objective
from distrust.files import fingerprint
from distrust.labelled import from_texts
from distrust.recipe import Train
from distrust.sides import Side
from distrust.stages import held
from distrust.students.causal import CausalStudent, load
from distrust.train import Fit, fit

KEPT = Path(tempfile.gettempdir()) / "distrust-tutoring"


def paired(pairs: Sequence[tuple[str, str]], start: str) -> Items:
    """Prompts with a column `completion`; `start` begins their ids."""
    ids = tuple(f"{start}{row}" for row in range(len(pairs)))
    return Items(ids, tuple(prompt for prompt, _ in pairs), {"completion": tuple(text for _, text in pairs)})


def learned(name: str, made: CausalStudent, items: Items, loop: Train, seed: int) -> CausalStudent:
    """A model after the library's loop on its items' completions: itself."""
    told = from_texts(items, [{one: 1.0} for one in items.columns["completion"]])
    with tempfile.TemporaryDirectory() as folder:
        fit([Side(made, default_objective(told), loop)], Fit(name, told, loop, seed, Path(folder)))
    return made


def once(kind: str, key: str, make: Callable[[], CausalStudent]) -> CausalStudent:
    """A teacher, trained once and kept by a key of its program and of this one, by one process while others wait."""
    folder = KEPT / f"{kind}-{fingerprint(key, Path(__file__).read_text())[:12]}"
    with held(KEPT, f"{kind}.lock"):
        if not (folder / "tokenizer_config.json").is_file():
            make().save(folder)
    return load(folder)
