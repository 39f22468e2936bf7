"""What the columns of a stranger's table are for: a guess each, and why.

Knows names and values. Knows nothing of recipes or teachers' answers' worth; a person has the last word on every guess.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from distrust.column import ABOUT, CONFIDENCE, LABEL, RATIONALE, TEACHER, VOUCHED, Column, number
from distrust.errors import DataError, nearest
from distrust.labels import ABSTAIN, LabelSpace

TEXTS = ("text", "sentence", "content", "body", "review", "message", "utterance", "question", "document", "article")
PAIRS = (
    ("text", "text_pair"), ("sentence1", "sentence2"), ("premise", "hypothesis"), ("question1", "question2"),
    ("text_a", "text_b"), ("text1", "text2"), ("question", "context"), ("question", "passage"), ("query", "passage"),
)  # fmt: skip


@dataclass(frozen=True)
class Guessed:
    """A column that looks like a teacher's answers, and what goes with it."""

    name: str
    column: str
    confidence: str | None
    rationale: str | None
    spellings: Mapping[str, str]  # its spelling of a label: gold's


@dataclass(frozen=True)
class Columns:
    """A table's columns by what they seem to be for."""

    rows: int
    text: str
    text_pair: str | None
    id: str | None
    gold: str | None
    teachers: tuple[Guessed, ...]
    reasons: Mapping[str, tuple[str, str]]  # column: what it was taken for, and why; in the table's order
    counts: Mapping[str, Counter[str]]  # how often each answer stands in the gold and the teachers' columns


def look(table: Mapping[str, Sequence[Any]], path: str) -> Columns:
    """Guess what each column of a table is for.

    Raises:
        DataError: no rows, or no column that holds texts.
    """
    columns = {name: Column(name, values) for name, values in table.items()}
    rows = max((len(values) for values in table.values()), default=0)
    if not rows:
        raise DataError(f"{path} has no rows.")
    reasons: dict[str, tuple[str, str]] = {}
    text, pair = _text(columns, reasons, path)
    rest = {name: one for name, one in columns.items() if name not in (text, pair)}
    gold, teachers = _labels(rest, reasons)
    key = look_for_id({name: one for name, one in rest.items() if name not in reasons}, rows, reasons)
    used = [name for name in (gold, *(one.column for one in teachers)) if name is not None]
    return Columns(
        rows=rows,
        text=text,
        text_pair=pair,
        id=key,
        gold=gold,
        teachers=tuple(teachers),
        reasons={name: reasons.get(name, ("not used", "nothing tells what it is for")) for name in columns},
        counts={name: columns[name].counts for name in used},
    )


def _text(columns: Mapping[str, Column], reasons: dict[str, tuple[str, str]], path: str) -> tuple[str, str | None]:
    by_name = {name.lower(): one for name, one in columns.items() if one.cells and not one.numeric}
    for first, second in PAIRS:
        if first in by_name and second in by_name and not by_name[second].few:
            reasons[by_name[first].name] = ("text", f"its name, beside {second}")
            reasons[by_name[second].name] = ("text_pair", f"its name, beside {first}")
            return by_name[first].name, by_name[second].name
    named = next((by_name[name] for name in TEXTS if name in by_name), None)
    if named is not None:
        reasons[named.name] = ("text", f"its name; {named.length:.0f} characters on average")
        return named.name, None
    texts = [one for one in columns.values() if one.wordy and not one.few and not one.words & RATIONALE]
    if not texts:
        raise DataError(
            f"No column of {path} looks like texts (several words, most of them different); name it `text`; "
            f"{nearest('text', columns, say='it has')}."
        )
    longest = max(texts, key=lambda one: one.length)
    reasons[longest.name] = ("text", f"its texts are the longest, {longest.length:.0f} characters on average")
    return longest.name, None


def _labels(columns: Mapping[str, Column], reasons: dict[str, tuple[str, str]]) -> tuple[str | None, list[Guessed]]:
    few = [one for one in columns.values() if one.few and not one.words & (CONFIDENCE | RATIONALE)]
    gold = _gold([one for one in few if not any(isinstance(value, (list, tuple, dict)) for value in one.values)])
    others = [one for one in few if one is not gold]
    asked = [one for one in others if _alike(one, gold)] if gold else [one for one in others if one.words & TEACHER]
    for one in others:
        if gold is not None and one not in asked and one.words & TEACHER:
            reasons[one.name] = ("not used", f"named like a teacher's, but it shares no value with {gold.name}")
    if gold is not None:
        filled = len(gold.cells)
        share = "every row has one" if filled == len(gold.values) else f"{filled} of {len(gold.values)} rows have one"
        reasons[gold.name] = ("gold", f"{len(gold.counts)} distinct values; {share}")
    teachers = [_teacher(one, gold, asked, columns, reasons) for one in asked]
    return None if gold is None else gold.name, teachers


