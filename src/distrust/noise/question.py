"""What an audit is asked: a stranger's table read as items, a teacher's claims and, where there is some, gold.

Knows columns, files and their mistakes. Knows nothing of students or estimates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from distrust.columns import look
from distrust.data import Items, column, load_items, load_table
from distrust.errors import DataError, nearest
from distrust.labels import ABSTAIN, LabelSpace
from distrust.noise.counting import contradicted
from distrust.noise.students import FOLDS, numbers_of


@dataclass(frozen=True)
class Asked:
    """Which table and columns; what is None is guessed, or not there."""

    data: str
    labels: str | None = None
    text: str | None = None
    text_pair: str | None = None
    id: str | None = None
    split: str | None = None
    gold: str | None = None
    gold_column: str | None = None


@dataclass(frozen=True)
class Question:
    """Items with one claim each, and the gold labels of some of them."""

    items: Items
    space: LabelSpace
    claims: Tensor  # (N,) long
    gold_rows: Tensor  # (n,) long
    gold_labels: Tensor  # (n,) long
    texts: Tensor  # (N,) long, equal where items are copies of a text that has one true class
    column: str  # of the claims
    notes: list[str] = field(default_factory=list)  # what a person should know of the table


def read(asked: Asked) -> Question:
    """Read the table, guessing what is not said as `distrust init` does.

    Raises:
        DataError: a missing or damaged table or column, one class only, too few items, gold that is not about these.
    """
    asked, notes = _guessed(asked)
    assert asked.labels is not None and asked.text is not None
    items = load_items(asked.data, text=asked.text, text_pair=asked.text_pair, id=asked.id, split=asked.split)
    said = _names(items.columns, asked.labels, asked.data)
    gold = _gold(asked, items, notes)
    kept = [row for row, name in enumerate(said) if name is not None]
    if len(kept) < len(said):
        notes.append(f"{len(said) - len(kept)} of {len(said)} rows have no claim in {asked.labels!r} and are left out.")
    claimed = sorted({name for name in said if name is not None})
    space = _space(claimed, [name for name in gold if name is not None], asked.labels, notes)
    items = items.select(kept)
    numbers = numbers_of(items)
    different = int(numbers.max()) + 1
    if different < 2 * FOLDS:
        what = f"{len(kept)} claims in {asked.labels!r}" + ("" if different == len(kept) else f", on {different} texts")
        raise DataError(f"{asked.data} has {what}; an audit needs {2 * FOLDS} at least.")
    if 2 * len(claimed) > len(kept):
        raise DataError(
            f"{asked.labels!r} says {len(claimed)} different things of {len(kept)} items, so these are no classes; name the "
            "column of the claims with --labels."
        )
    claims = torch.tensor([space.index(str(said[row])) for row in kept], dtype=torch.long)
    known = [(place, str(gold[row])) for place, row in enumerate(kept) if gold[row] is not None]
    texts = _decided(items, numbers, [(place, space.index(name)) for place, name in known], notes)
    notes += _oddities(space, claims, texts)
    return Question(
        items=items,
        space=space,
        claims=claims,
        gold_rows=torch.tensor([place for place, _ in known], dtype=torch.long),
        gold_labels=torch.tensor([space.index(name) for _, name in known], dtype=torch.long),
        texts=texts,
        column=asked.labels,
        notes=notes,
    )


def _guessed(asked: Asked) -> tuple[Asked, list[str]]:
    """The same with every column named that is needed, and a note on each guess."""
    from dataclasses import replace

    if asked.labels is not None and asked.text is not None:
        return asked, []
    table = load_table(asked.data, split=asked.split)
    for given in (asked.labels, asked.text, asked.text_pair, asked.id):
        if given is not None:
            column(table, given, asked.data)
    rest = {name: values for name, values in table.items() if name not in (asked.text, asked.text_pair)}
    found = look(table if asked.text is None else rest | {"text": table[asked.text]}, asked.data)
    guesses: dict[str, str] = {}
    if asked.text is None:
        guesses |= {"text": found.text} | ({"text_pair": found.text_pair} if found.text_pair else {})
    if asked.id is None and found.id is not None:
        guesses["id"] = found.id
    if asked.labels is None:
        guesses["labels"] = _teacher([one.column for one in found.teachers], list(table), asked.data)
        if found.gold is not None and asked.gold is None and asked.gold_column is None:
            guesses["gold_column"] = found.gold
    said = [f"--{name.replace('_', '-')} {value}" for name, value in guesses.items()]
    return replace(asked, **guesses), [f"Guessed: {' '.join(said)}."] if said else []


def _teacher(found: Sequence[str], columns: Sequence[str], data: str) -> str:
    if len(found) == 1:
        return found[0]
    if found:
        raise DataError(f"{data} has several columns of claims; say which with --labels: {', '.join(found)}.")
    raise DataError(
        f"No column of {data} looks like a teacher's claims; name one with --labels; it has {', '.join(columns)}."
    )


def _names(table: dict[str, list[Any]], name: str, path: str) -> list[str | None]:
    """A column of class names, None where blank. Raises DataError for lists, which are samples and no single claim."""
    values = column(table, name, path)
    if any(isinstance(value, (list, tuple, dict)) for value in values):
        raise DataError(f"{name!r} of {path} holds lists; an audit takes one claim an item.")
    return [None if value is None or not str(value).strip() else str(value).strip() for value in values]


def _vouched(table: dict[str, list[Any]], name: str, path: str) -> list[str | None]:
    """A column of gold. Raises DataError where it has none: whoever names it believes that it does."""
    names = _names(table, name, path)
    if not any(names):
        raise DataError(f"{name!r} of {path} holds no gold: every row of it is blank, or there is none.")
    return names


def _gold(asked: Asked, items: Items, notes: list[str]) -> list[str | None]:
    """Each item's gold label, None where there is none."""
    if asked.gold is None:
        if asked.gold_column is None:
            return [None] * len(items)
        if asked.gold_column == asked.labels:
            raise DataError(f"{asked.labels!r} is both the claims and the gold; gold is what a person vouches for.")
        return _vouched(items.columns, asked.gold_column, asked.data)
    table = load_table(asked.gold)
    names = _vouched(table, asked.gold_column or "label", asked.gold)
    by_id = asked.id is not None and asked.id in table
    joined = [asked.id] if by_id else [asked.text, asked.text_pair]  # a premise alone does not say which pair is meant
    parts = [map(str, column(table, name, asked.gold)) for name in joined if name is not None]
    keys = ["\n".join(one) for one in zip(*parts, strict=True)]
    said: dict[str, str] = {}
    for key, name in zip(keys, names, strict=True):
        if name is not None and said.setdefault(key, name) != name:
            raise DataError(f"{asked.gold} gives the item {key[:60]!r} two labels; gold has one.")
    own = items.ids if by_id else [items.text(row) for row in range(len(items))]
    there = set(own) & said.keys()
    if said and not there:
        raise DataError(
            f"None of the {len(said)} gold items of {asked.gold} is in {asked.data}, by {'id' if by_id else 'text'}."
        )
    if len(there) < len(said):
        notes.append(f"{len(said) - len(there)} of {len(said)} gold items are not in {asked.data} and are left out.")
    return [said.get(key) for key in own]


