"""Log-probabilities of labels, read from those of an answer's first token, where that is honest.

Knows the two shapes in which servers give log-probabilities. Does not know who answered or what was claimed elsewhere.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

SHARED = 0.01  # of the mass on tokens that begin several labels: too little to matter
FIRST = tuple[str, list[tuple[str, float]]]  # the token that was chosen, and the most likely ones with log-probabilities


def label_logprobs(served: str | None, answers: Sequence[str], claim: int) -> list[float] | None:
    """Log-probabilities of the labels from the first token of an answer, or None where they cannot be read off.

    A label has the mass of the tokens it alone begins with (" pos", "Pos"). Where several labels share more than a
    hundredth of the mass, or the first token does not lead to the claimed label ("The label is ..."), it is None. A label
    that none of the served tokens begins gets an even share of the mass left, and at most the least mass served: an
    upper bound, not zero.

    Args:
        served: JSON of `logprobs` as the server gave it.
        answers: the (C,) legal answers as the teacher writes them.
        claim: class index that the answer's text was read as.
    """
    first = _first_token(served)
    if first is None or claim < 0:
        return None
    chosen, top = first
    if _begun(chosen, answers) != [claim] or not top:
        return None
    mass, shared = [0.0] * len(answers), 0.0
    for token, logp in top:
        begun = _begun(token, answers)
        if len(begun) == 1:
            mass[begun[0]] += math.exp(logp)
        elif begun:
            shared += math.exp(logp)
    if shared > SHARED:
        return None
    served_mass = sum(math.exp(logp) for _, logp in top)
    unseen = sum(one == 0.0 for one in mass)
    least = math.exp(min(logp for _, logp in top))
    floor = min(max(1.0 - served_mass, 0.0) / unseen, least) if unseen else 0.0
    return [math.log(max(one or floor, 1e-12)) for one in mass]


def _begun(token: str, answers: Sequence[str]) -> list[int]:
    start = token.strip().casefold()
    return [index for index, answer in enumerate(answers) if start and answer.casefold().startswith(start)]


def _first_token(served: str | None) -> FIRST | None:
    """The first token, from `content[0].top_logprobs` (chat, llama.cpp) or `tokens[0]`, `top_logprobs[0]` (completions)."""
    try:
        value: Any = json.loads(served or "null")
        if value.get("content"):
            head = value["content"][0]
            top = [(str(one["token"]), float(one["logprob"])) for one in head["top_logprobs"]]
            token = str(head["token"])
        else:
            top = [(str(token), float(logp)) for token, logp in value["top_logprobs"][0].items()]
            token = str(value["tokens"][0])
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
        return None
    legal = [(one, min(logp, 0.0)) for one, logp in top if not math.isnan(logp)]
    return token, legal
