"""Label spaces: what a source can claim.

Knows names, positions and how one space maps into another, and keeps "does not know this class" apart from "says it
is not this class". Knows nothing of teachers, items or files.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from distrust.errors import DataError, nearest

ABSTAIN = -1  # the claim of a source that gave no usable answer


@dataclass(frozen=True)
class LabelSpace:
    """The classes of one task or one teacher, in order.

    Args:
        names: class names, unique; their position is the class index.
        aliases: other spellings, each mapped to a name (``{"LABEL_0": "spam"}``).

    Raises:
        DataError: no class, a name twice, or an alias of no class.
    """

    names: tuple[str, ...]
    aliases: Mapping[str, str] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", tuple(str(name) for name in self.names))
        if not self.names:
            raise DataError("A label space needs at least one class; none was given.")
        twice = [name for name, count in Counter(self.names).items() if count > 1]
        if twice:
            raise DataError(f"The label {twice[0]!r} is listed twice; each class is named once.")
        for alias, name in self.aliases.items():
            if name not in self._exact:
                raise DataError(f"The alias {alias!r} points to {name!r}, no class here; {nearest(name, self.names)}.")

    @cached_property
    def _exact(self) -> dict[str, int]:
        return {name: index for index, name in enumerate(self.names)}

    @cached_property
    def _spelled(self) -> dict[str, int]:
        """Exact spellings; an alias that is also a name wins, since somebody wrote it down."""
        return self._exact | {alias: self._exact[name] for alias, name in self.aliases.items()}

    @cached_property
    def _folded(self) -> dict[str, int]:
        """Folded spellings that belong to one class only: an ambiguous one finds nothing rather than the first."""
        folded: dict[str, int] = {}
        for spelling, index in self._spelled.items():
            folded[_fold(spelling)] = index if folded.get(_fold(spelling), index) == index else ABSTAIN
        return folded

    def __len__(self) -> int:
        return len(self.names)

    def find(self, answer: object) -> int:
        """Class index of an answer (exact, alias, or equal after folding case and blanks), -1 where there is none."""
        if answer is None:
            return ABSTAIN
        text = str(answer)
        exact = self._spelled.get(text)
        return self._folded.get(_fold(text), ABSTAIN) if exact is None else exact

    def index(self, name: str) -> int:
        """Class index of a name. Raises DataError naming the nearest class where there is none."""
        found = self.find(name)
        if found == ABSTAIN:
            raise DataError(f"{name!r} is no class of this task; {nearest(name, self.names)}.")
        return found

    def positions_in(self, other: LabelSpace) -> Tensor:
        """Where each of these classes stands in `other`: (C_own,) long, -1 where `other` lacks it."""
        return torch.tensor([other.find(self.names[i]) for i in range(len(self))], dtype=torch.long)

    def known_in(self, other: LabelSpace) -> Tensor:
        """Which classes of `other` this space knows: (C_other,) bool."""
        known = torch.zeros(len(other), dtype=torch.bool)
        positions = self.positions_in(other)
        known[positions[positions >= 0]] = True
        return known

    @staticmethod
    def union(spaces: Iterable[LabelSpace]) -> LabelSpace:
        """All classes of several spaces, by name, in order of first mention."""
        return LabelSpace(tuple(dict.fromkeys(name for space in spaces for name in space.names)))


OPEN = LabelSpace(("reference",))  # of gold where answers are open: an item's one class is the text vouched for


@dataclass(frozen=True)
class Candidates:
    """Open answers: each item has its own list, and "none of these" is always a legal claim.

    Args:
        answers: per item its distinct candidate answers; (B,) lists of any length, an empty one allowed.
        width: at least so many columns K, so that a claim keeps its number when items are selected.

    K is otherwise the longest list plus one; the last column, K - 1, is "none of these" for every item.
    """

    answers: tuple[tuple[str, ...], ...]
    width: int = 0

    def __post_init__(self) -> None:
        for row, answers in enumerate(self.answers):
            if len(set(answers)) < len(answers):
                raise DataError(f"Item {row} lists a candidate answer twice; candidates of one item are distinct.")

    def __len__(self) -> int:
        return max(self.width, max((len(answers) for answers in self.answers), default=0) + 1)

    @property
    def none_of_these(self) -> int:
        """The claim "the right answer is not in the list": the last column of every item."""
        return len(self) - 1

    @cached_property
    def mask(self) -> Tensor:
        """Which columns are legal for which item: (B, K) bool, the last column always."""
        mask = torch.zeros(len(self.answers), len(self), dtype=torch.bool)
        for row, answers in enumerate(self.answers):
            mask[row, : len(answers)] = True
        mask[:, -1] = True
        return mask

    def find(self, row: int, answer: object) -> int:
        """Claim of an answer to item `row`: its position, "none of these" where it is no candidate, -1 for None."""
        if answer is None:
            return ABSTAIN
        answers = self.answers[row]
        return answers.index(str(answer)) if str(answer) in answers else self.none_of_these

    def select(self, rows: list[int]) -> Candidates:
        """The candidates of some items, in the order given, as wide as before."""
        return Candidates(tuple(self.answers[row] for row in rows), width=len(self))


def lookalikes(names: Sequence[str]) -> list[tuple[str, str]]:
    """Pairs of names that may mean one class: alike but for case, blanks, punctuation, accents or a plural's ending."""
    bare: dict[str, str] = {}
    found = []
    for name in names:
        first = bare.setdefault(_bare(name), name)
        if first != name:
            found.append((first, name))
    return found


def doubt(names: Sequence[str]) -> list[str]:
    """A sentence on names that may mean one class, or none where no two do."""
    pairs = lookalikes(names)
    if not pairs:
        return []
    named = ", ".join(f"{one!r} and {other!r}" for one, other in pairs[:5]) + (", ..." if len(pairs) > 5 else "")
    return [
        f"These are different classes here, and look like one: {named}. Where they are one, map one name to the other "
        "under `labels` of the teacher that uses it."
    ]


def _fold(text: str) -> str:
    return " ".join(text.split()).casefold()


def _bare(text: str) -> str:
    """What is left of a name without case, blanks, punctuation, accents and plural endings; a sign alone stays itself."""
    plain = "".join(one for one in unicodedata.normalize("NFKD", text).casefold() if not unicodedata.combining(one))
    words = ["".join(one for one in word if one.isalnum()) for word in re.split(r"[\s_\-/]+", plain)]
    return "".join(_singular(word) for word in words) or text


def _singular(word: str) -> str:
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")) else word
