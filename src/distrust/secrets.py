"""`${NAME}` in a recipe: looked up when used, and struck out wherever text leaves the program; strangers' text made inert.

Knows environment variables and the values it has handed out, and which characters a terminal would obey. Recipes, stage
keys and reports hold `${NAME}` itself; only the room that opens a file or a connection calls `expand`.
"""

from __future__ import annotations

import os
import re

from distrust.errors import RecipeError

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_handed_out: set[str] = set()
LEAST = 8  # characters of a secret; "x", "none" or "EMPTY" is what a server without keys is told, and a word of any answer


def expand(text: str, secret: bool = False) -> str:
    """Replace every `${NAME}` by the environment's value; with `secret`, remember those of 8 characters or more to `redact`.

    Raises:
        RecipeError: a variable that is not set. Its name is said, never a value.
    """

    def value(match: re.Match[str]) -> str:
        name = match.group(1)
        if name not in os.environ:
            raise RecipeError(f"The recipe uses ${{{name}}} but the environment variable {name} is not set.")
        if secret and len(os.environ[name].strip()) >= LEAST:
            _handed_out.add(os.environ[name].strip())  # a file's last newline is part of the value, not of its echo
        return os.environ[name]

    return _VARIABLE.sub(value, text)


def redact(text: str) -> str:
    """Strike out every secret handed out so far: for errors, logs and stored answers that may quote one back."""
    for secret in sorted(_handed_out, key=len, reverse=True):
        text = text.replace(secret, "***")
    return text


def show(text: str, limit: int = 200) -> str:
    """Text from outside as one harmless line: secrets struck out, blanks folded, control and escape characters spelt out.

    For errors, notes and terminals. Stored answers keep their raw text; a page escapes HTML besides.
    """
    line = " ".join(redact(text)[: 8 * limit].split())  # struck out before cut: half a secret is one too
    inert = "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in line)
    return inert if len(inert) <= limit else inert[: limit - 1] + "…"
