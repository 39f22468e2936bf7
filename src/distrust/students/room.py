"""A cache of keys and values with room for what is still to be written, so that a step writes a token and copies no others.

Knows the layers of transformers' dynamic cache. Does not know what is written, or by which model.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

GROWN = "DynamicLayer"  # by its name: windows and other kinds of layers keep their own ways
LEAST = 32  # tokens of room


def make_room(cache: Any) -> None:
    """Let each layer that grows by concatenation write into room kept for it instead; what it holds stays as it is."""
    for layer in getattr(cache, "layers", ()):
        if type(layer).__name__ == GROWN and layer.is_initialized:
            layer.update = _Room(layer).update


class _Room:
    """The keys and values of one layer, as the first part of a larger tensor."""

    def __init__(self, layer: Any) -> None:
        self.layer = layer
        self.whole: tuple[Tensor, ...] = ()  # keys and values, (n, heads, room, d) each
        self.part: Tensor | None = None  # the keys that the layer had been given; others mean that rows were chosen since

    def update(self, keys: Tensor, values: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """New keys and values (n, heads, t, d) after what is there: both, (n, heads, T + t, d)."""
        layer, before = self.layer, self.layer.keys.shape[-2]
        end = before + keys.shape[-2]
        if layer.keys is not self.part or end > self.whole[0].shape[-2]:
            self.whole = tuple(_roomier(one, end) for one in (layer.keys, layer.values))
        for whole, more in zip(self.whole, (keys, values), strict=True):
            whole[..., before:end, :] = more
        layer.keys, layer.values = (whole[..., :end, :] for whole in self.whole)
        self.part = layer.keys
        return layer.keys, layer.values


def _roomier(one: Tensor, end: int) -> Tensor:
    """A copy of (n, heads, T, d) with room for half as much again as `end` tokens."""
    grown = torch.empty(*one.shape[:-2], end + max(LEAST, end // 2), one.shape[-1], dtype=one.dtype, device=one.device)
    grown[..., : one.shape[-2], :] = one
    return grown
