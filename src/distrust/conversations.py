"""Conversations as people store them: lists of messages, or the JSON of such a list, which is all that CSV can hold.

Knows roles and contents. Knows nothing of files, models or what a conversation is used for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from distrust.errors import DataError

Turns = tuple[tuple[str, str], ...]  # a conversation: (role, content) in order
ASSISTANT = "assistant"
MESSAGE = '{"role": text, "content": text}'

_WRITTEN = re.compile(r"""\s*\[\s*\{\s*["'](role|content)["']\s*:""")  # a list of messages, in JSON or as Python prints it


def hold_turns(values: Sequence[Any]) -> bool:
    """Whether a column of prompts holds conversations: a list among its cells, or messages written down in all of them."""
    cells = [value for value in values if value is not None]
    return any(isinstance(one, list) for one in cells) or (bool(cells) and all(_WRITTEN.match(str(one)) for one in cells))


def turns(value: Any) -> Turns | None:
    """A cell as a conversation: a list of messages, or JSON of one; None for anything else."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return None
    if not isinstance(value, list) or not value:
        return None
    told: list[tuple[str, str]] = []
    for one in value:
        role, content = (one.get("role"), one.get("content")) if isinstance(one, dict) else (None, None)
        if not isinstance(role, str) or not isinstance(content, str):
            return None
        told.append((role, content))
    return tuple(told)


def spoken(value: Any) -> Any:
    """A completion that is stored as one message of the assistant, as its text; any other cell as it is."""
    told = turns(value) if isinstance(value, list) or (isinstance(value, str) and _WRITTEN.match(value)) else None
    return told[0][1] if told is not None and len(told) == 1 and told[0][0] == ASSISTANT else value


def conversations(values: Sequence[Any], name: str, path: str) -> tuple[list[Turns], list[str | None]]:
    """A column of conversations without what the assistant says last in each, and that; None where it does not.

    Raises:
        DataError: a cell that is no conversation, one that begins with the assistant, or half a surrogate pair.
    """
    asked: list[Turns] = []
    completions: list[str | None] = []
    for row, value in enumerate(values, start=1):
        where, told = f"{path}, row {row}: {name!r}", turns(value)
        if told is None:
            raise DataError(f"{where} is no list of {MESSAGE}, nor JSON of one{_hint(value)}.")
        try:
            "".join(part for turn in told for part in turn).encode()
        except UnicodeEncodeError:
            raise DataError(f"{where} holds half a surrogate pair, which is no text.") from None
        answered = told[-1][0] == ASSISTANT
        if answered and len(told) == 1:
            raise DataError(f"{where} begins with the assistant, so nothing is asked.")
        completions.append(told[-1][1] if answered else None)
        asked.append(told[:-1] if answered else told)
    return asked, completions


def _hint(value: Any) -> str:
    """What became of a list that `Dataset.to_csv` or pandas wrote."""
    printed = isinstance(value, str) and _WRITTEN.match(value) and "'" in value
    return "; it looks printed by Python: save the table as JSON lines or parquet, which keep lists" if printed else ""
