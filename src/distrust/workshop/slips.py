"""Open answers made wrong in a controlled way: a slip of one letter or digit, or nothing said at all.

Knows texts, and how an answer is read out of one. Knows nothing of which answers were right to begin with.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterator
from dataclasses import replace

from distrust.answers import LETTERS, NO_ANSWER, Answers
from distrust.evidence import Evidence
from distrust.recipe.wrong import Abstaining, NearClone, Symmetric
from distrust.workshop.draws import ByItem

NO_SLIP = "withheld, for no slip of one letter or digit makes it another answer"
REACH = 64  # letters and digits tried, from the text's end: an answer comes last

_YES_NO = re.compile(r"\b(yes|no)\b", re.IGNORECASE)


def slip(text: str, answers: Answers, chance: float) -> str | None:
    """A text that gives another answer: the last letter or digit that decides what is read becomes another of its kind.

    Of `yes_no` each yes and no becomes the other; of `choice` the letter becomes the one before or behind it.

    Args:
        text: what somebody wrote; only its last 64 letters and digits are tried.
        answers: how it is read.
        chance: in [0, 1), which other letter or digit.

    Returns:
        The text with its slip; None where it gives no answer, or no such change makes it another one.
    """
    said = answers.read(text)
    if said is None:
        return None
    return next((one for one in _slips(text, answers.how.kind, chance) if answers.read(one) not in (None, said)), None)


def slipped(said: Evidence, wrong: Symmetric | NearClone | Abstaining, answers: Answers) -> Evidence:
    """What was said, with all of an item's texts made wrong, or withheld, by the item's own draw."""
    draws = ByItem(said.ids, wrong.seed)
    hit, which = (draws.uniform() < wrong.rate).tolist(), draws.uniform().tolist()
    unread, texts = 0, []
    for row, given in enumerate(said.texts or [[]] * len(said)):
        if not hit[row]:
            texts.append(list(given))
        elif isinstance(wrong, Abstaining):
            texts.append([])
        else:
            others = [one if answers.read(one) is None else slip(one, answers, which[row]) for one in given]
            texts.append([one for one in others if one is not None])
            unread += sum(one is None for one in others)
    made = answers.evidence(said.source, said.ids, texts, said.cost)
    kept = {name: count for name, count in said.notes.items() if name != NO_ANSWER}
    return replace(made, features=said.features, notes={**kept, **made.notes} | ({NO_SLIP: unread} if unread else {}))


def _slips(text: str, kind: str, chance: float) -> Iterator[str]:
    """Texts that differ from one in what may decide its answer, the most telling first."""
    if kind == "yes_no":
        yield _YES_NO.sub(lambda found: _like(found[0], "no" if found[0].casefold() == "yes" else "yes"), text)
        return
    places = [place for place in range(len(text) - 1, -1, -1) if text[place].isalnum()]
    for place in places[:REACH]:
        for other in _others(text[place], kind, chance):
            yield text[:place] + other + text[place + 1 :]


def _others(letter: str, kind: str, chance: float) -> list[str]:
    """Letters or digits in place of one, of its kind; of a choice those beside it, either first."""
    alphabet = (
        string.digits if letter.isdecimal() else string.ascii_uppercase if letter.isupper() else string.ascii_lowercase
    )
    if kind == "choice":
        place = LETTERS.find(letter.upper())
        beside = [alphabet[one] for one in (place - 1, place + 1) if 0 <= one < len(alphabet)] if place >= 0 else []
        return beside if chance < 0.5 else beside[::-1]
    different = [one for one in alphabet if one != letter]
    return [different[int(chance * len(different))]]


def _like(shape: str, word: str) -> str:
    return word.upper() if shape.isupper() else word.capitalize() if shape[0].isupper() else word
