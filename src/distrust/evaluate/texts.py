"""How alike two texts are: exact match, token F1 and Rouge-L, an item at a time.

Pure functions. Knows texts. Does not know who wrote them, or how an answer is read from one.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from distrust.answers import normalise
from distrust.errors import DataError, nearest
from distrust.evaluate.scores import Interval, paired_difference

Likeness = Callable[[str, str], float]  # of two texts, in [0, 1]

_WORD = re.compile(r"[^\W_]+")


def exact_match(said: str, wanted: str) -> float:
    """1 where two texts are the same after `answers.normalise`, else 0."""
    return float(normalise(said) == normalise(wanted))


def token_f1(said: str, wanted: str) -> float:
    """Harmonic mean of precision and recall of the normalised words, counted. Source: Rajpurkar et al. 2016 (SQuAD)."""
    mine, theirs = normalise(said).split(), normalise(wanted).split()
    return _f1(sum((Counter(mine) & Counter(theirs)).values()), len(mine), len(theirs))


def rouge_l(said: str, wanted: str) -> float:
    """F-measure of the longest common subsequence of words. Source: Lin 2004; as the `rouge-score` package without stemmer.

    Words are runs of letters and digits in any script, of which that package sees only the Latin ones.
    """
    mine, theirs = _WORD.findall(said.lower()), _WORD.findall(wanted.lower())
    return _f1(_common(mine, theirs), len(mine), len(theirs))


SCORES: dict[str, Likeness] = {"exact_match": exact_match, "token_f1": token_f1, "rouge_l": rouge_l}


def likeness(said: Sequence[str | None], wanted: Sequence[Sequence[str]], score: str) -> Tensor:
    """How like its reference each text is: N texts, None for none, and N lists of references to (N,) in [0, 1].

    Of several references the likest counts; where there is no text, or no reference, 0.

    Raises:
        DataError: a score that does not exist, or lists of different lengths.
    """
    if score not in SCORES:
        raise DataError(f"{score!r} is no score of texts; {nearest(score, SCORES)}.")
    if len(said) != len(wanted):
        raise DataError(f"There are {len(said)} texts and references for {len(wanted)}; each text has its own.")
    alike = SCORES[score]
    found = [
        max((alike(text, one) for one in references), default=0.0) if text is not None else 0.0
        for text, references in zip(said, wanted, strict=True)
    ]
    return torch.tensor(found, dtype=torch.float64)


@dataclass(frozen=True)
class Spread:
    """A figure over seeds of sampling; NaN where a seed has none."""

    value: float  # the mean
    least: float
    most: float


def spread(values: Sequence[float]) -> Spread:
    """Mean, least and most of a figure over seeds, one or more; a NaN makes all of them NaN."""
    own = torch.tensor(values, dtype=torch.float64)
    return Spread(float(own.mean()), float(own.min()), float(own.max()))


def mean(values: Tensor) -> Interval:
    """Mean of a score over items (N,), with its bootstrapped interval. Raises DataError without items."""
    gap = paired_difference(values, torch.zeros_like(values))
    return Interval(gap.value, gap.low, gap.high)


def _f1(common: int, mine: int, theirs: int) -> float:
    return 2 * common / (mine + theirs) if common else 0.0


def _common(first: list[str], second: list[str]) -> int:
    """Length of the longest common subsequence, a bit for each word of the first. Source: Hyyrö 2004."""
    places: dict[str, int] = {}
    for place, word in enumerate(first):
        places[word] = places.get(word, 0) | 1 << place
    whole = (1 << len(first)) - 1
    state = whole  # a zero bit: a word where the subsequence grew
    for word in second:
        matched = state & places.get(word, 0)
        state = ((state + matched) | (state - matched)) & whole
    return len(first) - state.bit_count()
