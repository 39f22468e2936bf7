"""Pages that show figures: what stands between a page's two marks is written from result files, so that no number is typed.

Knows the marks, and how a difference in points is written. Knows no page and no figure.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from distrust.files import write_atomically

BETWEEN = re.compile(r"(?<=<!-- figures: begin -->\n).*?(?=<!-- figures: end -->)", re.DOTALL)


def fill(page: Path, text: Callable[[], str]) -> None:
    """Replace what stands between the page's two marks."""
    write_atomically(page, BETWEEN.sub(lambda _: text(), page.read_text(encoding="utf-8")))


def points(of: dict[str, Any], name: str, digits: int = 1) -> str:
    """A difference and its interval, in points: `+1.2 [+0.3, +2.1]`."""
    value, low, high = (f"{100 * of[one]:+.{digits}f}" for one in (name, f"{name}.low", f"{name}.high"))
    return f"{value} [{low}, {high}]"
