"""The task: what a recipe's data, labels and gold amount to, read and checked before anything is asked or spent.

Knows items, classes and gold. Knows nothing of teachers' answers, students or money.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from distrust.answers import Answers, is_text
from distrust.classes import classes, lacking
from distrust.conversations import spoken
from distrust.data import COMPLETION, REFERENCE, Items, column, content_id, load_items, load_table
from distrust.errors import DataError
from distrust.files import fingerprint
from distrust.gold import Gold
from distrust.labels import ABSTAIN, OPEN, LabelSpace
from distrust.recipe import Answer, Endpoint, GoldRecipe, Recipe, Source
from distrust.secrets import expand

LABEL = GoldRecipe.model_fields["label"].default  # which people who write completions do not use


@dataclass(frozen=True)
class Task:
    """A recipe's data, ready to be learned from."""

    space: LabelSpace
    pool: Items
    gold: Gold
    gold_items: Items  # in gold's order
    test: tuple[Items, Tensor] | None  # items and labels (n,)
    validation: tuple[Items, Tensor] | None
    warnings: tuple[str, ...]
    spare: tuple[Items, Tensor] | None = None  # labelled items of the pool that are not gold, where the recipe has `worth`
    answers: Answers | None = None  # how texts are read, where answers are open; labels then only say that there is a text

    @property
    def identity(self) -> dict[str, str]:
        """What makes a run folder belong to this task and no other, by recipe key."""
        held = {"data.test": self.test, "data.validation": self.validation}
        return {
            "data.pool": self.pool.key,
            "labels": fingerprint(
                list(self.space.names), *([] if self.answers is None else [self.answers.how.model_dump()])
            ),
            "gold": fingerprint(list(self.gold.ids), self.gold.labels, *self._texts(self.gold_items)),
        } | {
            name: fingerprint(pair[0].key, pair[1], *self._texts(pair[0])) for name, pair in held.items() if pair is not None
        }

    def _texts(self, items: Items) -> list[str]:
        return [] if self.answers is None else items.columns[REFERENCE]


def load_task(recipe: Recipe, extra_labels: Sequence[LabelSpace] = ()) -> Task:
    """Read a recipe's tables.

    Args:
        recipe: the recipe.
        extra_labels: label spaces of local teachers, which name the classes when the recipe does not.

    Raises:
        DataError: a missing or damaged table, a gold, test or validation label outside the label space.
    """
    answers = Answers(recipe.answer or Answer()) if recipe.task == "generation" else None
    if answers is not None:
        recipe = _open(recipe)
    pool = _load(recipe.data.pool, answers is not None)
    gold_items, gold_labels, vouched = _gold(recipe, pool)
    tables = {
        name: None if source is None else _labelled(source, name, answers is not None)
        for name, source in (("data.test", recipe.data.test), ("data.validation", recipe.data.validation))
    }
    if answers is not None:
        gold_items, gold_labels = _vouched(gold_items, gold_labels)
        tables = {name: None if pair is None else _vouched(*pair) for name, pair in tables.items()}
    space = OPEN if answers is not None else classes(recipe, pool, gold_labels, extra_labels)
    shots = max((one.few_shot for one in recipe.asked if isinstance(one, Endpoint)), default=0)
    reserve = dict(recipe.gold.reserve) if recipe.gold else {}
    if shots:
        reserve["prompt"] = max(shots, reserve.get("prompt", 0))
    gold = Gold(gold_items.ids, _indices(gold_labels, space, "gold"), space, reserve, recipe.seed)
    held = {name: None if pair is None else (pair[0], _indices(pair[1], space, name)) for name, pair in tables.items()}
    return Task(
        space=space,
        pool=pool,
        gold=gold,
        gold_items=gold_items,
        test=held["data.test"],
        validation=held["data.validation"],
        warnings=(*_lacking(recipe, pool, space, vouched), *_warnings(pool, gold, tables["data.test"])),
        spare=_spare(recipe, pool, gold, space),
        answers=answers,
    )


