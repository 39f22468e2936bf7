"""A small trainable module inside a frozen language model: low-rank terms on what its attention projects to.

    h ← h + scale · x · down · up      on queries and values; down (d, r), up (r, k) from zero     (OKD, equation 15)

Knows where models keep queries and values. Knows nothing of losses or of who trains it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from distrust.errors import RunError, nearest
from distrust.modules import device_of, seeded

NAME = "low_rank"  # under which the terms hang in the model, to be trained, placed and kept with it
APART = (("q_proj", "v_proj"), ("query", "value"))
TOGETHER = ("c_attn", "qkv_proj")  # queries, keys and values beside each other


class Terms(nn.Module):
    """The low-rank terms of one layer: some slices of its output, each with its own pair of matrices."""

    def __init__(self, inside: int, slices: Sequence[tuple[int, int]], rank: int, scale: float) -> None:
        super().__init__()
        self.slices, self.scale = list(slices), scale
        bound = math.sqrt(3 / inside)  # Kaiming's, as in LoRA (Hu et al. 2021)
        self.down = nn.ParameterList(torch.empty(inside, rank).uniform_(-bound, bound) for _ in self.slices)
        self.up = nn.ParameterList(torch.zeros(rank, stop - start) for start, stop in self.slices)
        self.off = False

    def forward(self, given: Tensor, made: Tensor) -> Tensor:
        """What goes into a layer (*, d) and what comes out (*, k), to the latter with the terms added."""
        if self.off:
            return made
        given = given.to(self.down[0].dtype)
        # the scale goes to a matrix, not to every token; what is adapted whole is neither cut nor put together
        added: list[Tensor] = [
            (given @ (self.scale * down) @ up).to(made.dtype) for down, up in zip(self.down, self.up, strict=True)
        ]
        if self.slices == [(0, made.shape[-1])]:
            return made + added[0]
        parts, at = [], 0
        for (start, stop), term in zip(self.slices, added, strict=True):
            parts += [made[..., at:start], made[..., start:stop] + term]
            at = stop
        return torch.cat([*parts, made[..., at:]], -1)


@contextmanager
def attached(
    model: Any, rank: int, scale: float, *, layers: int | None = None, targets: Sequence[str] = (), seed: int = 0
) -> Iterator[list[Terms]]:
    """Inside: low-rank terms in the model's last layers, all that wants a gradient there. After: the model as it was.

    Args:
        model: a transformers causal language model.
        rank, scale: of the terms.
        layers: how many of the last layers; default all.
        targets: last names of the layers to adapt, whole; default: queries and values, wherever the model keeps them.
        seed: of `down`; the global random state is left alone.

    Raises:
        RunError: no such layers or targets; the nearest right ones are named.
    """
    found = targeted(model, layers, targets)
    wanted = [parameter for parameter in model.parameters() if parameter.requires_grad]
    with seeded(seed):
        terms = [Terms(inside, slices, rank, scale).to(device_of(model)) for _, inside, slices in found]
    for parameter in wanted:
        parameter.requires_grad_(False)
    hooks = [layer.register_forward_hook(_adding(own)) for (layer, _, _), own in zip(found, terms, strict=True)]
    model.add_module(NAME, nn.ModuleList(terms))
    try:
        yield terms
    finally:
        delattr(model, NAME)
        for hook in hooks:
            hook.remove()
        for parameter in wanted:
            parameter.requires_grad_(True)


@contextmanager
def absent(terms: Sequence[Terms]) -> Iterator[None]:
    """Inside, the model answers as if it had no such terms: the original teacher."""
    try:
        for one in terms:
            one.off = True
        yield
    finally:
        for one in terms:
            one.off = False


@contextmanager
def checkpointed(model: Any) -> Iterator[None]:
    """Inside, a layer keeps what went into it alone and runs again for its gradient, in eval mode too: one more forward."""
    layers = list(blocks(model))
    for layer in layers:
        layer.forward = partial(checkpoint, layer.forward, use_reentrant=False)
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward


def blocks(model: Any) -> nn.ModuleList:
    """The layers of a transformer, in order. Raises RunError where there are none."""
    lists = [one for name, one in model.named_modules() if isinstance(one, nn.ModuleList) and not name.startswith(NAME)]
    found = max(lists, key=len, default=None)
    if found is None or not len(found):
        raise RunError(f"{type(model).__name__} has no list of layers to adapt; choose another model.")
    return found


def _adding(terms: nn.Module) -> Any:
    return lambda layer, given, made: terms(given[0], made)


def targeted(model: Any, layers: int | None, targets: Sequence[str]) -> list[tuple[nn.Module, int, list[tuple[int, int]]]]:
    """Layers to adapt, what goes into each, and which slices of what comes out. Raises RunError as `attached`."""
    stack = blocks(model)
    if layers is not None and layers > len(stack):
        raise RunError(f"The teacher has {len(stack)} layers and `layers` is {layers}; legal is 1 to {len(stack)}.")
    chosen = list(stack)[-(layers or len(stack)) :]
    inside = [(name.rpartition(".")[2], one) for block in chosen for name, one in block.named_modules() if _linear(one)]
    legal = sorted({name for name, _ in inside})
    for name in targets:
        if name not in legal:
            raise RunError(f"The teacher has no layer {name!r} to adapt; {nearest(name, legal)}.")
    pairs = [name for pair in APART if set(pair) <= set(legal) for name in pair]  # one alone is not what was asked for
    names = targets or [*pairs, *(name for name in TOGETHER if name in legal)]
    if not names:
        raise RunError(f"Where this teacher keeps queries and values is not known; name its layers in `targets`: {legal}.")
    found = []
    for name, layer in inside:
        if name in names:
            into, out = _sizes(layer)
            whole = bool(targets) or name in pairs
            found.append((layer, into, [(0, out)] if whole else _queries_and_values(model.config.get_text_config(), out)))
    return found


def _queries_and_values(config: Any, out: int) -> list[tuple[int, int]]:
    """Their places where queries, keys and values stand beside each other. Raises RunError where the sizes do not say."""
    heads = config.num_attention_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // heads
    keys = (getattr(config, "num_key_value_heads", None) or heads) * size
    if heads * size + 2 * keys != out:
        raise RunError("How this teacher lays out queries, keys and values is not known; name whole layers in `targets`.")
    return [(0, heads * size), (out - keys, out)]


def _linear(one: nn.Module) -> bool:
    return isinstance(one, nn.Linear) or type(one).__name__ == "Conv1D"  # GPT-2's, a linear layer with its weight turned


def _sizes(layer: Any) -> tuple[int, int]:
    rows, columns = layer.weight.shape
    return (columns, rows) if isinstance(layer, nn.Linear) else (rows, columns)
