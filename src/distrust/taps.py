"""Taps: what goes into or comes out of a module's submodule, kept as it flows by.

Knows paths, hooks and which layer makes a classifier's logits. Knows nothing of teachers, students or losses.

A path names a submodule, whose output is kept (``encoder.layer.1``); with ``.input`` behind it, what goes into the
submodule (``classifier.input``).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from distrust.errors import DistrustError, nearest
from distrust.modules import frozen

INPUT = ".input"


def check(module: nn.Module, paths: Mapping[str, str], who: str, error: type[DistrustError]) -> dict[str, str]:
    """Taps by name. Raises `error` for a path that the module lacks, naming the nearest one."""
    legal = [path for path, _ in module.named_modules() if path]
    for path in paths.values():
        if path not in legal and path.removesuffix(INPUT) not in legal:
            near = nearest(path.removesuffix(INPUT), legal)
            raise error(f"{who} has no module {path!r} to take features from; {near}, or that and {INPUT!r}.")
    return dict(paths)


@contextmanager
def tapped(module: nn.Module, paths: Mapping[str, str]) -> Iterator[dict[str, Tensor]]:
    """Inside: the latest tensor at each path, by name, with its gradient. The hooks are gone afterwards."""
    latest: dict[str, Tensor] = {}
    legal = {path for path, _ in module.named_modules()}

    def keep(name: str, inwards: bool) -> Callable[..., None]:
        def hook(_: nn.Module, given: tuple[Any, ...], named: dict[str, Any], output: Any) -> None:
            latest[name] = _first((*given, *named.values()) if inwards else output)

        return hook

    handles = []
    for name, path in paths.items():
        inwards = path not in legal
        one = module.get_submodule(path.removesuffix(INPUT) if inwards else path)
        handles.append(one.register_forward_hook(keep(name, inwards), with_kwargs=True))
    try:
        yield latest
    finally:
        for handle in handles:
            handle.remove()


def last_layer(module: nn.Module, forward: Callable[[], Tensor]) -> str | None:
    """Path of the innermost submodule that makes what `forward` returns, logits (n, C); None where none does.

    Found by trial: the submodule whose output is the very logits, in eval mode, and which gives them again when it is
    called with the one tensor (n, ...) that went into it.
    """
    seen: list[tuple[str, nn.Module, Tensor, Tensor]] = []

    def keep(path: str) -> Callable[..., None]:
        def hook(one: nn.Module, given: tuple[Any, ...], output: Any) -> None:
            if len(given) == 1 and isinstance(given[0], Tensor) and isinstance(output, Tensor):
                seen.append((path, one, given[0], output))

        return hook

    handles = [one.register_forward_hook(keep(path)) for path, one in module.named_modules() if path]
    try:
        with frozen(module):
            logits = forward()
    finally:
        for handle in handles:
            handle.remove()
    with frozen(module):
        for path, one, given, output in seen:  # in the order in which they finished: inner ones first
            if output.shape == logits.shape and torch.equal(output, logits) and torch.equal(one(given), logits):
                return path
    return None


def frozen_copy(modules: Sequence[nn.Module]) -> nn.Module:
    """A copy of modules in a row, in eval mode: gradients flow through it, its parameters want none."""
    parts = [copy.deepcopy(one) for one in modules]
    return (parts[0] if len(parts) == 1 else nn.Sequential(*parts)).eval().requires_grad_(False)


def _first(value: Any) -> Tensor:
    """The first tensor of what a module takes or gives: many give a tuple or a mapping."""
    if isinstance(value, Tensor):
        return value
    parts = value.values() if isinstance(value, Mapping) else value
    found: Tensor = next(part for part in parts if isinstance(part, Tensor))
    return found
