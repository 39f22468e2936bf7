"""Dropout by item: really random, at its rate, and the same for an item whatever stands beside it."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from distrust.dropout import dropping, item_keys, pass_keys

IDS = [f"item {row}" for row in range(64)]


def keys(rows: int = 64, passes: int = 1) -> Tensor:
    return pass_keys(item_keys(IDS[:rows], 0), passes).flatten()


class Net(nn.Module):
    """A bit of everything: a layer's dropout, a function's, BatchNorm, and a mode that it reports."""

    def __init__(self, rate: float = 0.5) -> None:
        super().__init__()
        self.first, self.norm, self.drop, self.last = nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(rate), nn.Linear(8, 3)
        self.modes: list[bool] = []

    def forward(self, inputs: Tensor) -> Tensor:
        self.modes.append(self.norm.training)
        hidden = functional.dropout(self.norm(self.first(inputs)), 0.25 if self.drop.p else 0.0, self.training)
        return self.last(self.drop(hidden))  # type: ignore[no-any-return]


def test_units_fall_at_their_rate_independently_and_the_mean_stays() -> None:
    with dropping(nn.Dropout()) as draws, torch.no_grad():
        for rate in (0.1, 0.3, 0.9):
            draws.begin(keys(64, 16))
            given = functional.dropout(torch.ones(1024, 200), rate)
            share = float((given == 0).double().mean())
            assert abs(share - rate) < 4 * math.sqrt(rate * (1 - rate) / given.numel())
            assert given.unique().tolist() == pytest.approx([0, 1 / (1 - rate)])
            fallen = (given == 0).double()
            for one, other in ((fallen[1:], fallen[:-1]), (fallen[:, 1:], fallen[:, :-1]), (fallen[64:], fallen[:-64])):
                both = float((one * other).mean())
                assert abs(both - rate**2) < 5 * math.sqrt(rate**2 / one.numel()), "neighbours, items and passes apart"
            again = functional.dropout(torch.ones(1024, 200), rate)
            assert not torch.equal(again, given), "the next call draws anew"


def test_rates_of_nothing_and_of_everything() -> None:
    ones = torch.ones(64, 5)
    with dropping(nn.Dropout()) as draws:
        draws.begin(keys())
        assert functional.dropout(ones, 0.0) is ones and draws.met == 0
        assert functional.dropout(ones, 1.0).eq(0).all() and draws.met == 1


def test_an_items_draws_are_the_same_beside_other_items_and_other_padding() -> None:
    with dropping(nn.Dropout()) as draws:
        draws.begin(keys())
        wide = functional.dropout(torch.ones(64, 7, 10), 0.5)
        draws.begin(keys()[[5, 3]])
        assert torch.equal(functional.dropout(torch.ones(2, 4, 10), 0.5), wide[[5, 3], :4])
        draws.begin(keys()[[5, 3]])
        flat = functional.dropout(torch.ones(8, 10), 0.5)  # a model that flattens items and tokens
        assert torch.equal(flat.reshape(2, 4, 10), wide[[5, 3], :4])


def test_whole_channels_fall_together() -> None:
    with dropping(nn.Dropout()) as draws:
        draws.begin(keys())
        given = nn.Dropout2d(0.5).eval()(torch.ones(64, 6, 3, 3))
    assert set(given.flatten(2).sum(-1).unique().tolist()) == {0.0, 18.0}


@pytest.mark.parametrize("given", [{}, {"is_causal": True}, {"scale": 0.2}, {"mask": "bool"}, {"mask": "float"}])
def test_attention_drops_its_weights_and_is_otherwise_torchs(given: dict[str, object]) -> None:
    draw = torch.Generator().manual_seed(0)
    query, key, value = (torch.randn(64, 2, 5, 4, generator=draw) for _ in range(3))
    kind = given.pop("mask", None)
    mask = torch.ones(64, 1, 5, 5, dtype=torch.bool).tril() if kind else None
    named = {"attn_mask": torch.where(mask, 0.0, -torch.inf) if kind == "float" and mask is not None else mask, **given}
    plain = functional.scaled_dot_product_attention(query, key, value, **named)  # type: ignore[arg-type]
    with dropping(nn.Dropout()) as draws:
        draws.begin(keys())
        assert torch.equal(functional.scaled_dot_product_attention(query, key, value, **named), plain)  # type: ignore[arg-type]
        tiny = functional.scaled_dot_product_attention(query, key, value, dropout_p=1e-7, **named)  # type: ignore[arg-type]
        assert draws.met == 1
        torch.testing.assert_close(tiny, plain, rtol=1e-4, atol=1e-5)
        much = [functional.scaled_dot_product_attention(query, key, value, dropout_p=0.5, **named) for _ in range(100)]  # type: ignore[arg-type]
    mean = torch.stack(much).mean(0)
    assert not torch.allclose(much[0], plain, atol=0.1)
    torch.testing.assert_close(mean, plain, rtol=0, atol=0.8)


def test_modes_and_random_state_are_as_before_and_batchnorm_is_in_eval_throughout() -> None:
    net = Net()
    net.drop.eval()
    modes = [one.training for one in net.modules()]
    statistics = {name: value.clone() for name, value in net.state_dict().items()}
    state = torch.get_rng_state()
    with dropping(net) as draws:
        draws.begin(keys())
        first = net(torch.ones(64, 4))
        draws.begin(keys())
        assert torch.equal(net(torch.ones(64, 4)), first) and draws.met == 4
        assert len(first.unique(dim=0)) > 30, "items differ by what fell alone"
    assert net.modes == [False, False] and [one.training for one in net.modules()] == modes
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, statistics[name]) for name, value in net.state_dict().items())
    with pytest.raises(ZeroDivisionError), dropping(net):
        raise ZeroDivisionError
    assert [one.training for one in net.modules()] == modes
    ones = torch.ones(3)
    assert functional.dropout(ones, 0.5, training=False) is ones, "outside, torch's own again"


def test_torchs_transformer_leaves_its_fast_path() -> None:
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval()
    with dropping(layer) as draws:
        draws.begin(keys())
        given = layer(torch.ones(64, 3, 8))
    assert draws.met == 3 and not torch.allclose(given[0], given[1])
