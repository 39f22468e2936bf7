"""One column of a stranger's table: what its name and its values can tell.

Knows words that people name columns with. Does not know the other columns, nor what any is for.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

CLASSES = 500  # a column of more distinct values holds no labels
VOUCHED = {"gold", "human", "true", "truth", "expert"}
LABEL = {"label", "labels", "class", "category", "target", "intent", "topic", "sentiment", "y"}
TEACHER = {
    "teacher", "llm", "gpt", "chatgpt", "openai", "claude", "gemini", "llama", "mistral", "qwen", "deepseek", "bert",
    "model", "pred", "prediction", "predicted", "annotator", "worker", "crowd", "rater", "weak", "auto", "noisy", "silver",
}  # fmt: skip
CONFIDENCE = {"confidence", "conf", "probability", "prob", "certainty", "score"}
ABOUT = {"split", "source", "language", "lang", "date", "dataset"}  # what is said of an item, not what it is
RATIONALE = {"rationale", "explanation", "reason", "reasoning", "thought", "thoughts", "cot", "justification", "why"}


@dataclass(frozen=True)
class Column:
    """One column: its values as text, missing and blank ones left out, lists of sampled answers taken apart."""

    name: str
    values: Sequence[Any]

    @cached_property
    def cells(self) -> list[str]:
        return [str(value) for value in self.values if value is not None and str(value).strip()]

    @cached_property
    def counts(self) -> Counter[str]:
        answers = (one for value in self.values for one in (value if isinstance(value, (list, tuple)) else [value]))
        return Counter(str(one) for one in answers if one is not None and str(one).strip())

    @cached_property
    def parts(self) -> set[str]:
        """The parts of the name: `GPT4_label` to gpt4, label."""
        return set(re.findall(r"[a-z0-9]+", re.sub(r"([a-z])([A-Z])", r"\1_\2", self.name).lower()))

    @cached_property
    def words(self) -> set[str]:
        """The same without numbers: gpt, label."""
        return {word for part in self.parts for word in re.findall(r"[a-z]+", part)}

    @cached_property
    def length(self) -> float:
        """Mean number of characters."""
        return sum(map(len, self.cells)) / max(len(self.cells), 1)

    @property
    def numeric(self) -> bool:
        return bool(self.cells) and all(number(cell) is not None for cell in self.cells)

    @property
    def wordy(self) -> bool:
        """Most cells are several words, as texts are."""
        return 2 * sum(" " in cell.strip() for cell in self.cells) > len(self.cells) and not self.numeric

    @property
    def few(self) -> bool:
        """Few and short distinct values, as labels are; a name that says so makes up for a short table."""
        named = bool(self.words & (VOUCHED | LABEL | TEACHER))
        repeated = 2 * len(self.counts) <= sum(self.counts.values())
        return 0 < len(self.counts) <= CLASSES and (named or repeated) and max(map(len, self.counts)) <= 80


def number(cell: str) -> float | None:
    """A cell as a finite number, None where it is none."""
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if abs(value) < float("inf") else None
