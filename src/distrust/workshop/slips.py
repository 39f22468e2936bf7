"""Open answers made wrong in a controlled way: a slip of one letter or digit, or nothing said at all.

Knows texts, and how an answer is read out of one. Knows nothing of which answers were right to begin with.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import replace

from distrust.answers import MATCHED, READ, Answers
from distrust.errors import TeacherError
from distrust.evidence import Evidence
from distrust.recipe import Answer
from distrust.recipe.wrong import Abstaining, NearClone, Symmetric
from distrust.workshop.draws import ByItem

NO_SLIP = "withheld, for no slip of one letter or digit makes it another answer"
REACH = 64  # letters or digits tried, the last first, of those that may decide the answer
BESIDE = 9  # another letter or digit is at most so many places from it in its alphabet

_YES_NO = re.compile(r"\b(yes|no)\b", re.IGNORECASE)
_LETTER = re.compile(r"\b[A-Za-z]\b")


def slip(text: str, answers: Answers, chance: float) -> str | None:
    """A text that gives another answer: the last letter or digit that decides what is read becomes another of its kind.

    Of `yes_no` each yes and no becomes the other; of `choice` the letter becomes the one before or behind it.

    Args:
        text: what somebody wrote.
        answers: how it is read.
        chance: in [0, 1), which other letter or digit.

    Returns:
        The text with its slip; None where it gives no answer, or no such change makes it another one.
    """
    said = answers.read(text)
    if said is None:
        return None
    return next((one for one in _slips(text, answers.how, chance) if answers.read(one) not in (None, said)), None)


def slipped(said: Evidence, wrong: Symmetric | NearClone | Abstaining, answers: Answers) -> Evidence:
    """What was said, with all of an item's texts made wrong, or withheld, by the item's own draw.

    Raises:
        TeacherError: evidence without texts.
    """
    if said.texts is None:
        raise TeacherError(f"{said.source} wrote no texts; open answers are made wrong in their texts.")
    draws = ByItem(said.ids, wrong.seed)
    hit, which = (draws.uniform() < wrong.rate).tolist(), draws.uniform().tolist()
    lost, texts = 0, []
    for row, given in enumerate(said.texts):
        if not hit[row]:
            texts.append(list(given))
        elif isinstance(wrong, Abstaining):
            texts.append([])
        else:
            others = [one if answers.read(one) is None else slip(one, answers, which[row]) for one in given]
            texts.append([one for one in others if one is not None])
            lost += sum(one is None for one in others)
    made = answers.evidence(said.source, said.ids, texts, said.cost)
    return replace(made, features=said.features, notes={**said.notes, **({NO_SLIP: lost} if lost else {})})


def _slips(text: str, how: Answer, chance: float) -> Iterator[str]:
    """Texts that differ from one in what may decide its answer, the most telling first."""
    if how.kind == "yes_no":
        yield _YES_NO.sub(lambda found: _like(found[0], "no" if found[0].casefold() == "yes" else "yes"), text)
        return
    for place in _places(text, how):
        for other in _others(text[place], 1 if how.kind == "choice" else BESIDE, chance):
            yield text[:place] + other + text[place + 1 :]


def _places(text: str, how: Answer) -> list[int]:
    """Where letters and digits stand that may decide the answer, the last first."""
    after = 0 if how.after is None else text.rindex(how.after) + len(how.after)
    begin, end = max(after, len(text) - READ), len(text)
    if how.kind == "choice":
        return [begin + one.start() for one in _LETTER.finditer(text[begin:])][: -REACH - 1 : -1]
    if how.kind == "regex":
        begin = max(begin, len(text) - MATCHED)
        found = re.search(how.pattern or "", text[begin:])
        assert found is not None, "the text gives an answer"
        begin, end = (begin + one for one in found.span(1 if found.re.groups else 0))
    elif how.kind == "short":
        line = next(one for one in text[begin:].splitlines() if one.strip())
        begin = text.index(line, begin)
        end = begin + len(line)
    tells = str.isdecimal if how.kind == "number" else str.isalnum
    return [place for place in range(begin, end) if tells(text[place])][: -REACH - 1 : -1]


def _others(letter: str, beside: int, chance: float) -> list[str]:
    """Letters or digits of the same alphabet and case at most so many places from one: the drawn one; beside it, both."""
    near = [chr(ord(letter) + step) for step in range(-beside, beside + 1) if step and 0 <= ord(letter) + step < 0x110000]
    alike = [one for one in near if one.isalnum() and unicodedata.category(one) == unicodedata.category(letter)]
    drawn = int(chance * len(alike))
    return (alike[drawn:] + alike[:drawn])[: 2 if beside == 1 else 1]


def _like(shape: str, word: str) -> str:
    return word.upper() if shape.isupper() else word.capitalize() if shape[0].isupper() else word
