"""A frozen encoder under a head that trains: each item is encoded once, to the one vector that the head reads.

Knows how sequence classifiers pool: a pooler's output, the first token, the last one, or the mean. Which of these a model
uses is found by trial, not by its name. Knows nothing of labels, losses or the loop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from distrust.data import Items
from distrust.errors import DataError
from distrust.modules import best_device, frozen
from distrust.pretrained import Tokenised, accepted_inputs, quiet, tokenise

BATCH = 32
PROBE = (
    "a",
    "two words",
    "one two three four five six seven eight nine ten",
)  # of different lengths, so that poolings differ


def _mask(inputs: dict[str, Tensor]) -> Tensor:
    """Which tokens count (n, L): all of them for a model that takes no mask, such as FNet."""
    return inputs["attention_mask"] if "attention_mask" in inputs else torch.ones_like(inputs["input_ids"])


def _last(hidden: Tensor, mask: Tensor) -> Tensor:
    position = torch.arange(hidden.shape[1], device=hidden.device) * mask  # (n, L)
    return hidden[torch.arange(len(hidden), device=hidden.device), position.argmax(-1)]


def _mean(hidden: Tensor, mask: Tensor) -> Tensor:
    kept = mask.unsqueeze(-1).to(hidden.dtype)  # (n, L, 1)
    return (hidden * kept).sum(1) / kept.sum(1).clamp(min=1)


Pooling = Callable[[Any, Tensor], Tensor | None]  # an encoder's output and a mask (n, L) to (n, d)
POOLINGS: tuple[Pooling, ...] = (
    lambda output, mask: getattr(output, "pooler_output", None),
    lambda output, mask: output[0][:, 0],
    lambda output, mask: _last(output[0], mask),
    lambda output, mask: _mean(output[0], mask),
)


class _Encoded(nn.Module):
    """Stands where the encoder stood and says what it said: one vector per item, as the only token and as the pooled one."""

    def forward(self, input_ids: None = None, inputs_embeds: Tensor | None = None, **_: Any) -> Any:
        from transformers.modeling_outputs import BaseModelOutputWithPoolingAndCrossAttentions as Output

        assert inputs_embeds is not None, "a frozen student reads features (n, 1, d)"
        return Output(last_hidden_state=inputs_embeds, pooler_output=inputs_embeds[:, 0])


class FrozenEncoder:
    """Takes the encoder out of a sequence classifier, which keeps its head and reads ``inputs_embeds`` (n, 1, d).

    Raises:
        DataError: a model whose head reads something else than one vector per item.
    """

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self.model = model
        self._accepted = accepted_inputs(model)
        self._place = model.base_model_prefix
        self._encoder: nn.Module = getattr(model, self._place)
        self._encoder.requires_grad_(False)
        self._encoder.eval()
        probe = Items(tuple(str(row) for row in range(len(PROBE))), PROBE)
        tokens = tokenise(tokenizer, probe, 16, self._accepted, "The student")
        self._pooling = self._find_pooling(tokens.batch(torch.arange(len(PROBE))))
        setattr(model, self._place, _Encoded())

    def features(self, tokens: Tokenised) -> Tensor:
        """What the head reads of each item: (B, 1, d), on the CPU."""
        here = best_device()
        self._encoder.to(here)
        parts, order = [], []
        with frozen(self._encoder):
            for rows in tokens.by_length(BATCH):
                inputs = {name: value.to(here) for name, value in tokens.batch(rows).items()}
                pooled = self._pooling(self._encoder(**inputs), _mask(inputs))
                assert pooled is not None, "the pooling was found on this very encoder"
                parts.append(pooled.float().cpu())
                order.append(rows)
        if not parts:
            return torch.zeros(0, 1, self.model.config.hidden_size)
        return torch.cat(parts)[torch.cat(order).argsort()].unsqueeze(1)

    @contextmanager
    def whole(self) -> Iterator[Any]:
        """Inside: the model with its encoder in place, for saving."""
        stand_in = getattr(self.model, self._place)
        setattr(self.model, self._place, self._encoder)
        try:
            yield self.model
        finally:
            setattr(self.model, self._place, stand_in)

    def _find_pooling(self, inputs: dict[str, Tensor]) -> Pooling:
        """The pooling with which the head alone says what the whole model says."""
        with quiet(), frozen(self.model):
            wanted = self.model(**inputs).logits  # (n, C)
            try:
                output = self._encoder(**inputs)
                setattr(self.model, self._place, _Encoded())
                for pooling in POOLINGS:
                    pooled = pooling(output, _mask(inputs))
                    if pooled is not None and self._head_says(pooled, wanted):
                        return pooling
            except (AttributeError, LookupError, NotImplementedError, RuntimeError, TypeError, ValueError):
                pass  # an encoder-decoder, or a head that needs more than embeddings: refused below
            finally:
                setattr(self.model, self._place, self._encoder)
        kind = self.model.config.model_type
        raise DataError(f"The head of a {kind} does not read one vector per item; train it whole, without freeze_encoder.")

    def _head_says(self, pooled: Tensor, wanted: Tensor) -> bool:
        return torch.allclose(self.model(inputs_embeds=pooled.unsqueeze(1)).logits, wanted, rtol=1e-4, atol=1e-5)
