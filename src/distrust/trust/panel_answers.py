"""From the raw answers of several teachers to open questions, to candidates and claims.

Knows how answers of a kind are written alike (`normalise`), and keeps "gave no usable answer" (-1) apart from "the right
answer is none of these". Knows nothing of whom to believe.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date

import torch
from torch import Tensor

from distrust.errors import DataError, nearest
from distrust.evidence import Evidence
from distrust.labels import ABSTAIN, Candidates

_NUMBER = re.compile(r"-?(?:\d[\d,]*\.?\d*|\.\d+)(?:e[+-]?\d+)?", re.IGNORECASE)
_DATE = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})")
_YES, _NO = {"yes", "true", "1", "y"}, {"no", "false", "0", "n"}


def _number(text: str) -> str | None:
    """The only number in a text, to four decimals: "$1,200.00" and "1200" are one answer; a formula is none."""
    found = _NUMBER.findall(text)
    if len(found) != 1:
        return None
    value = float(found[0].replace(",", ""))
    return f"{round(value, 4) + 0.0:.12g}" if math.isfinite(value) else None


def _choice(text: str) -> str | None:
    """One letter, bare or in brackets, perhaps with what it stands for after a bracket: "(b) 0.22" is "B"."""
    found = re.fullmatch(r"\(?([A-Za-z])(?:\s*[).:].*|\s+\(.*)?", text, re.DOTALL)
    return found.group(1).upper() if found else None


def _yes_no(text: str) -> str | None:
    """Yes or no, also written true or false, 1 or 0."""
    word = text.strip(" .!").casefold()
    return "yes" if word in _YES else "no" if word in _NO else None


def _date(text: str) -> str | None:
    """A month/day/year that exists, with leading zeros."""
    found = _DATE.fullmatch(text)
    if not found:
        return None
    month, day, year = (int(part) for part in found.groups())
    try:
        date(year, month, day)
    except ValueError:
        return None
    return f"{month:02d}/{day:02d}/{year:04d}"


def _short(text: str) -> str | None:
    """A few words: case, blanks and a closing stop do not matter."""
    return " ".join(text.split()).rstrip(".").casefold() or None


KINDS: dict[str, Callable[[str], str | None]] = {
    "number": _number,
    "choice": _choice,
    "yes-no": _yes_no,
    "date": _date,
    "short": _short,
}


def normalise(answer: object, kind: str) -> str | None:
    """An answer as all who mean it write it, or None where it is no answer of its kind (the teacher abstains).

    Args:
        answer: a text, a number, or None.
        kind: "number", "choice", "yes-no", "date" (month/day/year) or "short".

    Raises:
        DataError: a kind there is not.
    """
    if kind not in KINDS:
        raise DataError(f"There is no kind of answer {kind!r}; {nearest(kind, KINDS)}.")
    return None if answer is None else KINDS[kind](str(answer).strip())


def read_answers(
    ids: Sequence[str],
    answers: Mapping[str, Sequence[object]],
    kind: str,
    texts: Mapping[str, Sequence[str]] | None = None,
) -> list[Evidence]:
    """Evidence of several teachers in one space of candidates: per item what anybody answered, in order of mention.

    Args:
        ids: item ids, (B,).
        answers: a teacher's raw answers, (B,) each; None where it gave none.
        kind: as in `normalise`.
        texts: a teacher's whole completions, (B,) each, for those who have some.

    Raises:
        DataError: no teacher, a kind there is not, or another number of answers than items.
    """
    if not answers:
        raise DataError("There is no teacher's answer to read; at least one teacher is needed.")
    for name, given in [*answers.items(), *(texts or {}).items()]:
        if len(given) != len(ids):
            raise DataError(f"{name} has {len(given)} answers or texts; legal is one an item, {len(ids)}.")
    read = {name: [normalise(answer, kind) for answer in given] for name, given in answers.items()}
    lists = [dict.fromkeys(one[row] for one in read.values() if one[row] is not None) for row in range(len(ids))]
    space = Candidates(tuple(tuple(str(answer) for answer in one) for one in lists))
    return [
        Evidence(
            source=name,
            ids=tuple(ids),
            space=space,
            claims=torch.tensor([[space.find(row, answer) for row, answer in enumerate(given)]], dtype=torch.long),
            texts=[[text] for text in texts[name]] if texts and name in texts else None,
        )
        for name, given in read.items()
    ]


def gold_claims(evidence: Sequence[Evidence], gold: Mapping[str, object], kind: str) -> Tensor:
    """Gold as claims in the evidence's space: (B,) long, -1 where an item has no gold.

    A gold answer that nobody gave is "none of these": right for nobody, and counted.

    Raises:
        DataError: no evidence, or gold that is no answer of its kind.
    """
    if not evidence or not isinstance(evidence[0].space, Candidates):
        raise DataError("Gold becomes claims in a space of candidates; give evidence with open answers.")
    space, claims = evidence[0].space, []
    for row, item in enumerate(evidence[0].ids):
        answer = normalise(gold[item], kind) if item in gold else None
        if item in gold and answer is None:
            raise DataError(f"The gold answer {gold[item]!r} of item {item!r} is no {kind}.")
        claims.append(ABSTAIN if answer is None else space.find(row, answer))
    return torch.tensor(claims, dtype=torch.long)
