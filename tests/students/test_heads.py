"""A model without its head: hidden states that make its logits exactly, caps included, and the model as before."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from distrust.errors import RunError
from distrust.pretrained import quiet
from distrust.students.heads import check, headless
from tests import writers

IDS = torch.arange(12).reshape(2, 6)


def capped() -> Any:
    from transformers import Gemma2Config, Gemma2ForCausalLM

    config = Gemma2Config(
        vocab_size=50,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=8,
        final_logit_softcapping=2.0,
        initializer_range=0.5,
        pad_token_id=0,
    )
    with quiet(), torch.random.fork_rng():
        torch.manual_seed(0)
        return Gemma2ForCausalLM(config).eval()


def scaled() -> Any:
    """Cohere multiplies its logits, which is as good as multiplying the hidden states."""
    from transformers import CohereConfig, CohereForCausalLM

    config = CohereConfig(
        vocab_size=50,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        logit_scale=0.5,
        initializer_range=0.5,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )
    with quiet(), torch.random.fork_rng():
        torch.manual_seed(0)
        return CohereForCausalLM(config).eval()


MADE: dict[str, Any] = {"capped": capped, "scaled": scaled}


@pytest.mark.parametrize("kind", ["llama", "gpt2", "mistral", "capped", "scaled"])
def test_hidden_states_and_head_make_the_logits(kind: str) -> None:
    model = MADE[kind]() if kind in MADE else writers.writer(kind).module.eval()
    with torch.no_grad():
        wanted = model(input_ids=IDS, use_cache=False).logits
        with headless(model) as head:
            said = head.projected(model(input_ids=IDS, use_cache=False).logits)
        assert said.hidden.shape == (2, 6, said.weight.shape[1])
        made = said.hidden @ said.weight.T
        made = made if said.softcap is None else said.softcap * torch.tanh(made / said.softcap)
        torch.testing.assert_close(made, wanted)
        assert torch.equal(wanted, model(input_ids=IDS, use_cache=False).logits), "its head is back"
    check(model, "it")


def test_a_head_gets_its_gradient_from_what_is_made_of_it() -> None:
    model = writers.writer("gpt2").module
    with headless(model) as head:
        said = head.projected(model(input_ids=IDS, use_cache=False).logits)
    (said.hidden @ said.weight.T).sum().backward()
    assert said.weight is model.get_output_embeddings().weight and said.weight.grad is not None


def test_logits_that_are_bent_behind_the_head_are_refused() -> None:
    model = writers.writer().module
    model.register_forward_hook(lambda one, given, said: type(said)(logits=said.logits.tanh()))
    with pytest.raises(RunError, match=r"big changes its logits behind its last layer"):
        check(model, "big")


def test_a_model_of_numbers_that_are_not_finite_is_named() -> None:
    model = writers.writer().module
    torch.nn.init.constant_(model.model.norm.weight, float("nan"))
    with pytest.raises(RunError, match=r"big answers with numbers that are not finite"):
        check(model, "big")
