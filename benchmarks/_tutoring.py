"""Language models to learn from, small enough for two cores: their students, and texts that both read.

Of texts the teacher is `stories260k`, a real Llama of 260,032 parameters with its own tokenizer; they are stories that it
writes at temperature 1, or Shakespeare's, for which it was not trained. Of puzzles and of verse
`_puzzles` and `_verse` train it.
Students are Llamas of fewer dimensions, from random weights or cut out of the teacher's, and all begin from the same
fine-tuning on what they are told. Knows nothing of methods.
"""

from __future__ import annotations

import copy
import lzma
import os
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks import _verse
from benchmarks._completions import KEPT, learned, paired
from benchmarks._puzzles import KINDS, LAYERS, items, model
from benchmarks._puzzles import teacher as puzzled
from benchmarks._words import ANSWERS
from distrust.checkpoint import load_weights
from distrust.data import Items
from distrust.files import fingerprint, write_atomically
from distrust.recipe import CausalStudent as Described
from distrust.recipe import Train
from distrust.store import save_tensors
from distrust.students.causal import CausalStudent, build
from distrust.students.sampling import Sampling, generate
from distrust.teachers.local_writer import LocalWriter
from tests.stories import save_stories

PROMPT, COMPLETION = 24, 48  # tokens at most
WORDS = 10  # of a text, which are its prompt
POOL, VALID, TEST = 1000, 100, 200
PUZZLES = 2000  # of a pool
WRITTEN = 1700  # texts of the teacher that are kept
BATCH = 25


@dataclass(frozen=True)
class Cell:
    """Which texts, how wide a student, and from which weights."""

    texts: str  # "stories", "shakespeare", or a kind of puzzles
    width: int
    start: str = "random"  # or "teacher"

    @property
    def name(self) -> str:
        return f"{self.texts}.{self.width}" + ("" if self.start == "random" else f".{self.start}")


@dataclass(frozen=True)
class Texts:
    """Prompts with their completions."""

    pool: Items  # with a column `completion`
    valid: Items  # on which a learning rate is chosen
    test: Items


def teacher(kind: str) -> LocalWriter:
    """Who teaches a kind of texts; a new one each time, for methods train terms in it."""
    if kind in KINDS:
        return LocalWriter(kind, copied(puzzled(kind)), Sampling(temperature=1.0))
    if kind in _verse.SIZES:
        return LocalWriter(kind, copied(_verse.teacher(kind)), Sampling(temperature=1.0))
    return LocalWriter("stories260k", _read(_folder(), 0), Sampling(temperature=1.0))


@cache
def texts(kind: str) -> Texts:
    """Texts of one kind, always the same. Most are longer than what is read of them: they end where their writer ended."""
    if kind in KINDS:
        return Texts(*(items(kind, count, start) for count, start in ((PUZZLES, "p"), (VALID, "v"), (TEST, "t"))))
    if kind in _verse.SIZES:
        return Texts(*_verse.passages(kind))
    said = _stories() if kind == "stories" else _shakespeare()
    words = [one.split() for one in said]
    pairs = [(" ".join(one[:WORDS]), " ".join(one[WORDS:])) for one in words if len(one) >= 2 * WORDS]
    assert len(pairs) >= POOL + VALID + TEST, len(pairs)
    valid, test = pairs[POOL : POOL + VALID], pairs[POOL + VALID : POOL + VALID + TEST]
    return Texts(paired(pairs[:POOL], "p"), paired(valid, "v"), paired(test, "t"))


def student(cell: Cell, seed: int) -> CausalStudent:
    """A student after two epochs of fine-tuning on the cell's texts: where every method begins. Trained once and kept."""
    made = _untrained(cell, seed)
    if cell.start == "teacher":
        _cut(_read(_folder(), 0).module.state_dict(), made.module)
    kept = _folder().parent / f"{cell.name}-{seed}-{_made_by()}.safetensors"
    if kept.is_file():
        load_weights(kept, made.module)
        return made
    loop = Train(num_train_epochs=2, per_device_train_batch_size=BATCH, learning_rate=5e-3, save_seconds=1e9)
    learned("student", made, texts(cell.texts).pool, loop, seed)
    save_tensors(kept, made.module.state_dict())
    return made


def _untrained(cell: Cell, seed: int) -> CausalStudent:
    if cell.texts in _verse.SIZES:
        return _verse.model(cell.texts, cell.width, _verse.SIZES[cell.texts].layers, seed)
    return model(cell.width, LAYERS, seed) if cell.texts in KINDS else _read(_folder(), seed, cell.width)


def copied(one: CausalStudent) -> CausalStudent:
    """The same student again, to be trained by another method."""
    return replace(one, module=copy.deepcopy(one.module))


def _stories() -> list[str]:
    """What the teacher writes at temperature 1, of nothing: kept, since it takes a minute."""
    kept = _folder().parent / f"stories-{WRITTEN}.txt"
    if not kept.is_file():
        nothing = Items(tuple(f"s{row}" for row in range(WRITTEN)), tuple([""] * WRITTEN))
        written = generate(teacher("stories").model, nothing, temperature=1.0, max_new_tokens=80, seed=11, rows=256)
        write_atomically(kept, "\n".join(" ".join(one[0].split()) for one in written.texts))
    return kept.read_text(encoding="utf-8").splitlines()


def _shakespeare() -> list[str]:
    raw = lzma.decompress((Path(os.environ["DISTRUST_DATA"]) / "tinyshakespeare" / "input.txt.xz").read_bytes()).decode()
    words = raw.split()
    size = 5 * WORDS
    return [" ".join(words[at : at + size]) for at in range(0, len(words) - size, size)]


@cache
def _folder() -> Path:
    """The teacher as transformers loads it, converted once."""
    folder = KEPT / "stories260k"
    if not (folder / "config.json").is_file():
        folder.parent.mkdir(exist_ok=True)
        save_stories(folder, Path(os.environ["DISTRUST_DATA"]))
    return folder


def _read(folder: Path, seed: int, width: int | None = None) -> CausalStudent:
    """The teacher's model; or one of another width from random weights, with its tokenizer."""
    common: dict[str, Any] = {"template": "{prompt}", "max_prompt_length": PROMPT, "max_completion_length": COMPLETION}
    if width is None:
        options = Described(kind="causal", model=str(folder), **common)
    else:
        heads = max(2, width // 8)
        config = {
            "model_type": "llama",
            "hidden_size": width,
            "intermediate_size": width * 8 // 3,
            "num_hidden_layers": 5,
            "num_attention_heads": heads,
            "num_key_value_heads": heads // 2,
            "max_position_embeddings": 512,
            "tie_word_embeddings": True,
        }
        options = Described(kind="causal", config=config, tokenizer=str(folder), **common)
    return build(options, ANSWERS, seed, Items((), ()))


def _cut(weights: dict[str, Tensor], module: torch.nn.Module) -> None:
    """The first rows and columns of every matrix of the teacher."""
    with torch.no_grad():
        for name, own in module.state_dict().items():
            own.copy_(weights[name][tuple(slice(size) for size in own.shape)])


def _made_by() -> str:
    """A fingerprint of how students begin."""
    here, names = Path(__file__).parent, ("_tutoring.py", "_puzzles.py", "_verse.py", "_completions.py")
    return fingerprint([(here / name).read_text() for name in names])[:12]