def _space(claimed: list[str], gold: list[str], labels: str, notes: list[str]) -> LabelSpace:
    """The claimed classes, and those that only gold names. Raises DataError where there is one, or gold speaks otherwise."""
    space = LabelSpace(tuple(claimed)) if claimed else None
    if space is None:
        raise DataError(f"{labels!r} holds no claim: every row of it is blank.")
    unknown = [name for name in gold if space.find(name) == ABSTAIN]
    if gold and 2 * len(unknown) > len(gold):
        raise DataError(
            f"{len(unknown)} of {len(gold)} gold labels are never claimed, such as {unknown[0]!r}; "
            f"{nearest(unknown[0], claimed, say=f'{labels!r} has')}."
        )
    for name in dict.fromkeys(unknown):
        notes.append(f"Gold says {name!r}, which is never claimed; {nearest(name, claimed, say='claimed are')}.")
    both = LabelSpace((*claimed, *dict.fromkeys(unknown)))
    if len(claimed) < 2:
        raise DataError(f"{labels!r} says {claimed[0]!r} of every item; an audit needs two classes at least.")
    return both


def _decided(items: Items, numbers: Tensor, gold: Sequence[tuple[int, int]], notes: list[str]) -> Tensor:
    """Numbers of texts (N,), each item of a text that decides no class a number of its own: an empty one, or one of which
    gold (item, class) says two things.
    """
    own = {row for row in range(len(items)) if not items.text(row).strip()}
    if own:
        notes.append(f"{len(own)} texts are empty; nothing can be seen of their claims.")
    said: dict[int, set[int]] = {}
    for row, label in gold:
        said.setdefault(int(numbers[row]), set()).add(label)
    torn = {number for number, labels in said.items() if len(labels) > 1} - {int(numbers[row]) for row in own}
    if torn:
        notes.append(
            f"Gold gives {len(torn)} texts more than one label; it should be looked at again before it is believed."
        )
        own |= {row for row, number in enumerate(numbers.tolist()) if number in torn}
    rows = torch.tensor(sorted(own), dtype=torch.long)
    return numbers.index_put((rows,), len(items) + rows)


def _oddities(space: LabelSpace, claims: Tensor, texts: Tensor) -> list[str]:
    """Sentences on classes that are too rare to learn or nearly the same, and on texts that contradict themselves."""
    notes = []
    rare = [space.names[label] for label, times in enumerate(claims.bincount(minlength=len(space))) if 0 < times < FOLDS]
    if rare:
        named = ", ".join(rare[:5]) + (f" and {len(rare) - 5} more" if len(rare) > 5 else "")
        notes.append(f"{len(rare)} classes are claimed fewer than {FOLDS} times, too rarely to be learned: {named}.")
    alike: dict[str, list[str]] = {}
    for name in space.names:
        alike.setdefault(" ".join(name.split()).casefold(), []).append(name)
    pairs = [" and ".join(map(repr, names)) for names in alike.values() if len(names) > 1]
    if pairs:
        notes.append(f"Classes that differ in case or blanks alone are counted apart: {', '.join(pairs[:5])}.")
    wrong = contradicted(texts, claims)
    if wrong:
        notes.append(f"Copies of a text are claimed to be different classes: {wrong} of these claims are wrong at least.")
    return notes
