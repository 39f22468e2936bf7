"""A language model of 40 million parameters that has read Shakespeare, and students of 4 million: for a GPU.

Its tokenizer is trained on what it reads. `verse.toy` is the same at sizes that two cores train in seconds: it shows
that all of it works, and says nothing of quality. Knows nothing of methods.
"""

from __future__ import annotations

import lzma
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from benchmarks._completions import learned, once, paired
from benchmarks._words import ANSWERS
from distrust.data import Items
from distrust.files import fingerprint
from distrust.recipe import CausalStudent as Described
from distrust.recipe import Train
from distrust.students.causal import CausalStudent, build

PROMPT, COMPLETION, WORDS = 24, 48, 10  # tokens at most, and words of a passage that are its prompt
PASSAGE = 45  # words


@dataclass(frozen=True)
class Size:
    """How large a teacher, and how much there is to learn from."""

    teacher: tuple[int, int]  # width, layers
    layers: int  # of students
    vocabulary: int
    pool: int  # passages
    judged: int  # of valid, and of test
    epochs: int  # of the teacher


SIZES = {"verse": Size((512, 12), 4, 4096, 3600, 300, 3), "verse.toy": Size((64, 2), 1, 300, 200, 20, 1)}


@cache
def passages(kind: str) -> tuple[Items, Items, Items]:
    """Pool, valid and test: the first words of a passage, with a column `completion`, in the order of the plays."""
    size = SIZES[kind]
    raw = lzma.decompress((Path(os.environ["DISTRUST_DATA"]) / "tinyshakespeare" / "input.txt.xz").read_bytes()).decode()
    words = raw.split()
    each = [words[at : at + PASSAGE] for at in range(0, len(words) - PASSAGE, PASSAGE)][: size.pool + 2 * size.judged]
    pairs = [(" ".join(one[:WORDS]), " ".join(one[WORDS:])) for one in each]
    ends = (size.pool, size.pool + size.judged, size.pool + 2 * size.judged)
    parts = [pairs[start:end] for start, end in zip((0, *ends), ends, strict=False)]
    return tuple(paired(part, name) for part, name in zip(parts, "pvt", strict=True))  # type: ignore[return-value]


def model(kind: str, width: int, layers: int, seed: int) -> CausalStudent:
    """A Llama from random weights, which reads as every other of its kind."""
    config = {
        "model_type": "llama",
        "hidden_size": width,
        "intermediate_size": width * 8 // 3,
        "num_hidden_layers": layers,
        "num_attention_heads": max(2, width // 64),
        "num_key_value_heads": max(2, width // 64),
        "max_position_embeddings": 128,
        "tie_word_embeddings": True,
    }
    lengths = {"max_prompt_length": PROMPT, "max_completion_length": COMPLETION, "vocabulary": SIZES[kind].vocabulary}
    options = Described(kind="causal", config=config, template="{prompt}", **lengths)
    return build(options, ANSWERS, seed, passages(kind)[0])


@cache
def teacher(kind: str) -> CausalStudent:
    """Who has read the pool; trained once and kept, by one process while others wait."""
    return once(kind, fingerprint(Path(__file__).read_text())[:12], lambda: _taught(kind))


def _taught(kind: str) -> CausalStudent:
    size, pool = SIZES[kind], passages(kind)[0]
    loop = Train(num_train_epochs=size.epochs, per_device_train_batch_size=25, learning_rate=1e-3, save_seconds=1e9)
    loop = loop.model_copy(update={"lr_scheduler_type": "cosine", "warmup_ratio": 0.05})
    return learned("teacher", model(kind, *size.teacher, seed=0), pool, loop, 0)
