"""How a local module answers: frozen, in batches, twice at first, and with features tapped on the way.

Knows modules, batches and evidence. Knows nothing of checkpoints, tokens or recipes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn

from distrust.data import Items
from distrust.errors import TeacherError
from distrust.evidence import Cost, Dense, Evidence
from distrust.labels import LabelSpace
from distrust.logits import top
from distrust.modules import frozen
from distrust.secrets import show
from distrust.taps import tapped

PROBE = 4  # items answered twice at the start of an ask, to find a teacher that is not repeatable


def ask_module(
    name: str,
    space: LabelSpace,
    module: nn.Module,
    answer: Callable[[Tensor], Tensor],
    batches: Iterable[Tensor],
    items: Items,
    features: Mapping[str, str],
    heads: Mapping[str, nn.Module],
    keep_top: int | None = None,
) -> Evidence:
    """Ask a module about all items; its modes, gradient flags and hooks are as before afterwards.

    Args:
        name, space: who answers, and what each logit stands for.
        answer: from rows (n,) long to the module's logits (n, C).
        batches: rows, every item once, in any order.
        features: taps to keep, by name.
        heads: what makes the logits of a tap, by its name.
        keep_top: keep so many classes of the logits; default all.

    Returns:
        One claim and C logits per item, or its top ones, in the items' order; free of charge.

    Raises:
        TeacherError: items that the module cannot read, logits of another shape, answers that differ each time,
            a tap with another size in each batch, a head that does not make the logits.
        DataError: NaN or +inf logits.
    """
    logits = torch.zeros(len(items), len(space))
    kept: dict[str, Tensor] = {}
    with frozen(module), tapped(module, features) as latest:
        for turn, rows in enumerate(batches):
            if turn == 0:
                _check_repeatable(name, answer, rows[:PROBE])
            given = call(name, answer, rows, len(space))
            logits[rows] = given.float().cpu()
            for feature, path in features.items():
                if feature not in latest:
                    raise TeacherError(f"{name} does not use its module {path!r} to answer; take features from another.")
                if turn == 0 and feature in heads:
                    _check_head(name, path, heads[feature], latest[feature], given)
                _place(name, kept, feature, latest[feature].float().cpu(), rows, len(items))
    claims = logits.argmax(-1).unsqueeze(0)
    said = Evidence(name, items.ids, space, claims, Dense(logits), kept, cost=Cost.free(len(items)))
    return said if keep_top is None else replace(said, logits=top(logits, keep_top))  # after NaN was refused


def call(name: str, answer: Callable[[Tensor], Tensor], rows: Tensor, classes: int) -> Tensor:
    """The module's logits (n, C) of rows (n,) long. Raises TeacherError where it gives none, or anything else."""
    given = _call(name, answer, rows)
    if not isinstance(given, Tensor) or given.shape != (len(rows), classes):
        got = tuple(given.shape) if isinstance(given, Tensor) else type(given).__name__
        raise TeacherError(f"{name} gave {got} for {len(rows)} items; legal are logits {(len(rows), classes)}.")
    return given


def _call(name: str, answer: Callable[[Tensor], Tensor], rows: Tensor) -> Tensor:
    try:
        return answer(rows)
    except torch.OutOfMemoryError as error:
        raise TeacherError(f"{name} runs out of memory on {len(rows)} items at once; set a smaller batch_size.") from error
    except (RuntimeError, IndexError, ValueError) as error:
        raise TeacherError(f"{name} cannot read these items: {show(str(error))}.") from error


def _check_repeatable(name: str, answer: Callable[[Tensor], Tensor], rows: Tensor) -> None:
    """Refuse a teacher that draws at random even in eval mode: its evidence could be neither stored nor judged."""
    first, second = _call(name, answer, rows), _call(name, answer, rows)
    same = not isinstance(first, Tensor) or torch.allclose(first, second, rtol=1e-3, atol=1e-3, equal_nan=True)
    if not same:
        raise TeacherError(
            f"{name} answers the same items differently each time, even in eval mode; "
            "does its forward use dropout without `training=self.training`?"
        )


def _place(who: str, features: dict[str, Tensor], name: str, value: Tensor, rows: Tensor, items: int) -> None:
    kept = features.setdefault(name, value.new_zeros(items, *value.shape[1:]))
    if value.shape != (len(rows), *kept.shape[1:]):
        raise TeacherError(
            f"{who}'s feature {name!r} is {tuple(value.shape)} in one batch and (n, {', '.join(map(str, kept.shape[1:]))}) "
            "in another; tap a module with one vector per item, such as a pooler."
        )
    kept[rows] = value


def _check_head(who: str, path: str, head: nn.Module, feature: Tensor, logits: Tensor) -> None:
    """Refuse a head that does not make these logits (n, C) of its feature (n, ...)."""
    try:
        made = head(feature)
    except (RuntimeError, IndexError, ValueError, TypeError) as error:
        raise TeacherError(f"{who}'s head cannot read {path!r}, {tuple(feature.shape)}: {show(str(error))}.") from error
    if not isinstance(made, Tensor) or made.shape != logits.shape or not torch.allclose(made, logits, 1e-3, 1e-3):
        raise TeacherError(
            f"{who}'s head does not make its logits of {path!r}; name all the modules from there on, in order."
        )
