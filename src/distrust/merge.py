"""From classifiers' folders to the recipe that merges them: what `distrust merge` writes.

Knows which keys of a recipe a merge needs. Knows nothing of how models are loaded or trained.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distrust.data import load_items
from distrust.errors import RecipeError, nearest
from distrust.files import write_atomically
from distrust.images import Image
from distrust.methods.auto_suited import MERGED
from distrust.pretrained import class_names, reads_images

POOL = "pool.jsonl"


@dataclass(frozen=True)
class Merging:
    """What is merged, on what.

    Args:
        teachers: folders or hub ids of sequence classifiers, two or more.
        data: tables of unlabelled items, such as one for each teacher, and text: their column; image: the column of image
            files, for classifiers of images.
        output: the run's folder.
        same: "NAME=CLASS" for each teacher's name that is another's class.
        gold: a table of labelled items, and label: its column; test: the same, for the final evaluation alone.
        student: folder or hub id that the student starts from; default the first teacher.
        features: whether teachers keep what goes into their last layers, by which items are near each other.
    """

    teachers: Sequence[str]
    data: Sequence[str]
    output: str
    text: str = "text"
    same: Sequence[str] = ()
    gold: str | None = None
    test: str | None = None
    label: str = "label"
    student: str | None = None
    image: str | None = None
    features: bool = False

    @property
    def columns(self) -> dict[str, Any]:
        """Which column the models read, as a recipe says it."""
        return {"text": self.text} if self.image is None else {"image": self.image}

    @property
    def pool(self) -> str:
        """The table of the items: as named, or where several are named the one that holds them all."""
        return self.data[0] if len(self.data) == 1 else str(Path(self.output) / POOL)


def write_pool(asked: Merging) -> None:
    """Write the items of several tables as one; what stands in two is there once. DataError for a damaged table."""
    if len(asked.data) == 1:
        return
    ((_, column),) = asked.columns.items()
    found: dict[str, str] = {}
    for path in asked.data:
        for one in load_items(path, **asked.columns).inputs:
            image = isinstance(one, Image)
            found.setdefault(one.digest if image else one, str(one.path) if image else one)
    rows = [{column: one} for one in found.values()]
    write_atomically(Path(asked.pool), "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def merge_recipe(asked: Merging) -> dict[str, Any]:
    """The recipe, as plain values.

    Raises:
        RecipeError: fewer than two teachers, one twice, or a mapping of a name that no teacher has.
        DataError: no such model.
    """
    if len(asked.teachers) < 2:
        raise RecipeError(f"There is nothing to merge: {len(asked.teachers)} teacher is named, and two or more are needed.")
    twice = next((one for one, count in Counter(asked.teachers).items() if count > 1), None)
    if twice is not None:
        raise RecipeError(f"The teacher {twice} is named twice; each is merged once.")
    named = {teacher: class_names(teacher) for teacher in asked.teachers}
    _check_one_kind(asked)
    maps = _maps(asked.same, named)
    recipe: dict[str, Any] = {
        "data": {"pool": {"path": asked.pool, **asked.columns}},
        "teachers": [
            {"kind": "classifier", "name": name, "model": teacher, **({"labels": maps[teacher]} if maps[teacher] else {})}
            for teacher, name in zip(asked.teachers, names(asked.teachers), strict=True)
        ],
        "student": {"kind": "transformer", "model": asked.student or asked.teachers[0]},
        "method": {"name": "muka", "options": dict(MERGED)},
        "output_dir": asked.output,
    }
    if asked.features:
        for teacher in recipe["teachers"]:
            teacher["feature"] = "auto"
    if asked.gold is not None:
        text = {} if asked.image else {"text": asked.text}
        recipe["gold"] = {"path": asked.gold, **text, "label": asked.label}
    if asked.test is not None:
        recipe["data"]["test"] = {"path": asked.test, **asked.columns, "label": asked.label}
    return recipe


def _check_one_kind(asked: Merging) -> None:
    """Refuse images and texts mixed."""
    models = dict.fromkeys([*asked.teachers, *([asked.student] if asked.student else [])])
    kinds = {model: "images" if reads_images(model) else "texts" for model in models}
    first = asked.teachers[0]
    other = next((model for model, kind in kinds.items() if kind != kinds[first]), None)
    if other is not None:
        raise RecipeError(
            f"{first} reads {kinds[first]} and {other} reads {kinds[other]}; merged are models that read the same items."
        )
    if kinds[first] == "images" and asked.image is None:
        raise RecipeError(f"{first} reads images; name the column of their files by --image.")
    if kinds[first] == "texts" and asked.image is not None:
        raise RecipeError(f"{first} reads texts; leave out --image, and name their column by --text.")


def names(teachers: Sequence[str]) -> list[str]:
    """A short name for each: the last part of its path, and as many more as tell it apart."""
    parts = [[part for part in Path(one).parts if part not in ("/", "..", ".")] or [one] for one in teachers]
    made = []
    for own in parts:
        length = next(
            (count for count in range(1, len(own) + 1) if sum(other[-count:] == own[-count:] for other in parts) == 1),
            len(own),
        )
        made.append("/".join(own[-length:]))
    return [name if made.count(name) == 1 else f"{name} {made[: place + 1].count(name)}" for place, name in enumerate(made)]


def _maps(same: Sequence[str], named: dict[str, list[str]]) -> dict[str, dict[str, str]]:
    """Each teacher's own names of classes that go by another name."""
    maps: dict[str, dict[str, str]] = {teacher: {} for teacher in named}
    known = sorted({name for own in named.values() for name in own})
    for one in same:
        name, equals, meant = one.partition("=")
        if not equals or not name or not meant:
            raise RecipeError(f"--same {one!r} maps nothing; write NAME=CLASS.")
        if name not in known:
            raise RecipeError(f"--same {one!r}: no teacher has the label {name!r}; {nearest(name, known, say='they have')}.")
        for teacher, own in named.items():
            if name in own and meant in own and name != meant:
                raise RecipeError(f"--same {one!r}: {teacher} has both labels, so to it they are two classes.")
            if name in own and name in maps[teacher]:
                raise RecipeError(f"--same {one!r}: {name!r} is mapped to {maps[teacher][name]!r} already; map it once.")
            if name in own and meant in maps[teacher].values():
                both = next(before for before, after in maps[teacher].items() if after == meant)
                raise RecipeError(f"--same {one!r}: {teacher} has {both!r} for that too, so to it they are two classes.")
            if name in own:
                maps[teacher][name] = meant
    return maps
