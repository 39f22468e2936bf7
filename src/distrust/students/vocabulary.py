"""A tokenizer trained on the pool, for a model that starts from scratch.

Knows texts and which special tokens a kind of model expects. Knows nothing of models' weights or labels.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import Tensor

from distrust.data import Items
from distrust.errors import DataError, RecipeError

# Models that came with BERT's WordPiece; every other kind gets byte-level BPE with RoBERTa's special tokens.
WORDPIECE = frozenset(
    {"bert", "distilbert", "electra", "mobilebert", "convbert", "squeezebert", "funnel", "layoutlm", "roformer"}
)
BERT = {"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}
ROBERTA = {"bos": "<s>", "pad": "<pad>", "eos": "</s>", "unk": "<unk>", "mask": "<mask>", "cls": "<s>", "sep": "</s>"}
BYTES = 256


def train_tokenizer(pool: Items, kind: str, vocabulary: int) -> Any:
    """A fast tokenizer of at most `vocabulary` tokens; the same texts give the same tokens.

    Raises:
        RecipeError: no text, or a vocabulary too small for the alphabet.
        DataError: items that are tensors.
    """
    from transformers import PreTrainedTokenizerFast

    wordpiece = kind in WORDPIECE
    special = BERT if wordpiece else ROBERTA
    smallest = len(set(special.values())) + (2 if wordpiece else BYTES)
    if vocabulary < smallest:
        raise RecipeError(
            f"The student's vocabulary of {vocabulary} is too small; a {kind} needs at least {smallest} tokens."
        )
    if not any(one.strip() for one in _flat(pool)):
        raise RecipeError("There is no text to train the student's tokenizer on; give it a `tokenizer` or texts.")
    trained = _wordpiece(pool, vocabulary) if wordpiece else _byte_pairs(pool, vocabulary)
    names = {f"{role}_token": token for role, token in special.items()}
    inputs = ["input_ids", "token_type_ids", "attention_mask"] if wordpiece else ["input_ids", "attention_mask"]
    return PreTrainedTokenizerFast(tokenizer_object=trained, model_input_names=inputs, **names)


def _wordpiece(pool: Items, vocabulary: int) -> Any:
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

    special = list(BERT.values())
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    room = vocabulary - len(special)  # a letter takes two places: at the start of a word, and inside
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocabulary, special_tokens=special, limit_alphabet=min(1000, room // 2), show_progress=False
    )
    tokenizer.train_from_iterator(_flat(pool), trainer)
    pieces = [(token, tokenizer.token_to_id(token)) for token in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=pieces
    )
    return tokenizer


def _byte_pairs(pool: Items, vocabulary: int) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=list(dict.fromkeys(ROBERTA.values())),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_flat(pool), trainer)
    pieces = [(token, tokenizer.token_to_id(token)) for token in ("<s>", "</s>")]
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=pieces
    )
    return tokenizer


def _flat(pool: Items) -> Iterator[str]:
    if isinstance(pool.inputs, Tensor):
        raise DataError("A tokenizer is trained on texts and the items are tensors; give a module that reads tensors.")
    for one in pool.inputs:
        yield from (one,) if isinstance(one, str) else one
