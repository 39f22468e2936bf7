"""The optimiser of one side: AdamW over everything that is trained, the student's and the objective's own parts.

Knows parameters and how they move. Knows nothing of losses or schedules beyond a factor on the learning rate.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from distrust.sharding import like


class Optimiser:
    """Clipping and AdamW (fused: the default of transformers' Trainer too) on all trainable parameters of some modules."""

    def __init__(self, modules: nn.Module, learning_rate: float, weight_decay: float, max_grad_norm: float | None) -> None:
        self.parameters = [parameter for parameter in modules.parameters() if parameter.requires_grad]
        self.learning_rate, self.max_grad_norm = learning_rate, max_grad_norm
        self.adamw = torch.optim.AdamW(self.parameters, lr=learning_rate, weight_decay=weight_decay, fused=True)

    def step(self, factor: float) -> None:
        """Clip, move with `factor` times the learning rate, and forget the gradients."""
        if self.max_grad_norm is not None:
            nn.utils.clip_grad_norm_(self.parameters, self.max_grad_norm)
        for group in self.adamw.param_groups:
            group["lr"] = self.learning_rate * factor
        self.adamw.step()
        self.adamw.zero_grad()

    def tensors(self) -> dict[str, Tensor]:
        """State as flat names, for a checkpoint: `3.exp_avg` belongs to the fourth parameter, and is in shards if it is."""
        state = self.adamw.state_dict()["state"]
        return {f"{index}.{name}": value for index, values in state.items() for name, value in values.items()}

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Take back what `tensors` gave, exactly; whole tensors are put in shards where their parameters are."""
        state: dict[int, dict[str, Tensor]] = {}
        for key, value in tensors.items():
            index, _, name = key.partition(".")
            own = self.parameters[int(index)]
            state.setdefault(int(index), {})[name] = like(own, value) if value.shape == own.shape else value
        self.adamw.load_state_dict({"state": state, "param_groups": self.adamw.state_dict()["param_groups"]})
