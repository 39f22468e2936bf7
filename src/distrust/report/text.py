"""Text from outside, made inert; figures and values, made readable.

Knows characters that move a cursor, reorder a line or cannot be written. Escapes no HTML: the page's templates do that
for everything. Knows nothing of what a text says.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from typing import Any

from distrust.secrets import redact

# C0 and C1 controls but tab and newline, marks that reorder text, line separators, halves of characters
_ACTIVE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff]")


def inert(text: object, limit: int = 300) -> str:
    """What a page or a terminal may show of a text from outside: no control, no reordering, at most `limit` characters.

    What is struck out stays visible as "\\ufffd"; a shortened text says how many characters it had.
    """
    whole = redact(str(text))
    shown = _ACTIVE.sub("\ufffd", whole[:limit].replace("\r\n", "\n"))
    return shown if len(whole) <= limit else f"{shown.rstrip()} … ({len(whole):,} characters)"


def plain(value: Any) -> Any:
    """A value as JSON can say it: NaN and infinity become None, tensors lists, dataclasses dicts; secrets are struck out."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str):
        return redact(value).encode("utf-8", "replace").decode()
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, Mapping):
        return {plain(str(key)): plain(one) for key, one in value.items()}
    if hasattr(value, "tolist"):  # a tensor or a numpy value
        return plain(value.tolist())
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(one) for one in value]
    return plain(str(value))


def percent(share: float | None) -> str:
    """0.744 as "74 %", and 0.996 as "99.6 %": only everything is 100 %, and only nothing 0 %; "unknown" for None."""
    if share is None:
        return "unknown"
    whole = 0.005 <= share <= 0.995 or share in (0, 1)
    return f"{100 * share:.0f} %" if whole else f"{min(max(100 * share, 0.1), 99.9):.1f} %"


def count(number: float | None) -> str:
    """12345 as "12,345"; "unknown" for None."""
    return "unknown" if number is None else f"{number:,.0f}"


def money(amount: float | None) -> str:
    """An amount in the recipe's currency, small ones with enough digits to be seen; "unknown" for None, never 0."""
    if amount is None:
        return "unknown"
    return f"{amount:,.2f}" if amount == 0 or amount >= 0.1 else f"{amount:.2g}"
