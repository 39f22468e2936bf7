"""What an endpoint teacher is asked: templates, few-shot examples, and the key that an answer is kept under.

Knows the recipe's words and the items' columns. Knows nothing of servers, prices or answers.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import Any

from torch import Tensor

from distrust.data import Items
from distrust.errors import DataError, RecipeError, nearest
from distrust.labels import OPEN, LabelSpace
from distrust.recipe import Endpoint

_FIELD = re.compile(r"\{\{(\w+)\}\}|\{(\w+)\}")  # {{name}} stays as {name}; other braces (JSON) are plain text
REQUEST_TOKENS = 128  # room for what a chat template adds unasked: its default system text, dates, markers
MESSAGE_TOKENS = 16


@dataclass(frozen=True)
class Question:
    """One item's prompt, and the key of its answers in the ledger."""

    item: str
    prompt: str
    key: bytes


class Prompt:
    """The recipe's templates, filled in.

    Args:
        recipe: of the teacher.
        space: the task's classes; under `parse.kind: choice` they are shown and answered as letters.
        examples: few-shot gold, (text, label name) each; where answers are open, (text, reference).

    Raises:
        RecipeError: a field in `example` that does not exist, a system message for plain completions, letters for
            more than 26 classes.
    """

    def __init__(self, recipe: Endpoint, space: LabelSpace, examples: Sequence[tuple[str, str]]) -> None:
        if recipe.system is not None and recipe.api == "completions":
            raise RecipeError(f"teachers.{recipe.name}.system is for `api: chat`; put the words into `prompt` instead.")
        if recipe.parse.kind == "choice" and len(space) > len(ascii_uppercase):
            raise RecipeError(f"teachers.{recipe.name}.parse.kind: choice has 26 letters; there are {len(space)} classes.")
        self.recipe = recipe
        self.answers = tuple(ascii_uppercase[: len(space)]) if recipe.parse.kind == "choice" else space.names
        shown = [f"{letter}) {name}" for letter, name in zip(self.answers, space.names, strict=True)]
        self.labels = ", ".join(shown if recipe.parse.kind == "choice" else space.names)
        self.open = space is OPEN
        where = f"teachers.{recipe.name}.example"
        quoted = [
            {"text": text, "label": label if self.open else self.answers[space.index(label)]} for text, label in examples
        ]
        self.examples = "".join(fill(recipe.example, values, where) for values in quoted)

    def render(self, items: Items, row: int) -> str:
        """One item's prompt. Raises DataError for tensors, RecipeError for a field that is no column."""
        if isinstance(items.inputs, Tensor):
            raise DataError(f"Teacher {self.recipe.name!r} reads texts, but these items are tensors.")
        one = items.inputs[row]
        paired = not isinstance(one, str) and isinstance(one[0], str)
        text, pair = (one[0], one[1]) if paired else (items.text(row), "")
        values: dict[str, Any] = {name: column[row] for name, column in items.columns.items()}
        values |= {"text": text, "examples": self.examples} | ({} if self.open else {"labels": self.labels})
        if paired:
            values["text_pair"] = pair
        return fill(self.recipe.prompt, values, f"teachers.{self.recipe.name}.prompt")

    def question(self, items: Items, row: int, setting: str) -> Question:
        """One item's question under a setting's fingerprint."""
        prompt = self.render(items, row)
        digest = hashlib.blake2b(setting.encode(), digest_size=16)
        for part in (items.ids[row], prompt):
            data = part.encode("utf-8", "surrogatepass")
            digest.update(len(data).to_bytes(8, "big") + data)
        return Question(items.ids[row], prompt, digest.digest())

    def setting(self) -> dict[str, Any]:
        """What could change an answer besides item and prompt: not the server's address, the key, speed or the parser."""
        kept = ("model", "api", "system", "temperature", "top_p", "max_tokens", "seed", "stop", "structured", "logprobs")
        described = {name: getattr(self.recipe, name) for name in kept}
        return described | ({"answers": list(self.answers)} if self.recipe.structured != "none" else {})

    def most_tokens(self, prompt: str) -> int:
        """A bound on the prompt's tokens without its tokenizer: its UTF-8 bytes, and room for a chat template.

        A byte-level or byte-fallback vocabulary needs at most one token a byte. A normaliser that spells one character
        out as many (NFKC ligatures) or a template with a long text of its own can exceed it; what a server reports is
        what is charged, so such a call is booked in full and the next ones find less room.
        """
        messages = 1 + (self.recipe.system is not None)
        texts = prompt + (self.recipe.system or "")
        return len(texts.encode("utf-8", "surrogatepass")) + REQUEST_TOKENS + MESSAGE_TOKENS * messages


def fill(template: str, values: Mapping[str, Any], where: str) -> str:
    """Fill `{name}` fields in one pass, so that braces inside a value stay what they are.

    Raises:
        RecipeError: a field without a value; the nearest one is named.
    """

    def value(match: re.Match[str]) -> str:
        kept, name = match.groups()
        if kept is not None:
            return "{" + str(kept) + "}"
        if name not in values:
            raise RecipeError(f"{where} uses {{{name}}}, which is no column or field; {nearest(name, values)}.")
        return "" if values[name] is None else str(values[name])

    return _FIELD.sub(value, template)
