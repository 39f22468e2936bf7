"""A tokenizer trained on the pool, for a model that starts from scratch.

Knows texts and which special tokens a kind of model expects. Knows nothing of models' weights or labels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from torch import Tensor

from distrust.data import Items
from distrust.errors import DataError, RecipeError

# Kinds that came with BERT's special tokens, segments and lower case; every other kind gets RoBERTa's tokens.
LIKE_BERT = frozenset(
    {"bert", "distilbert", "electra", "mobilebert", "convbert", "squeezebert", "funnel", "layoutlm", "roformer"}
)
BERT = {"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}
ROBERTA = {"bos": "<s>", "pad": "<pad>", "eos": "</s>", "unk": "<unk>", "mask": "<mask>", "cls": "<s>", "sep": "</s>"}
WRITER = {"bos": "<s>", "eos": "</s>", "pad": "<pad>"}
BYTES = 256


def train_tokenizer(pool: Items, kind: str, vocabulary: int) -> Any:
    """A fast byte-level BPE tokenizer of at most `vocabulary` tokens; the same texts give the same tokens, bit for bit.

    Not WordPiece: its trainer numbers letters in an order that changes from one call to the next.

    Raises:
        RecipeError: no text, or a vocabulary without room for the 256 bytes.
        DataError: items that are tensors.
    """
    from tokenizers import normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    like_bert = kind in LIKE_BERT
    special = BERT if like_bert else ROBERTA
    tokens = list(dict.fromkeys(special.values()))
    normalizer = normalizers.Lowercase() if like_bert else None
    tokenizer = _bpe(
        list(_flat(pool)), kind, vocabulary, tokens, pre_tokenizers.ByteLevel(add_prefix_space=True), normalizer
    )
    single, pair = (
        ("[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1") if like_bert else ("<s> $A </s>", "<s> $A </s> </s> $B </s>")
    )
    used = [(special[role], tokenizer.token_to_id(special[role])) for role in ("cls", "sep")]
    tokenizer.post_processor = processors.TemplateProcessing(single=single, pair=pair, special_tokens=used)
    reads = ["input_ids", "token_type_ids", "attention_mask"] if like_bert else ["input_ids", "attention_mask"]
    names = {f"{role}_token": token for role, token in special.items()}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_input_names=reads, **names)


def train_writer(texts: Sequence[str], kind: str, vocabulary: int) -> Any:
    """A tokenizer for a model that writes: byte-level BPE, each digit a token, and every text comes back as it was.

    Raises:
        RecipeError: no text, or a vocabulary without room for the 256 bytes.
    """
    from tokenizers import pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    split = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer = _bpe(texts, kind, vocabulary, list(WRITER.values()), split, None)
    names = {f"{role}_token": token for role, token in WRITER.items()}
    reads = ["input_ids", "attention_mask"]
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, model_input_names=reads, clean_up_tokenization_spaces=False, **names
    )


def _bpe(texts: Sequence[str], kind: str, vocabulary: int, tokens: list[str], split: Any, normalizer: Any) -> Any:
    """A byte-level BPE with all 256 bytes and these special tokens, trained on texts."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    if vocabulary < len(tokens) + BYTES:
        least = len(tokens) + BYTES
        raise RecipeError(f"The student's vocabulary of {vocabulary} is too small; a {kind} needs at least {least} tokens.")
    if not any(one.strip() for one in texts):
        raise RecipeError("There is no text to train the student's tokenizer on; give it a `tokenizer` or texts.")
    tokenizer: Any = Tokenizer(models.BPE())
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = split
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(
        texts,
        trainers.BpeTrainer(vocab_size=vocabulary, special_tokens=tokens, initial_alphabet=alphabet, show_progress=False),
    )
    return tokenizer


def _flat(pool: Items) -> Iterator[str]:
    if isinstance(pool.inputs, Tensor):
        raise DataError("A tokenizer is trained on texts and the items are tensors; give a module that reads tensors.")
    for one in pool.inputs:
        yield from (one,) if isinstance(one, str) else one
