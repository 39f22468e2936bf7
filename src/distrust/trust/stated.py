"""Trust that an assistant states when it is shown a claim: true or false, or a number in words.

Knows log-probabilities of two words, and texts, which are hostile. Does not know who claimed, or how the question was put.
Models say they are sure more often than they are right: calibrate on gold (`trust.calibration`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import torch
from torch import Tensor

READ = 4096  # characters looked at, from the end
_NAMED = re.compile(r"\b(?:confiden\w*|probab\w*|certain\w*|likel\w*|sure)\b", re.IGNORECASE)
_NUMBER = re.compile(
    r"(?<![\w.,/-])(?P<value>\d{1,6}(?:\.\d{1,12})?|\.\d{1,12})"
    r"(?:\s{0,3}(?P<percent>%|percent\b)|\s{0,3}(?:/|out of)\s{0,3}(?P<of>\d{1,6})(?!\.?\d)|(?![\w/%]|[.,]\d))"
)


def p_true(true: Tensor, false: Tensor) -> Tensor:
    """Probability of "True" against "False": two log-probabilities (*items) in nats to (*items) in [0, 1].

    A constant added to both changes nothing; NaN where both are -inf, and the assistant has said nothing.

    Source: Kadavath et al. 2022, P(True); TA-in-the-loop card, equation A2a.
    """
    return (true - false).sigmoid()


def stated_confidence(texts: Sequence[Sequence[str]]) -> Tensor:
    """The number that an assistant's replies give, averaged over samples: B lists of texts to (B,), NaN where there is none.

    Source: Tian et al. 2023, verbalised confidence; TA-in-the-loop card, equation A2b.
    """
    read = [[value for text in one if (value := read_confidence(text)) is not None] for one in texts]
    return torch.tensor([sum(one) / len(one) if one else torch.nan for one in read], dtype=torch.float32)


def read_confidence(text: str) -> float | None:
    """The confidence that a reply states, in [0, 1]: "0.85", "85 %", "8/10", "8 out of 10"; None where it is not clear.

    Of several numbers the first after the last word such as "confidence" or "probability" counts; without such a word a
    text that holds another number than one says nothing clear. A bare 85 is refused: of how many?
    """
    tail = text[-READ:]
    named = list(_NAMED.finditer(tail))
    found = list(_NUMBER.finditer(tail, named[-1].end() if named else 0))
    if not found or (not named and len(found) > 1):
        return None
    value, whole = float(found[0]["value"]), 100.0 if found[0]["percent"] else float(found[0]["of"] or 1)
    return value / whole if 0 <= value <= whole and whole > 0 else None
