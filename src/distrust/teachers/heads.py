"""What local teachers keep beside claims: features under names, the heads that read them, and how many of their logits.

Knows paths in modules. Knows nothing of items or answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import nn

from distrust import taps
from distrust.errors import TeacherError, nearest
from distrust.labels import LabelSpace
from distrust.modules import weights_key

Features = Mapping[str, str]  # by name, taps of distrust.taps: the output of a module, or with `.input` what goes into it
# by a feature's name, what makes the logits of it: a module, or the paths of modules in order
Heads = Mapping[str, nn.Module | Sequence[str]]


def frozen_heads(module: nn.Module, heads: Heads, features: Features, who: str) -> dict[str, nn.Module]:
    """Frozen copies of heads. Raises TeacherError for a head of no feature, or of paths that the module lacks."""
    legal = [path for path, _ in module.named_modules() if path]
    made = {}
    for name, given in heads.items():
        if name not in features:
            raise TeacherError(
                f"{who} has a head for {name!r}, which is none of its features; {nearest(name, [*features])}."
            )
        for path in () if isinstance(given, nn.Module) else given:
            if path not in legal:
                raise TeacherError(f"{who} has no module {path!r} for its head; {nearest(path, legal)}.")
        made[name] = taps.frozen_copy([given] if isinstance(given, nn.Module) else [module.get_submodule(p) for p in given])
    return made


def heads_key(heads: Mapping[str, nn.Module]) -> dict[str, str]:
    """What the key of a teacher's answers holds of its heads: a hash of each one's weights."""
    return {name: weights_key(head) for name, head in heads.items()}


def checked_top(keep_top: int | None, space: LabelSpace, who: str) -> int | None:
    """How many classes to keep, or None: all. Raises TeacherError where there are not so many."""
    if keep_top is not None and not 1 <= keep_top <= len(space):
        raise TeacherError(f"{who} has {len(space)} classes and cannot keep {keep_top}; legal is 1 to {len(space)}.")
    return keep_top
