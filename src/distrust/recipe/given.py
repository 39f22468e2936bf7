"""The part of a recipe that says what is there: the items, the gold, and how an open answer is read.

Knows which keys and values are legal. Knows nothing of files.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field, model_validator

from distrust.recipe.strict import Strict


class Source(Strict):
    """A table of items: a file or a hub data set."""

    path: str = Field(description="CSV, TSV, JSON, JSONL or parquet file, or a hub data set id; `${NAME}` is expanded")
    text: str = Field(
        "text", description="column the student reads; for generation, where there is no such column, `prompt` or `messages`"
    )
    text_pair: str | None = Field(None, description="second column, for sentence pairs")
    image: str | None = Field(
        None, description="column of image files, from the table's folder on; teachers and student then read these"
    )
    id: str | None = Field(None, description="column of item ids; default: a hash of the text")
    label: str | None = Field(None, description="column of gold labels; for generation of reference texts, `completion`")
    split: str | None = Field(None, description="split of a hub data set")
    limit: int | None = Field(None, gt=0, description="read only the first rows")


class Data(Strict):
    """Where the items are."""

    pool: Source = Field(
        description="the items to learn from; its label column, if any, is only read for `gold` and `worth`"
    )
    test: Source | None = Field(None, description="gold-labelled items that only the final evaluation sees")
    validation: Source | None = Field(None, description="gold-labelled items for early stopping")


class GoldRecipe(Strict):
    """The few labels a person vouches for."""

    path: str | None = Field(None, description="file with an id and a label column; default: the pool's label column")
    id: str | None = Field(None, description="id column of `path`; default: joined by text")
    text: str = Field("text", description="text column of `path`, when joined by text")
    label: str = Field("label", description="label column of `path`")
    size: int | None = Field(None, gt=0, description="use only so many, drawn at random with `seed`")
    seed: int | None = Field(None, description="seed of that draw; default: the recipe's seed")
    reserve: dict[str, Annotated[int, Field(ge=0)]] = Field(
        default_factory=dict, description="items that one purpose owns alone, e.g. `{prompt: 8, stop: 20}`"
    )


class Answer(Strict):
    """From an open answer's text to what it claims, so that two answers can be the same."""

    kind: Literal["text", "short", "number", "choice", "yes_no", "regex"] = Field(
        "text",
        description="`text`: all of it; `short`: its first line; `number`: the last one; `choice`: a letter A, B, ...; "
        "`yes_no`; `regex`",
    )
    after: str | None = Field(None, description="read only what follows the last occurrence of this")
    pattern: str | None = Field(None, description="for `regex`: its first group, or whole match, is the answer")

    @model_validator(mode="after")
    def _pattern_is_one(self) -> Answer:
        if (self.kind == "regex") != (self.pattern is not None) or self.pattern == "":
            raise ValueError("`kind: regex` and a `pattern` come together")
        try:
            re.compile(self.pattern or "")
        except (re.error, OverflowError, RecursionError) as error:
            raise ValueError(f"pattern {self.pattern!r} is no regular expression: {error}") from error
        return self
