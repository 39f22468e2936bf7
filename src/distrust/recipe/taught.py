"""The part of a recipe that says what is trained: students of every kind, and the loop.

Knows which keys and values are legal. Knows nothing of models.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from distrust.recipe.strict import Strict


class NgramStudent(Strict):
    """Hashed word and character n-grams in an embedding bag; needs no download."""

    kind: Literal["ngram"] = "ngram"
    buckets: int = Field(2**17, gt=0, description="size of the hash table")
    dimension: int = Field(16, gt=0, description="width of the embedding")
    words: int = Field(2, ge=0, description="word n-grams up to this length")
    characters: tuple[int, int] | None = Field((4, 4), description="shortest and longest character n-gram, or null")
    min_items: int = Field(2, gt=0, description="keep n-grams that so many items of the pool show")
    dropout: float = Field(0.0, ge=0, lt=1, description="on the embedding")

    @model_validator(mode="after")
    def _reads_something(self) -> NgramStudent:
        if not self.words and self.characters is None:
            raise ValueError("set `words` above 0, or `characters`; with neither it reads nothing")
        if self.characters is not None and not 1 <= self.characters[0] <= self.characters[1]:
            raise ValueError("`characters` are a shortest and a longest length, such as [3, 5]")
        return self


class TransformerStudent(Strict):
    """A transformers sequence classifier: pretrained, or from scratch by a config."""

    kind: Literal["transformer"]
    model: str | None = Field(None, description="folder or hub id of pretrained weights")
    config: dict[str, Any] | None = Field(
        None, description="from scratch: a transformers config with its `model_type`; a tokenizer is trained on the pool"
    )
    tokenizer: str | None = Field(None, description="folder or hub id; default: the model's own")
    vocabulary: int = Field(8000, gt=0, description="size of a tokenizer trained on the pool")
    freeze_encoder: bool = Field(False, description="train only the classification head")
    revision: str | None = Field(None, description="branch, tag or commit on the hub")
    max_length: int = Field(256, gt=0, description="tokens kept of an item")

    @model_validator(mode="after")
    def _one_origin(self) -> TransformerStudent:
        if (self.model is None) == (self.config is None):
            raise ValueError("give either `model` (pretrained) or `config` (from scratch)")
        return self


class CausalStudent(Strict):
    """A transformers causal language model: pretrained, or from scratch by a config; for generation."""

    kind: Literal["causal"]
    model: str | None = Field(None, description="folder or hub id of pretrained weights")
    config: dict[str, Any] | None = Field(
        None, description="from scratch: a transformers config with its `model_type`; a tokenizer is trained on the pool"
    )
    tokenizer: str | None = Field(None, description="folder or hub id; default: the model's own")
    vocabulary: int = Field(2000, gt=0, description="size of a tokenizer trained on the pool's prompts")
    revision: str | None = Field(None, description="branch, tag or commit on the hub")
    template: str = Field("{prompt}\n", description="what is read of a prompt, where the tokenizer has no chat template")
    max_prompt_length: int = Field(256, gt=0, description="tokens kept of a prompt: its last ones")
    max_completion_length: int = Field(64, gt=0, description="tokens learned, and written, of a completion")

    @model_validator(mode="after")
    def _one_origin(self) -> CausalStudent:
        if (self.model is None) == (self.config is None):
            raise ValueError("give either `model` (pretrained) or `config` (from scratch)")
        if self.template.count("{prompt}") != 1:
            raise ValueError("`template` names {prompt} once")
        return self


StudentRecipe = Annotated[NgramStudent | TransformerStudent | CausalStudent, Field(discriminator="kind")]


class Train(Strict):
    """The loop, in the words of transformers' TrainingArguments."""

    num_train_epochs: int = Field(10, gt=0, description="passes over the training items")
    per_device_train_batch_size: int = Field(32, gt=0, description="items in a step")
    per_device_eval_batch_size: int = Field(256, gt=0, description="items at once when only asking")
    learning_rate: float | None = Field(None, gt=0, description="default: the student's own")
    weight_decay: float = Field(0.0, ge=0, description="of AdamW")
    lr_scheduler_type: Literal["linear", "cosine", "constant"] = Field("linear", description="after the warm-up")
    warmup_ratio: float = Field(0.0, ge=0, lt=1, description="share of the steps in which the rate rises")
    max_grad_norm: float | None = Field(1.0, gt=0, description="clip the gradient's norm; null: do not")
    gradient_accumulation_steps: int = Field(1, gt=0, description="batches to one step")
    bf16: bool = Field(False, description="mixed precision, through accelerate")
    early_stopping_patience: int | None = Field(
        None, gt=0, description="stop after so many epochs without gain on validation or on the gold part `stop`"
    )
    save_seconds: float = Field(30, ge=0, description="so long between checkpoints of a fit; a kill loses no more")
