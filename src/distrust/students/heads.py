"""The head of a causal language model: the layer that turns hidden states into logits, and a model without it.

Knows where transformers keeps a head and what may stand behind it. Knows nothing of losses or batches.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from distrust.errors import RunError
from distrust.losses.chunks import Projected
from distrust.modules import frozen

CAP = "final_logit_softcapping"  # as transformers' configs name it


@dataclass(frozen=True)
class Head:
    """A linear layer (V, d), its bias, and the cap that stands behind it: cap · tanh(logits / cap)."""

    layer: Any
    softcap: float | None

    def projected(self, hidden: Tensor) -> Projected:
        """Hidden states (*items, d) beside what would make logits of them."""
        return Projected(hidden, self.layer.weight, self.layer.bias, self.softcap)


@contextmanager
def headless(model: Any) -> Iterator[Head]:
    """Inside, the model's logits are the hidden states that go into its head. Raises RunError as `check` does."""
    layer = _layer(model)
    text = model.config.get_text_config()
    cap = getattr(text, CAP, None)
    layer.forward = _as_it_is  # of this one layer: its class, its weights and its place stay
    if cap is not None:
        setattr(text, CAP, None)
    try:
        yield Head(layer, cap)
    finally:
        del layer.forward
        if cap is not None:
            setattr(text, CAP, cap)


def check(model: Any, who: str) -> None:
    """Raises RunError unless hidden states and head alone make the model's logits, and these are finite."""
    ids = torch.tensor([[0, 1]], device=next(model.parameters()).device)
    with frozen(model):
        wanted = model(input_ids=ids, use_cache=False).logits.float()  # (1, 2, V)
        with headless(model) as head:
            hidden = model(input_ids=ids, use_cache=False).logits
        made = nn.functional.linear(hidden, head.layer.weight, head.layer.bias).float()
    if not bool(wanted.isfinite().all()):
        raise RunError(f"{who} answers with numbers that are not finite; its weights are damaged, or were never trained.")
    if head.softcap is not None:
        made = head.softcap * torch.tanh(made / head.softcap)
    if made.shape != wanted.shape or not torch.allclose(made, wanted, rtol=1e-3, atol=1e-3):
        raise RunError(f"{who} changes its logits behind its last layer, in a way not known here; choose another model.")


def _layer(model: Any) -> Any:
    layer = model.get_output_embeddings()
    if not isinstance(layer, nn.Linear):
        raise RunError(f"{type(model).__name__} has no linear layer at its end that makes its logits; choose another model.")
    return layer


def _as_it_is(hidden: Tensor) -> Tensor:
    return hidden
