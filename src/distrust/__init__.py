"""Distil a student from teachers you cannot fully trust.

The public names, loaded when first used, so that ``import distrust`` costs nothing before torch is needed::

    from distrust import trust, losses, combine
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_ROOMS = ("trust", "losses", "combine", "evaluate")
_NAMES = {
    "LabelSpace": "labels",
    "Candidates": "labels",
    "Evidence": "evidence",
    "Dense": "logits",
    "TopK": "logits",
    "Hidden": "logits",
    "stack": "evidence",
    "Items": "data",
    "load_items": "data",
    "Gold": "gold",
    "Objective": "objective",
    "Term": "objective",
    "DistrustError": "errors",
}
__all__ = sorted((*_ROOMS, *_NAMES, "__version__"))


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return importlib.import_module(f"distrust.{name}")
    if name in _NAMES:
        return getattr(importlib.import_module(f"distrust.{_NAMES[name]}"), name)
    raise AttributeError(f"module 'distrust' has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)
