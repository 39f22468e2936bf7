from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from distrust.modules import frozen, seeded, weights_key


class Stubborn(nn.Module):
    """Overrides `train`, as adapters that merge themselves and frozen batch norms do."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(3)
        self.calls = 0

    def train(self, mode: bool = True) -> Stubborn:
        self.calls += 1
        super().train(mode)
        self.norm.training = True
        return self

    def forward(self, inputs: Tensor) -> Tensor:
        return self.norm(inputs)  # type: ignore[no-any-return]


def test_frozen_freezes_what_overrides_train_and_restores_it() -> None:
    module = Stubborn().train(False)
    calls = module.calls
    values = torch.randn(5, 3)
    with frozen(module):
        assert not any(one.training for one in module.modules())
        assert not torch.is_grad_enabled()
        assert torch.allclose(module(values), values, atol=1e-4), "running statistics, not the batch's"
        torch.rand(3)
    assert module.calls == calls and not module.training and module.norm.training
    assert torch.is_grad_enabled() and int(module.norm.num_batches_tracked) == 0


def test_random_state_is_as_before_also_after_an_error() -> None:
    state = torch.get_rng_state()
    with pytest.raises(KeyError), frozen(nn.Linear(1, 1)):
        torch.rand(5)
        raise KeyError
    linear_state = torch.get_rng_state()
    with seeded(4):
        first = torch.rand(3)
    assert torch.equal(torch.get_rng_state(), linear_state) and not torch.equal(state, linear_state)
    with seeded(4):
        assert torch.equal(torch.rand(3), first)


def test_weights_key_sees_weights_settings_and_classes() -> None:
    module = nn.Sequential(nn.Linear(2, 2), nn.LeakyReLU(0.1))
    key = weights_key(module)
    assert weights_key(module.train()) == weights_key(module.eval()) == key
    other = nn.Sequential(nn.Linear(2, 2), nn.LeakyReLU(0.2))
    other.load_state_dict(module.state_dict())
    assert weights_key(other) != key
    half = nn.Sequential(nn.Linear(2, 2), nn.LeakyReLU(0.1)).bfloat16()
    assert weights_key(half) != key, "bfloat16 weights have a key too"
