"""Low-rank terms: nothing at first, on queries and values alone wherever a model keeps them, and gone afterwards."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor

from distrust.errors import RunError
from distrust.low_rank import absent, attached, checkpointed
from tests import writers

IDS = torch.arange(12).reshape(2, 6)


def model(kind: str = "llama") -> Any:
    return writers.writer(kind).module.eval()


def logits(one: Any) -> Tensor:
    made: Tensor = one(input_ids=IDS, use_cache=False).logits
    return made


@pytest.mark.parametrize("kind", ["llama", "gpt2", "mistral"])
def test_at_first_they_change_nothing_and_later_only_where_they_hang(kind: str) -> None:
    one = model(kind)
    with torch.no_grad():
        before = logits(one)
        with attached(one, 3, 2.0, seed=1) as terms:
            assert torch.equal(before, logits(one))
            for own in terms:
                for up in own.up:
                    up.fill_(0.1)
            assert not torch.allclose(before, logits(one))
            with absent(terms):
                assert torch.equal(before, logits(one))
        assert torch.equal(before, logits(one))


def test_of_a_fused_layer_only_queries_and_values_move() -> None:
    one = model("gpt2")
    made: list[Tensor] = []
    with torch.no_grad(), attached(one, 3, 2.0, seed=1) as terms:
        layer = one.transformer.h[0].attn.c_attn
        given = torch.randn(2, 5, 32, generator=torch.Generator().manual_seed(0))
        plain = layer(given)
        for up in terms[0].up:
            up.fill_(0.1)
        made.append(layer(given) - plain)
    queries, keys, values = made[0].split(32, -1)
    assert not keys.any() and bool(queries.all()) and bool(values.all())
    down = terms[0].down
    torch.testing.assert_close(queries, 2.0 * (given @ down[0].detach() @ torch.full((3, 32), 0.1)), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(values, 2.0 * (given @ down[1].detach() @ torch.full((3, 32), 0.1)), rtol=1e-4, atol=1e-5)


def test_layers_counts_from_the_end_and_nothing_else_wants_a_gradient() -> None:
    one = model()
    with attached(one, 2, 1.0, layers=1) as terms:
        assert len(terms) == 2
        wanted = {name for name, value in one.named_parameters() if value.requires_grad}
        assert wanted and all(name.startswith("low_rank.") for name in wanted)
        logits(one).sum().backward()
        assert all(value.grad is None for name, value in one.named_parameters() if name not in wanted)
    assert all(value.requires_grad and value.grad is None for value in one.parameters())
    with attached(one, 2, 1.0, targets=["o_proj", "up_proj"]) as terms:
        assert [tuple(own.up[0].shape) for own in terms] == [(2, 32), (2, 64), (2, 32), (2, 64)]


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_layers_that_run_again_hold_less_and_find_the_same_gradients(kind: str) -> None:
    one, held, found = model(kind).eval(), [], []
    with attached(one, 4, 2.0) as terms:
        for around in (nullcontext(), checkpointed(one)):
            kept: dict[int, int] = {}

            def keep(value: Tensor, kept: dict[int, int] = kept) -> Tensor:
                kept[value.untyped_storage().data_ptr()] = value.untyped_storage().nbytes()
                return value

            with around:
                with torch.autograd.graph.saved_tensors_hooks(keep, lambda value: value):
                    loss = one(input_ids=torch.arange(40).view(2, 20) % 9, use_cache=False).logits.pow(2).mean()
                loss.backward()
            held.append(sum(kept.values()))
            found.append([value.grad.clone() for own in terms for value in own.up])
            one.zero_grad()
    assert held[1] < 0.7 * held[0]
    assert all(torch.equal(a, b) and bool(a.any()) for a, b in zip(*found, strict=True))
    assert not any("forward" in vars(own) for own in one.modules()), "the layers are as they were"


def test_the_seed_makes_them_and_the_global_state_is_left_alone() -> None:
    one = model()
    before = torch.random.get_rng_state()
    with attached(one, 2, 1.0, seed=5) as terms:
        first = terms[0].down[0].detach().clone()
    with attached(one, 2, 1.0, seed=5) as terms:
        assert torch.equal(first, terms[0].down[0])
    with attached(one, 2, 1.0, seed=6) as terms:
        assert not torch.equal(first, terms[0].down[0])
    assert torch.equal(before, torch.random.get_rng_state())


def test_a_failure_inside_leaves_the_model_as_it_was() -> None:
    one = model()
    with pytest.raises(KeyboardInterrupt), attached(one, 2, 1.0):
        raise KeyboardInterrupt
    assert not hasattr(one, "low_rank") and not any(part._forward_hooks for part in one.modules())


def test_refusals_name_the_nearest() -> None:
    with (
        pytest.raises(RunError, match="no layer 'c_atn' to adapt; did you mean 'c_attn'"),
        attached(model("gpt2"), 2, 1.0, targets=["c_atn"]),
    ):
        pass
    with pytest.raises(RunError, match="`layers` is 9; legal is 1 to 2"), attached(model(), 2, 1.0, layers=9):
        pass
    half = model()  # as DeepSeek-V2: queries by that name, and keys and values compressed together
    for block in half.model.layers:
        block.self_attn.kv_b_proj = block.self_attn.v_proj
        del block.self_attn.v_proj
    with pytest.raises(RunError, match=r"is not known; name its layers in `targets`: .*kv_b_proj"), attached(half, 2, 1.0):
        pass
    with pytest.raises(RunError, match="no list of layers"), attached(torch.nn.Linear(2, 2), 2, 1.0):
        pass
