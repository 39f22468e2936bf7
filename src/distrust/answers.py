"""Open answers: how a text is read as an answer, and what several sources' answers amount to.

Takes a label space's place in a generation task. Knows texts, which are hostile, and what makes two of them the same
answer. Does not know who wrote them, what they cost, or what is learned from them.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from distrust.evidence import Cost, Evidence
from distrust.labels import ABSTAIN, Candidates
from distrust.recipe import Answer
from distrust.teachers.parse import last_number, read_choice

READ = 65_536  # characters looked at, from the end: an answer comes last
MATCHED = 4096  # characters that a user's own pattern sees: it may take time in the square of them, or worse
LETTERS = string.ascii_uppercase
NO_ANSWER = "no answer"

_PUNCTUATION = str.maketrans(dict.fromkeys(string.punctuation, " "))
_ARTICLES = frozenset({"a", "an", "the"})
_SAID = re.compile(r"\banswer(?: is|:)", re.IGNORECASE)
_YES_NO = re.compile(r"\b(yes|no)\b", re.IGNORECASE)


def normalise(text: str) -> str:
    """What is left of a text when two answers are compared: lower case, no punctuation, no articles, single blanks.

    Source: the official SQuAD evaluation (Rajpurkar et al. 2016), on Unicode's compatibility form; a text of nothing but
    punctuation and articles keeps them.
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    words = [word for word in folded.translate(_PUNCTUATION).split() if word not in _ARTICLES]
    return " ".join(words) or " ".join(folded.split())


def is_text(text: str) -> bool:
    """Whether a text has an encoding: JSON can spell half a surrogate pair, which no tokenizer or file takes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


@dataclass(frozen=True)
class Answers:
    """The space of open answers: how each text is read."""

    how: Answer

    def read(self, text: str) -> str | None:
        """The answer that a text gives, in the form in which answers are compared; None where there is none, or no text."""
        if not is_text(text):
            return None
        if self.how.after is not None:
            _, found, text = text.rpartition(self.how.after)
            if not found:
                return None
        return self._inner(text[-READ:])

    def reference(self, text: str) -> str | None:
        """As `read`, of a reference, which may be the bare answer where other texts lead up to theirs."""
        said = self.read(text)
        return said if said is not None or self.how.after is None or self.how.after in text else self._inner(text[-READ:])

    def evidence(
        self, source: str, ids: Sequence[str], texts: Sequence[Sequence[str]], cost: Cost | None = None
    ) -> Evidence:
        """What one source wrote, as evidence: texts (B lists of up to S) to claims (S, B) over each item's own answers."""
        read = [[self.read(text) for text in one] for one in texts]
        answers = [tuple(dict.fromkeys(answer for answer in one if answer is not None)) for one in read]
        claims = torch.full((max(map(len, read), default=0) or 1, len(ids)), ABSTAIN)
        for row, (one, listed) in enumerate(zip(read, answers, strict=True)):
            for sample, answer in enumerate(one):
                claims[sample, row] = ABSTAIN if answer is None else listed.index(answer)
        missing = sum(answer is None for one in read for answer in one) + sum(not one for one in read)
        return Evidence(
            source=source,
            ids=tuple(ids),
            space=Candidates(tuple(answers)),
            claims=claims,
            texts=[list(one) for one in texts],
            cost=cost,
            notes={NO_ANSWER: missing} if missing else {},
        )

    def _inner(self, text: str) -> str | None:
        kind = self.how.kind
        if kind == "number":
            return last_number(text)
        if kind == "choice":
            letter, _ = read_choice(text, len(LETTERS))
            return None if letter == ABSTAIN else LETTERS[letter]
        if kind == "yes_no":
            return _yes_no(text)
        if kind == "regex":
            match = re.search(self.how.pattern or "", text[-MATCHED:])
            text = "" if match is None else (match.group(1) if match.re.groups else match.group(0)) or ""
        elif kind == "short":
            text = next((line for line in text.splitlines() if line.strip()), "")
        return normalise(text) or None


def _yes_no(text: str) -> str | None:
    """Yes or no: the first one after the last "answer is", the one that the text begins with, or the only one it names."""
    named = list(_SAID.finditer(text))
    said = [one.casefold() for one in _YES_NO.findall(text, named[-1].end() if named else 0)]
    begins = _YES_NO.match(text.lstrip(" \t\r\n\"'*(["))
    if named:
        return said[0] if said else None
    if begins:
        return begins.group(1).casefold()
    return said[0] if len(set(said)) == 1 else None
