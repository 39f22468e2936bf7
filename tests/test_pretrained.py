from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from distrust import recipe
from distrust.data import Items
from distrust.labels import LabelSpace
from distrust.pretrained import load_tokenizer, quiet, token_limit, tokenise, tokenizer_key
from distrust.teachers.classifier import ClassifierTeacher
from tests.models import save_classifier, texts, tokenizer

READS = frozenset({"input_ids", "attention_mask", "token_type_ids"})


def bare_tokenizer() -> Any:
    """As GPT-2's: no token around a text, none for padding."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bytewise = Tokenizer(models.BPE())
    bytewise.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bytewise.train_from_iterator(texts(20).inputs, trainers.BpeTrainer(vocab_size=280, special_tokens=["<|end|>"]))
    return PreTrainedTokenizerFast(tokenizer_object=bytewise, eos_token="<|end|>", bos_token="<|end|>")


def test_padding_reaches_only_the_longest_of_a_batch() -> None:
    words, items = tokenizer(), texts(9)
    tokens = tokenise(words, items, 16, READS, "it")
    for rows in ([4], [0, 3, 8], list(range(9))):
        batch = tokens.batch(torch.tensor(rows))
        expected = words(
            [items.inputs[row] for row in rows], padding=True, truncation=True, max_length=16, return_tensors="pt"
        )
        assert set(batch) == set(expected)
        assert all(torch.equal(batch[name], expected[name]) for name in batch)


def test_batches_by_length_hold_every_row_once() -> None:
    tokens = tokenise(tokenizer(), texts(23), None, READS, "it")
    batches = list(tokens.by_length(5))
    assert sorted(torch.cat(batches).tolist()) == list(range(23))
    lengths = [int(tokens.lengths[row]) for rows in batches for row in rows]
    assert lengths == sorted(lengths, reverse=True)


def test_a_model_without_padding_or_special_tokens_answers_empty_texts(tmp_path: Path) -> None:
    from transformers import GPT2Config, GPT2ForSequenceClassification

    words = bare_tokenizer()
    settings = GPT2Config(
        n_embd=32,
        n_layer=2,
        n_head=2,
        n_positions=64,
        vocab_size=len(words),
        initializer_range=0.3,
        id2label={0: "a", 1: "b"},
    )
    with quiet():
        GPT2ForSequenceClassification(settings).save_pretrained(tmp_path)
        words.save_pretrained(tmp_path)
    options = recipe.Classifier(kind="classifier", name="gpt", model=str(tmp_path), batch_size=4)
    teacher = ClassifierTeacher(options, LabelSpace(("a", "b")))
    items = texts(9)
    together = teacher.ask(items)
    for row in range(9):
        alone = teacher.ask(items.select([row]))
        assert together.logits is not None and alone.logits is not None
        torch.testing.assert_close(alone.logits.dense()[0], together.logits.dense()[row], rtol=1e-4, atol=1e-5)
    assert tokenise(load_tokenizer(str(tmp_path)), Items(("e",), ("",)), None, READS, "it").lengths.tolist() == [1]


def test_limits_are_the_models_own(tmp_path: Path) -> None:
    from transformers import RobertaConfig, RobertaForSequenceClassification, XLNetConfig, XLNetForSequenceClassification

    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16, "vocab_size": 300}
    roberta = RobertaForSequenceClassification(RobertaConfig(max_position_embeddings=514, pad_token_id=1, **sizes))
    assert token_limit(roberta, tokenizer("roberta")) == 512
    small = tokenizer("roberta")
    small.model_max_length = 128
    assert token_limit(roberta, small) == 128
    endless = XLNetForSequenceClassification(XLNetConfig(d_model=16, n_layer=1, n_head=2, d_inner=16, vocab_size=300))
    assert token_limit(endless, tokenizer("xlnet")) is None


def test_a_tokenizers_key_forgets_how_it_was_last_used() -> None:
    words = tokenizer()
    before = tokenizer_key(words)
    words(["wheat " * 50, "corn"], padding=True, truncation=True, max_length=9)
    assert tokenizer_key(words) == before != tokenizer_key(tokenizer("roberta"))


def test_loading_is_quiet_and_settings_are_as_before(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    from transformers.utils import logging

    folder = save_classifier(tmp_path / "base")
    before = logging.get_verbosity(), logging.is_progress_bar_enabled()
    capfd.readouterr()
    ClassifierTeacher(recipe.Classifier(kind="classifier", name="bert", model=str(folder)))
    assert capfd.readouterr() == ("", "")
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == before