def _open(recipe: Recipe) -> Recipe:
    """The recipe with the names that columns of completions have, where it gives none."""
    named = {
        name: source.model_copy(update={"label": source.label or COMPLETION})
        for name, source in (("test", recipe.data.test), ("validation", recipe.data.validation))
        if source is not None
    }
    return recipe.model_copy(update={"data": recipe.data.model_copy(update=named)})


def _vouched(items: Items, texts: list[str]) -> tuple[Items, list[str]]:
    """Items with the text a person vouches for, and the label that says so. Raises DataError for what is no text."""
    wrong = next((item for item, text in zip(items.ids, texts, strict=True) if not is_text(text)), None)
    if wrong is not None:
        raise DataError(f"The reference of the item {wrong!r} holds half a surrogate pair, which is no text.")
    return Items(items.ids, items.inputs, {**items.columns, REFERENCE: texts}), list(OPEN.names) * len(items)


def _load(source: Source, open_answers: bool) -> Items:
    return load_items(expand(source.path), **source.model_dump(exclude={"path", "label"}), open_answers=open_answers)


def _labelled(source: Source, name: str, open_answers: bool) -> tuple[Items, list[str]]:
    if source.label is None:
        raise DataError(f"{name} has no `label`; name the column of its gold labels.")
    items = _load(source, open_answers)
    labels = [_name(value) for value in column(items.columns, source.label, source.path)]
    missing = sum(label is None for label in labels)
    if missing:
        raise DataError(f"{name} has no label in {missing} of its {len(labels)} rows; each row needs one.")
    return items, [label for label in labels if label is not None]


def _gold(recipe: Recipe, pool: Items) -> tuple[Items, list[str], list[str]]:
    """Gold items and their label names, drawn as the recipe says, and the names that it was drawn from."""
    if recipe.gold is None:
        return pool.select([]), [], []
    if recipe.gold.path is None:
        assert recipe.pool_label is not None, "gold without a path stands in the pool"
        where = f"The pool {recipe.data.pool.path}, which gold is drawn from,"
        items, values = pool, column(pool.columns, _reference_name(recipe, recipe.pool_label, pool.columns), where)
    else:
        items, values = _gold_file(recipe, pool)
    labels = [_name(value) for value in values]
    rows = [row for row, label in enumerate(labels) if label is not None]
    if recipe.gold.size is not None:
        if recipe.gold.size > len(rows):
            raise DataError(f"gold.size is {recipe.gold.size} but only {len(rows)} items have a gold label.")
        seed = recipe.seed if recipe.gold.seed is None else recipe.gold.seed
        rows = sorted(random.Random(f"gold/{seed}").sample(rows, recipe.gold.size))
    return items.select(rows), [str(labels[row]) for row in rows], [label for label in labels if label is not None]


def _lacking(recipe: Recipe, pool: Items, space: LabelSpace, vouched: Sequence[str]) -> list[str]:
    """What teachers and people name that is no class, where answers are classes: said, and given to nobody to learn."""
    if recipe.task == "generation":
        return []
    drawn_there = recipe.gold is not None and recipe.gold.path is None  # from that column, and read already
    own = [] if drawn_there or recipe.pool_label is None else pool.columns.get(recipe.pool_label, [])
    return lacking(recipe, pool, space, [*vouched, *(label for value in own if (label := _name(value)) is not None)])


