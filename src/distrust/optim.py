"""Optimisers of one side: AdamW, and SparseAdam where an embedding's gradient is sparse.

Knows parameters and how they move. Knows nothing of losses or schedules beyond a factor on the learning rate.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn


class Optimisers:
    """All trainable parameters of some modules, moved together.

    A parameter of a sparse `nn.Embedding` or `nn.EmbeddingBag` gets SparseAdam, which moves only rows that were read
    and knows no weight decay; every other one AdamW.
    """

    def __init__(self, modules: nn.Module, learning_rate: float, weight_decay: float, max_grad_norm: float | None) -> None:
        sparse = {id(module.weight) for module in modules.modules() if getattr(module, "sparse", False)}
        trained = [parameter for parameter in modules.parameters() if parameter.requires_grad]
        rows = [parameter for parameter in trained if id(parameter) in sparse]
        rest = [parameter for parameter in trained if id(parameter) not in sparse]
        self.learning_rate, self.max_grad_norm = learning_rate, max_grad_norm
        self.parameters = trained
        self.has_sparse = bool(rows)
        self.all: list[torch.optim.Optimizer] = []
        if rows:
            self.all.append(torch.optim.SparseAdam(rows, lr=learning_rate))
        if rest:
            self.all.append(torch.optim.AdamW(rest, lr=learning_rate, weight_decay=weight_decay))

    def step(self, factor: float) -> None:
        """Clip, move with `factor` times the learning rate, and forget the gradients."""
        if self.max_grad_norm is not None:
            self._clip(self.max_grad_norm)
        for optimiser in self.all:
            for group in optimiser.param_groups:
                group["lr"] = self.learning_rate * factor
            optimiser.step()
            optimiser.zero_grad()

    def _clip(self, max_norm: float) -> None:
        """Scale all gradients to a common norm of at most `max_norm`; torch's own function knows no sparse ones."""
        if not self.has_sparse:
            nn.utils.clip_grad_norm_(self.parameters, max_norm)
            return
        for parameter in self.parameters:
            if parameter.grad is not None and parameter.grad.is_sparse:
                parameter.grad = parameter.grad.coalesce()
        gradients = [parameter.grad for parameter in self.parameters if parameter.grad is not None]
        values = [gradient.values() if gradient.is_sparse else gradient for gradient in gradients]
        norm = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(value) for value in values]))
        scale = (max_norm / (norm + 1e-6)).clamp(max=1.0)
        for value in values:
            value.mul_(scale)

    def tensors(self) -> dict[str, Tensor]:
        """State as flat names, for a checkpoint: `0.3.exp_avg` is parameter 3 of the first optimiser."""
        return {
            f"{number}.{index}.{name}": value if isinstance(value, Tensor) else torch.tensor(value)
            for number, optimiser in enumerate(self.all)
            for index, state in optimiser.state_dict()["state"].items()
            for name, value in state.items()
        }

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Take back what `tensors` gave, exactly."""
        states: list[dict[int, dict[str, Tensor | int]]] = [{} for _ in self.all]
        for key, value in tensors.items():
            number, index, name = key.split(".")
            # SparseAdam counts its steps in a plain int, AdamW in a tensor; each gets back what it gave
            plain = isinstance(self.all[int(number)], torch.optim.SparseAdam) and name == "step"
            states[int(number)].setdefault(int(index), {})[name] = int(value) if plain else value
        for optimiser, state in zip(self.all, states, strict=True):
            optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
