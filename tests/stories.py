"""The real small Llama of the optional data (`stories260k`, llama2.c's format) as a transformers folder."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from distrust.pretrained import quiet

HEADER = 28  # seven int32: dim, hidden, layers, heads, kv heads, vocabulary, context


def save_stories(folder: Path, data: Path) -> Path:
    """Convert weights and tokenizer; 260,032 parameters in float32."""
    from transformers import LlamaForCausalLM

    config, weights = _weights((data / "stories260k" / "stories260K.bin").read_bytes())
    tokenizer = _tokenizer((data / "stories260k" / "tok512.bin").read_bytes(), config.vocab_size)
    with torch.random.fork_rng(), quiet():
        model = LlamaForCausalLM(config)
        missing = model.load_state_dict(weights, strict=False).missing_keys
        assert missing in ([], ["lm_head.weight"]), missing  # tied
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    return folder


def _weights(content: bytes) -> tuple[Any, dict[str, Tensor]]:
    from transformers import LlamaConfig

    dim, hidden, layers, heads, kv_heads, vocabulary, context = struct.unpack("7i", content[:HEADER])
    config = LlamaConfig(
        hidden_size=dim,
        intermediate_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        vocab_size=abs(vocabulary),
        max_position_embeddings=context,
        rms_norm_eps=1e-5,
        tie_word_embeddings=True,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
    )
    flat, at = torch.from_numpy(np.frombuffer(content, np.float32, offset=HEADER).copy()), 0

    def take(*shape: int) -> Tensor:
        nonlocal at
        size = int(np.prod(shape))
        at += size
        return flat[at - size : at].view(*shape)

    small = dim // heads * kv_heads
    found = {"model.embed_tokens.weight": take(abs(vocabulary), dim)}
    kinds = (
        ("input_layernorm", (dim,), 0),
        ("self_attn.q_proj", (dim, dim), heads),
        ("self_attn.k_proj", (small, dim), kv_heads),
        ("self_attn.v_proj", (small, dim), 0),
        ("self_attn.o_proj", (dim, dim), 0),
        ("post_attention_layernorm", (dim,), 0),
        ("mlp.gate_proj", (hidden, dim), 0),
        ("mlp.down_proj", (dim, hidden), 0),
        ("mlp.up_proj", (hidden, dim), 0),
    )
    for name, shape, turned in kinds:
        for layer, value in enumerate(take(layers, *shape)):
            found[f"model.layers.{layer}.{name}.weight"] = _unpaired(value, turned) if turned else value
    found["model.norm.weight"] = take(dim)
    return config, found


def _unpaired(value: Tensor, heads: int) -> Tensor:
    """Rows whose rotary pairs are (even, odd) to transformers' (first half, second half): (heads · d, dim)."""
    return value.view(heads, -1, 2, value.shape[-1]).transpose(1, 2).reshape(value.shape)


def _tokenizer(content: bytes, size: int) -> Any:
    """llama2.c's scored pieces as a SentencePiece-like BPE: a merge for every pair that makes a piece, by its score."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers
    from transformers import PreTrainedTokenizerFast

    pieces, scores, at = [], [], 4
    for _ in range(size):
        score, length = struct.unpack_from("fi", content, at)
        pieces.append(content[at + 8 : at + 8 + length].decode())
        scores.append(score)
        at += 8 + length
    names = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    pieces = [*names, *(piece.replace(" ", "▁") for piece in pieces[len(names) :])]
    place = {piece: row for row, piece in enumerate(pieces)}
    merges = [
        (-scores[row], row, (piece[:cut], piece[cut:]))
        for row, piece in enumerate(pieces)
        if row >= len(names)
        for cut in range(1, len(piece))
        if piece[:cut] in place and piece[cut:] in place
    ]
    model = models.BPE(place, [pair for _, _, pair in sorted(merges)], unk_token="<unk>", byte_fallback=True, fuse_unk=True)
    tokenizer: Any = Tokenizer(model)
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer.add_special_tokens([AddedToken(name, special=True) for name in names[:3]])
    from tokenizers.processors import TemplateProcessing

    tokenizer.post_processor = TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", bos_token="<s>", eos_token="</s>", pad_token="<unk>"
    )
