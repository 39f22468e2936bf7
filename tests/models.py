"""Tiny real models, made on the spot: a BERT-like classifier with a trained tokenizer, and a LoRA adapter on it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from distrust.data import Items
from distrust.pretrained import quiet
from distrust.students.vocabulary import train_tokenizer

WORDS = ("wheat", "corn", "ship", "harbour", "oil", "barrel", "bank", "rate", "gold", "mine", "tonnes", "price")
SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 64,
}


def texts(count: int, seed: int = 0) -> Items:
    """News-like items of 1 to 30 words, the fourth one empty."""
    draw = torch.Generator().manual_seed(seed)
    lines = []
    for _ in range(count):
        length = int(torch.randint(1, 31, (), generator=draw))
        lines.append(" ".join(WORDS[int(word)] for word in torch.randint(len(WORDS), (length,), generator=draw)))
    if count > 3:
        lines[3] = ""
    return Items(tuple(f"item {row}" for row in range(count)), tuple(lines))


def tokenizer(kind: str = "bert") -> Any:
    """Trained on such items."""
    return train_tokenizer(texts(50), kind, 300)


def save_classifier(
    folder: Path, labels: tuple[str, ...] | None = ("spam", "ham", "news"), seed: int = 3, **config: Any
) -> Path:
    """A BERT sequence classifier, unsure of nothing: wide initial weights, so that items differ. None: unnamed labels."""
    from transformers import BertConfig, BertForSequenceClassification

    words = tokenizer()
    names = {"num_labels": 3} if labels is None else {"id2label": dict(enumerate(labels))}
    with torch.random.fork_rng(), quiet():
        torch.manual_seed(seed)
        wide = {**SIZES, "vocab_size": len(words), "initializer_range": 0.3, "pad_token_id": words.pad_token_id}
        settings = BertConfig(**{**wide, **names, **config})
        BertForSequenceClassification(settings).save_pretrained(folder)
        words.save_pretrained(folder)
    return folder


def save_adapter(folder: Path, base: Path, seed: int = 1, labels: int | None = None) -> Path:
    """A LoRA adapter that has left its start (its up-matrices are not zero), with a head of its own."""
    import peft
    from transformers import AutoModelForSequenceClassification

    own = {} if labels is None else {"num_labels": labels, "ignore_mismatched_sizes": True}
    with torch.random.fork_rng(), quiet():
        torch.manual_seed(seed)
        model = AutoModelForSequenceClassification.from_pretrained(base, **own)
        adapted = peft.get_peft_model(model, peft.LoraConfig("SEQ_CLS", r=4, target_modules=["query", "value"]))
        for name, weight in adapted.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(weight.data, std=0.5)
        adapted.save_pretrained(folder)
    return folder


def save_images(folder: Path, count: int) -> Path:
    """Images of 12 by 10 points, reddish and greenish in turn, and a table `images.csv` of them: file, label."""
    from PIL import Image

    draw = torch.Generator().manual_seed(0)
    rows = ["file,label"]
    for number in range(count):
        points = torch.randint(0, 80, (10, 12, 3), generator=draw, dtype=torch.uint8)
        points[..., number % 2] += 150
        Image.fromarray(points.numpy()).save(folder / f"{number}.png")
        rows.append(f"{number}.png,{('red', 'green')[number % 2]}")
    (folder / "images.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return folder / "images.csv"


def save_image_classifier(folder: Path, labels: tuple[str, ...], seed: int = 3) -> Path:
    """A tiny ViT with wide initial weights and dropout, and its image processor."""
    from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessorPil

    sizes = {name: value for name, value in SIZES.items() if name != "max_position_embeddings"}
    with torch.random.fork_rng(), quiet():
        torch.manual_seed(seed)
        names = {"id2label": dict(enumerate(labels)), "label2id": {name: place for place, name in enumerate(labels)}}
        config = ViTConfig(**sizes, **names, image_size=8, patch_size=4, initializer_range=0.3, hidden_dropout_prob=0.1)
        ViTForImageClassification(config).save_pretrained(folder)
        ViTImageProcessorPil(size={"height": 8, "width": 8}).save_pretrained(folder)
    return folder