def _spare(recipe: Recipe, pool: Items, gold: Gold, space: LabelSpace) -> tuple[Items, Tensor] | None:
    """What the recipe's `worth` is drawn from: the pool's labelled items that are not gold, and their labels (n,).

    Raises DataError where it asks for more: before anything is asked or trained.
    """
    if recipe.worth is None:
        return None
    assert recipe.pool_label is not None, "a recipe with worth has such a column"
    values = column(pool.columns, recipe.pool_label, f"The pool {recipe.data.pool.path}, which `worth` is drawn from,")
    taken = set(gold.ids)
    named = {row: label for row, label in enumerate(map(_name, values)) if label is not None and pool.ids[row] not in taken}
    if recipe.worth[-1] > len(named):
        raise DataError(
            f"`worth` asks for up to {recipe.worth[-1]} labels; legal is up to {len(named)}, as many as the pool has in "
            f"{recipe.pool_label!r} beside the gold."
        )
    return pool.select(list(named)), _indices(list(named.values()), space, "data.pool")


def _reference_name(recipe: Recipe, name: str, columns: Collection[str]) -> str:
    """The column of gold: as named, or that of completions where answers are open and it is not there."""
    absent = recipe.task == "generation" and name == LABEL and name not in columns
    return COMPLETION if absent else name


def _gold_file(recipe: Recipe, pool: Items) -> tuple[Items, list[object]]:
    """Gold of a file of its own: items of the pool where id or text is known there, new items by their text."""
    gold = recipe.gold
    assert gold is not None and gold.path is not None
    path = expand(gold.path)
    if gold.id is None:
        image = recipe.data.pool.image
        items = load_items(path, text=gold.text, image=image, open_answers=recipe.task == "generation")
        return _known(items, pool), column(items.columns, _reference_name(recipe, gold.label, items.columns), path)
    table = load_table(path)
    ids = [str(value) for value in column(table, gold.id, path)]
    labels = column(table, _reference_name(recipe, gold.label, table), path)
    first: dict[str, int] = {}
    for row, item in enumerate(ids):
        if labels[first.setdefault(item, row)] != labels[row]:
            raise DataError(f"{path} gives the item {item!r} two labels; gold has one.")
    return pool.select(pool.rows(list(first))), [labels[row] for row in first.values()]


def _known(items: Items, pool: Items) -> Items:
    """The same items under the pool's ids where the pool has their text: one item must not go by two names."""
    by_text: dict[str, str] = {}
    for row, item in enumerate(pool.ids):
        by_text.setdefault(content_id(pool.text(row)), item)
    ids = [by_text.get(content_id(items.text(row)), item) for row, item in enumerate(items.ids)]
    return Items(tuple(ids), items.inputs, items.columns)


def _indices(labels: Sequence[str], space: LabelSpace, what: str) -> Tensor:
    outside = sorted({label for label in labels if space.find(label) == ABSTAIN})
    if outside:
        more = f" (and {len(outside) - 1} more)" if len(outside) > 1 else ""
        raise DataError(
            f"The {what} label {outside[0]!r}{more} is outside the label space; list every class under `labels`, or mend it."
        )
    return torch.tensor([space.find(label) for label in labels], dtype=torch.long)


def _name(value: object) -> str | None:
    """A cell as the label, or reference text, that it holds; None where it is blank."""
    value = spoken(value)
    if isinstance(value, (list, tuple, dict)):
        raise DataError(f"A label is {str(value)[:60]!r}, a list; each item has one label, a text.")
    return None if value is None or not str(value).strip() else str(value)


def _warnings(pool: Items, gold: Gold, test: tuple[Items, list[str]] | None) -> list[str]:
    said = []
    empty = sum(not pool.text(row).strip() for row in range(len(pool)))
    if empty:
        said.append(f"{empty} of the pool's {len(pool)} texts are empty; they are kept and teach little.")
    missing = gold.missing_classes()
    if len(gold) and missing:
        named = ", ".join(missing[:5]) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
        said.append(f"{len(missing)} of {len(gold.space)} classes have no gold: {named}.")
    if test is not None:
        seen = {content_id(pool.text(row)) for row in range(len(pool))}
        shared = sum(content_id(test[0].text(row)) in seen for row in range(len(test[0])))
        if shared:
            said.append(f"{shared} of the {len(test[0])} test texts stand in the pool too; the test is easier so.")
    return said
