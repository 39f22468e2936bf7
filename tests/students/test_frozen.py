"""A frozen encoder: whatever pools its tokens is found by trial, and a model that was refused is as it was."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from distrust.data import Items
from distrust.errors import DataError
from distrust.pretrained import accepted_inputs, quiet, tokenise
from distrust.students.frozen import FrozenEncoder
from tests.models import SIZES, texts, tokenizer

ITEMS = texts(9)
WORDS = tokenizer("roberta")
ATTENTION = {**SIZES, "attention_window": 8}
GPT2 = {"n_embd": 32, "n_layer": 1, "n_head": 2, "n_positions": 64}
BART = {"d_model": 32, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2, "decoder_attention_heads": 2}
HEADS = {
    "bert": ("classifier", SIZES),
    "fnet": ("classifier", SIZES),
    "gpt2": ("score", GPT2),
    "modernbert": ("head", SIZES),
}


def model(kind: str, **config: Any) -> Any:
    """A classifier of three classes with wide weights, so that poolings differ."""
    from transformers import AutoConfig, AutoModelForSequenceClassification

    tokens = {name: getattr(WORDS, name) for name in ("pad_token_id", "bos_token_id", "eos_token_id")}
    with quiet():
        made = AutoModelForSequenceClassification.from_config(
            AutoConfig.for_model(kind, **config, **tokens, vocab_size=len(WORDS), num_labels=3)
        )
    for weight in made.parameters():
        if weight.dim() > 1:
            torch.nn.init.normal_(weight, std=0.3)
    return made.eval()


def read_by(head: torch.nn.Module, whole: Any, text: str) -> Tensor:
    """What the head of a whole model reads of one text: (d,), its last token's where it reads all of them."""
    seen: list[Tensor] = []
    hook = head.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()))
    inputs = {name: value for name, value in WORDS(text, return_tensors="pt").items() if name in accepted_inputs(whole)}
    with torch.no_grad():
        whole(**inputs)
    hook.remove()
    return seen[0][0, -1] if seen[0].dim() == 3 else seen[0][0]


@pytest.mark.parametrize("kind", HEADS)
def test_a_feature_is_what_the_head_reads_of_each_item_alone(kind: str) -> None:
    """A pooler's output, the last token, the mean or the first; FNet takes no mask."""
    head, config = HEADS[kind]
    whole = model(kind, **config)
    by_hand = [read_by(getattr(whole, head), whole, ITEMS.text(row)) for row in range(len(ITEMS))]
    encoder = FrozenEncoder(whole, WORDS)
    for row, wanted in enumerate(by_hand):
        tokens = tokenise(WORDS, ITEMS.select([row]), 64, accepted_inputs(whole), "The student")
        torch.testing.assert_close(encoder.features(tokens)[0, 0], wanted, rtol=1e-4, atol=1e-5)


def test_features_stand_in_the_items_order_and_take_no_gradient() -> None:
    encoder = FrozenEncoder(model("bert", **SIZES, hidden_dropout_prob=0.5), WORDS)
    encoder.model.train()
    accepted = frozenset({"input_ids", "attention_mask"})
    features = encoder.features(tokenise(WORDS, ITEMS, 64, accepted, "x"))
    assert features.shape == (9, 1, 32) and not features.requires_grad
    order = [8, 0, 3, 1]
    torch.testing.assert_close(encoder.features(tokenise(WORDS, ITEMS.select(order), 64, accepted, "x")), features[order])
    assert encoder.features(tokenise(WORDS, Items((), ()), 64, accepted, "x")).shape == (0, 1, 32)
    assert {name.split(".")[0] for name, _ in encoder.model.named_parameters()} == {"classifier"}


def test_the_whole_model_is_there_inside_and_gone_again_whatever_happens() -> None:
    made = model("bert", **SIZES)
    names = set(made.state_dict())
    encoder = FrozenEncoder(made, WORDS)
    with encoder.whole() as whole:
        assert set(whole.state_dict()) == names
    with pytest.raises(OSError, match="full"), encoder.whole():
        raise OSError("full")
    assert {name.split(".")[0] for name in made.state_dict()} == {"classifier"}


@pytest.mark.parametrize(("kind", "config"), [("bart", BART), ("longformer", ATTENTION)])
def test_a_head_that_reads_something_else_is_refused_and_the_model_is_whole(kind: str, config: dict[str, Any]) -> None:
    made = model(kind, **config)
    names, inputs = set(made.state_dict()), WORDS("wheat corn", return_tensors="pt")
    before = made(**{name: value for name, value in inputs.items() if name in accepted_inputs(made)}).logits
    with pytest.raises(DataError, match=f"The head of a {kind} does not read one vector per item; train it whole"):
        FrozenEncoder(made, WORDS)
    after = made(**{name: value for name, value in inputs.items() if name in accepted_inputs(made)}).logits
    assert set(made.state_dict()) == names and torch.equal(before, after)
