"""A transformers model that starts from nothing: its config as a recipe writes it, checked before it is silently ignored.

Knows `model_type`s, the keys a config has, and a tokenizer's special tokens. Knows nothing of labels or of what is learned.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from distrust.errors import RecipeError, nearest
from distrust.modules import seeded
from distrust.pretrained import quiet
from distrust.secrets import show

ROLES = ("pad", "bos", "eos", "cls", "sep", "mask")


def check_config(raw: dict[str, Any], kinds: Collection[str], what: str) -> str:
    """Take `model_type` out of a config and refuse keys that the model would silently ignore.

    Args:
        raw: the recipe's `config`, changed in place.
        kinds: the model types that are legal here; what: what they are called, such as "sequence classifier".

    Raises:
        RecipeError: no model type, one that is not legal here, or a key that it does not have.
    """
    from transformers import AutoConfig

    kind = raw.pop("model_type", None)
    if not isinstance(kind, str) or kind not in kinds:
        say = "lacks its `model_type`" if kind is None else f"has the model_type {kind!r}, no {what}"
        raise RecipeError(f"The student's config {say}; {nearest(str(kind), kinds)}.")
    blank = AutoConfig.for_model(kind)
    legal = (set(blank.to_dict()) | set(blank.attribute_map)) - {"id2label", "label2id", "num_labels", "model_type"}
    for key in raw:
        if key not in legal:
            raise RecipeError(f"The student's config has an unknown key {key!r}; {nearest(key, sorted(legal))}.")
    return kind


def make_config(kind: str, raw: dict[str, Any], tokenizer: Any, more: dict[str, Any]) -> Any:
    """The config of a model type: the tokenizer's special tokens, what the recipe says, and what the task adds (`more`).

    Raises:
        RecipeError: fewer embeddings than the tokenizer has tokens, or values that make no model.
    """
    from transformers import AutoConfig

    size = raw.setdefault("vocab_size", len(tokenizer))
    if isinstance(size, int) and size < len(tokenizer):  # what is no number the config itself refuses
        raise RecipeError(f"The student's config has a vocab_size of {size} but its tokenizer has {len(tokenizer)} tokens.")
    tokens = {f"{role}_token_id": getattr(tokenizer, f"{role}_token_id") for role in ROLES}
    try:
        return AutoConfig.for_model(kind, **{**tokens, **raw, **more})
    except Exception as error:  # each model checks its sizes in its own way
        raise RecipeError(f"The student's config makes no {kind}: {show(str(error))}.") from error


def make_model(make: Callable[[Any], Any], config: Any, seed: int) -> Any:
    """A model with weights drawn from `seed`. Raises RecipeError where the config makes none."""
    try:
        with seeded(seed), quiet():
            return make(config)
    except Exception as error:
        raise RecipeError(f"The student's config makes no {config.model_type}: {show(str(error))}.") from error