def _gold(few: Sequence[Column]) -> Column | None:
    """The column a person seems to have labelled: by its name, else the only one of its kind, else the emptiest."""
    named = [one for one in few if one.words & VOUCHED or (one.words & LABEL and not one.words & TEACHER)]
    if named:
        return max(named, key=lambda one: (bool(one.words & VOUCHED), len(one.words) == 1))
    open_ = [one for one in few if not one.words & (TEACHER | ABOUT) and len(one.counts) > 1]
    asked = [one for one in few if one.words & TEACHER]
    alike = [one for one in open_ if any(_alike(other, one) for other in asked)]
    if alike:
        return min(alike, key=lambda one: len(one.cells))
    return open_[0] if len(open_) == 1 and not asked else None


def _alike(one: Column, gold: Column | None) -> bool:
    """Whether a column answers in gold's words: half of either's values, or any where its name says who answers."""
    if gold is None:
        return False
    spellings = _spellings(one, gold)
    space = LabelSpace(tuple(gold.counts))
    found = {space.find(spellings.get(value, value)) for value in one.counts} - {ABSTAIN}
    enough = 0 if one.words & (TEACHER | LABEL) else min(len(one.counts), len(gold.counts)) / 2
    return len(found) > 0 and len(found) >= enough


def _spellings(one: Column, gold: Column) -> dict[str, str]:
    """Where a column writes gold's numbers in another way (`1` for `1.0`, as tables with gaps do): to gold's way."""
    space = LabelSpace(tuple(gold.counts))
    numbers = {number(value): value for value in gold.counts if number(value) is not None}
    unknown = (value for value in one.counts if space.find(value) == ABSTAIN)
    return {value: numbers[number(value)] for value in unknown if number(value) in numbers}


def _teacher(
    one: Column,
    gold: Column | None,
    asked: Sequence[Column],
    columns: Mapping[str, Column],
    reasons: dict[str, tuple[str, str]],
) -> Guessed:
    bare = re.sub(r"(?i)[\s_.-]*(label|labels|answer|pred|prediction|class|output)$", "", one.name).strip()
    taken = [other.name for other in asked if other is not one]
    name = bare if bare and not any(other.startswith(bare) for other in taken) else one.name or "teacher"
    shared = "" if gold is None else f", in the words of {gold.name}"
    reasons[one.name] = (f"teacher {name}", f"{len(one.counts)} distinct values{shared}")

    def beside(words: set[str], fits: Any, what: str) -> str | None:
        own = one.parts - LABEL
        for other in sorted(columns.values(), key=lambda other: not own & other.parts):
            near = len(asked) == 1 or own & other.parts
            if near and other.name not in reasons and other.words & words and fits(other):
                reasons[other.name] = (
                    f"{what} of {name}",
                    "its name" + (" and its numbers" if what == "confidence" else ""),
                )
                return other.name
        return None

    return Guessed(
        name=name,
        column=one.name,
        confidence=beside(CONFIDENCE, lambda other: other.numeric, "confidence"),
        rationale=beside(RATIONALE, lambda other: not other.numeric, "rationale"),
        spellings={} if gold is None else _spellings(one, gold),
    )


def look_for_id(columns: Mapping[str, Column], rows: int, reasons: dict[str, tuple[str, str]]) -> str | None:
    """The column of ids among those that are nothing else, its reason added; None where there is none."""
    for one in sorted(columns.values(), key=lambda one: not _named_id(one)):
        if one.words & (CONFIDENCE | RATIONALE | ABOUT):
            continue
        unique = len(one.cells) == rows and len(set(one.cells)) == rows
        short = all(len(cell) <= 64 and not re.search(r"\s", cell) for cell in one.cells)
        whole = not any(re.fullmatch(r"-?\d*\.\d+(e-?\d+)?", cell) for cell in one.cells)
        if unique and short and whole:
            reasons[one.name] = ("id", "every row has one, short, and none is there twice")
            return one.name
        if _named_id(one):
            gaps = len(one.cells) < rows
            fault = "some rows have none" if gaps else "too long or a broken number" if unique else "some stand there twice"
            reasons[one.name] = ("not used", f"named like an id, but {fault}")
    return None


def _named_id(one: Column) -> bool:
    return bool(one.words & {"id", "uid", "uuid", "guid", "idx", "index", "key"})
