"""Mistakes that a person can mend, as one sentence each.

Knows how to phrase a refusal and how to name the nearest legal value. Knows nothing of what is refused: every room
raises these, and only the command line turns them into an exit code.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class DistrustError(Exception):
    """A refusal whose message is a sentence for the user: shown without a traceback, exit code 2."""


class DataError(DistrustError):
    """A file, column, label or tensor that is not what the task needs."""


class RecipeError(DistrustError):
    """A recipe that does not say what to do, or says it in words that are not legal."""


class TeacherError(DistrustError):
    """A teacher that cannot be reached, loaded or believed to be the one that answered before."""


class BudgetError(DistrustError):
    """A budget that cannot be kept: an unknown price under a money cap, a cap below what is already spent."""


class RunError(DistrustError):
    """A run folder that belongs to another recipe, cannot be written, or is in use."""


def nearest(word: str, legal: Iterable[str], say: str = "legal are") -> str:
    """End a refusal of `word`: the nearest legal value if one is close, and the first twelve legal values."""
    options = [str(option) for option in legal]
    close = difflib.get_close_matches(str(word), options, n=1, cutoff=0.6)
    hint = f"did you mean {close[0]!r}? " if close else ""
    shown = ", ".join(options[:12]) + (f" and {len(options) - 12} more" if len(options) > 12 else "")
    return f"{hint}{say} {shown}" if options else f"{hint}{say} none"
