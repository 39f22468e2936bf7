"""From an answer's raw text to a claim: pure functions, run anew each time the ledger is read.

Knows texts and a label space. Does not know who answered, or what it cost.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from string import ascii_uppercase
from typing import Any

from distrust.errors import RecipeError
from distrust.labels import ABSTAIN, LabelSpace
from distrust.recipe import Parse

READ = 65_536  # characters looked at, from the end: an answer comes last
NOT_PARSED = "could not parse"
AMBIGUOUS = "ambiguous"
OUTSIDE = "outside the label space"

Reading = tuple[int, str]  # class index and "", or -1 and why
Reader = Callable[[str], Reading]

_NUMBER = re.compile(r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?|[-+]?\.\d+")
_LONE_LETTER = re.compile(r"\W*([A-Za-z])\W*")
_LED_LETTER = re.compile(r"\(([A-Z])\)(?!\w)|([A-Z])[.):](?=\s|$)")
_NAMED_LETTER = re.compile(r"\b(?:answer|choice|option|label)\b\W*(?:is\b\W*)?([A-Z])(?![\w'’])", re.IGNORECASE)
_LETTER = re.compile(r"(?<![\w'’])([A-Z])(?![\w'’])")


def reader(how: Parse, space: LabelSpace) -> Reader:
    """The function that reads an answer as the recipe's `parse` says.

    Raises:
        RecipeError: `regex` without a legal pattern, or `number` over classes that are none.
    """
    inner = _inner(how, space)

    def read(text: str) -> Reading:
        if how.after is not None:
            _, found, text = text.rpartition(how.after)
            if not found:
                return ABSTAIN, NOT_PARSED
        return inner(text[-READ:])

    return read


def _inner(how: Parse, space: LabelSpace) -> Reader:
    if how.kind == "number":
        values = {_decimal(name): index for index, name in enumerate(space.names)}
        if None in values:
            bad = next(name for name in space.names if _decimal(name) is None)
            raise RecipeError(f"parse.kind: number needs classes that are numbers, but {bad!r} is none; use `label`.")
        return lambda text: read_number(text, values)
    if how.kind == "regex":
        try:
            pattern = re.compile(how.pattern or "")
        except (re.error, OverflowError, RecursionError) as error:
            raise RecipeError(f"parse.pattern {how.pattern!r} is no regular expression: {error}.") from error
        if not how.pattern:
            raise RecipeError("parse.kind: regex needs a `pattern`; its first group, or whole match, is the answer.")
        return lambda text: read_pattern(text, pattern, space)
    if how.kind == "choice":
        return lambda text: read_choice(text, len(space))
    names = _names(space)
    return lambda text: read_label(text, space, names)


def read_label(text: str, space: LabelSpace, names: re.Pattern[str] | None = None) -> Reading:
    """The label that the text is, holds under "label" as a JSON object, or names; the longest of overlapping names.

    Two different labels named are ambiguous: which one was meant is not guessed.
    """
    text = _unfenced(text.strip())
    value = _json_label(text)
    if value is not None:
        found = space.find(value)
        return (found, "") if found != ABSTAIN else (ABSTAIN, OUTSIDE)
    whole = space.find(text) if space.find(text) != ABSTAIN else space.find(text.strip(" \t\n\"'`*.:_<>()[]"))
    if whole != ABSTAIN:
        return whole, ""
    spans = [(match.start(), match.end(1), match.group(1)) for match in (names or _names(space)).finditer(text)]
    covered = bytearray(len(text))
    claims = set()
    for start, end, name in sorted(spans, key=lambda span: span[0] - span[1]):  # longest first
        if 1 not in covered[start:end]:
            covered[start:end] = b"\1" * (end - start)
            claims.add(space.find(name))
        if len(claims) > 1:
            return ABSTAIN, AMBIGUOUS
    return (claims.pop(), "") if claims - {ABSTAIN} else (ABSTAIN, AMBIGUOUS if claims else NOT_PARSED)


def read_choice(text: str, classes: int) -> Reading:
    """The letter that the text is, begins with ("B)"), names ("the answer is B"), or holds alone; A is the first class."""
    text = text.strip()
    lone = _LONE_LETTER.fullmatch(text)
    led = _LED_LETTER.match(text)
    if lone:
        letters = {lone.group(1).upper()}
    elif led:
        letters = {led.group(1) or led.group(2)}
    else:
        letters = {one for one in _NAMED_LETTER.findall(text) if one.isupper()} or set(_LETTER.findall(text)) - {"I"}
    if len(letters) != 1:
        return ABSTAIN, AMBIGUOUS if letters else NOT_PARSED
    index = ascii_uppercase.index(letters.pop())
    return (index, "") if index < classes else (ABSTAIN, OUTSIDE)


def read_number(text: str, values: dict[Decimal | None, int]) -> Reading:
    """The last number in the text ("1,200" is 1200, "3.0" is 3), as worked answers end on theirs."""
    number = last_number(text)
    if number is None:
        return ABSTAIN, NOT_PARSED
    index = values.get(_decimal(number), ABSTAIN)
    return (index, "") if index != ABSTAIN else (ABSTAIN, OUTSIDE)


def last_number(text: str) -> str | None:
    """The last number in a text, in one spelling ("1,200.0" is "1200"); None where there is none."""
    numbers = _NUMBER.findall(text)
    value = _decimal(numbers[-1]) if numbers else None
    if value is None:
        return None
    spelt = f"{value:f}"
    spelt = spelt.rstrip("0").rstrip(".") if "." in spelt else spelt
    return "0" if spelt in ("-0", "") else spelt


def read_pattern(text: str, pattern: re.Pattern[str], space: LabelSpace) -> Reading:
    """The first match's first group, or the whole match where the pattern has no group."""
    match = pattern.search(text)
    answer = None if match is None else match.group(1) if pattern.groups else match.group(0)
    if answer is None:
        return ABSTAIN, NOT_PARSED
    found = space.find(answer.strip())
    return (found, "") if found != ABSTAIN else (ABSTAIN, OUTSIDE)


def _names(space: LabelSpace) -> re.Pattern[str]:
    """Matches (empty, with the name as group 1) at every place where the longest label or alias there begins."""
    words = sorted({*space.names, *space.aliases}, key=len, reverse=True)
    spelt = [r"\s+".join(re.escape(part) for part in word.split()) for word in words if word.strip()]
    return re.compile(rf"(?<!\w)(?=({'|'.join(spelt) or '(?!)'})(?!\w))", re.IGNORECASE)


def _unfenced(text: str) -> str:
    return text.partition("\n")[2].removesuffix("```").strip() if text.startswith("```") else text


def _json_label(text: str) -> str | None:
    if not text.startswith("{"):
        return None
    try:
        value: Any = json.loads(text)
    except (ValueError, RecursionError):  # RecursionError: ten thousand opening brackets
        return None
    label = value.get("label") if isinstance(value, dict) else None
    return str(label) if isinstance(label, (str, int, float)) else None


def _decimal(text: str) -> Decimal | None:
    try:
        value = Decimal(text.strip().replace(",", ""))
        return value if value.is_finite() else None
    except InvalidOperation:
        return None
