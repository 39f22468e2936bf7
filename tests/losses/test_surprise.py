"""How likely a side finds tokens, against whole logits in double precision."""

from __future__ import annotations

import pytest
import torch

from distrust.losses.chunks import Projected
from distrust.losses.surprise import surprise


@pytest.mark.parametrize("softcap", [None, 2.0])
def test_it_is_cross_entropy_and_entropy(softcap: float | None) -> None:
    draw = torch.Generator().manual_seed(0)
    hidden, weight, bias = (torch.randn(size, generator=draw) for size in ((7, 90, 5), (13, 5), (13,)))
    labels = torch.randint(11, (7, 90), generator=draw)
    counted = torch.rand(7, 90, generator=draw) < 0.8
    found = surprise(Projected(hidden, weight, bias, softcap), labels, counted, 11)
    z = (hidden.double() @ weight.double().T + bias.double())[..., :11]
    log_p = (z if softcap is None else softcap * (z / softcap).tanh()).log_softmax(-1)
    wanted = -log_p.gather(-1, labels.unsqueeze(-1)).squeeze(-1), -(log_p.exp() * log_p).sum(-1)
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one.double(), torch.where(counted, other, 0), rtol=1e-5, atol=1e-5)


def test_where_nothing_counts_there_is_nothing() -> None:
    nothing = torch.zeros(2, 3, dtype=torch.bool)
    found = surprise(Projected(torch.ones(2, 3, 4), torch.ones(5, 4)), torch.zeros(2, 3, dtype=torch.long), nothing, 5)
    assert not any(bool(one.any()) for one in found)
