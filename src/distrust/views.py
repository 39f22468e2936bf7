"""Augmented views of items, replayed from a seed: items of their own, which teachers and student read alike.

Knows how a view is drawn and what it is called. Knows nothing of what a change does, of who is asked, or of training.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from distrust.data import Items, concatenate
from distrust.errors import DataError

Change = Callable[[Any, torch.Generator], Any]  # an item's input, and where to draw from, to an input of the same kind


def views(items: Items, change: Change, count: int, seed: int = 0) -> Items:
    """The items, and `count` - 1 changed views of each: `ID~1`, `ID~2`, and so on.

    What was said of an item says nothing of its changed input, so a view is an item of its own: a teacher is asked about
    exactly what the student will see, once, and the evidence store finds it again. One pass over the result is `count`
    ordinary epochs. Gold, which goes by id, stays with the unchanged items.

    Args:
        items: B items.
        change: from an input (a text, a pair, a tensor) to a changed one of the same kind and size. It draws from the
            generator it is handed and from nothing else.
        count: views of each item, the unchanged one among them.
        seed: of the draws. A view depends on it, on the item's id and input and on the view's number alone: not on rows, on
            other items or on the global random state, which is left as it was.

    Returns:
        `count` · B items: first all unchanged ones, then the first view of each. Other columns are repeated.

    Raises:
        DataError: a change that gives something else each time, or another kind of input; a view that has an item's id.
    """
    if count < 1:
        raise DataError(f"There are {count} views of each item; legal is 1, the item itself, and more.")
    whole = items
    for view in range(1, count):
        whole = concatenate(whole, _view(items, change, view, seed))
    return whole


def _view(items: Items, change: Change, view: int, seed: int) -> Items:
    made: list[Any] = []
    with torch.random.fork_rng(devices=[]):
        for item, given in zip(items.ids, items.inputs, strict=True):
            changed = change(_apart(given), _generator(item, view, seed))
            if not made and not _same(changed, change(_apart(given), _generator(item, view, seed))):
                raise DataError("A view must be the same when drawn again; draw from the generator that is handed over.")
            if type(changed) is not type(given) or getattr(changed, "shape", 0) != getattr(given, "shape", 0):
                raise DataError(f"The view of {item!r} is {_kind(changed)}; legal is what the item is, {_kind(given)}.")
            made.append(changed)
    ids = tuple(f"{item}~{view}" for item in items.ids)
    if not made:
        return items
    return Items(ids, torch.stack(made) if isinstance(items.inputs, Tensor) else tuple(made), items.columns)


def _generator(item: str, view: int, seed: int) -> torch.Generator:
    """Where a view's draws come from: a function of item, view and seed."""
    digest = hashlib.blake2b(json.dumps([item, view, seed]).encode(), digest_size=7).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest, "big"))


def _apart(given: Any) -> Any:
    """An input that a change may write into."""
    return given.clone() if isinstance(given, Tensor) else given


def _same(one: Any, other: Any) -> bool:
    return torch.equal(one, other) if isinstance(one, Tensor) and isinstance(other, Tensor) else bool(one == other)


def _kind(value: Any) -> str:
    return f"a tensor {tuple(value.shape)}" if isinstance(value, Tensor) else f"a {type(value).__name__}"
