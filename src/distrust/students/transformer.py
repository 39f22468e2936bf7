"""Transformers sequence classifiers as students: pretrained, from scratch, or a trained head on a frozen encoder.

Knows how one is made, read into and saved for `from_pretrained`. Knows nothing of teachers, targets, losses or the loop.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from distrust import recipe
from distrust.data import Items
from distrust.errors import DataError, RecipeError
from distrust.files import fingerprint, write_json
from distrust.images import Pictures
from distrust.labels import LabelSpace
from distrust.modules import seeded, weights_key
from distrust.pretrained import (
    Tokenised,
    accepted_inputs,
    is_processor,
    load_classifier,
    load_tokenizer,
    pair,
    quiet,
    read,
    token_limit,
    tokenizer_key,
)
from distrust.secrets import expand
from distrust.students.frozen import FrozenEncoder
from distrust.students.module import Rows
from distrust.students.saving import ABOUT, publishing, read_about
from distrust.students.scratch import check_config, make_config, make_model
from distrust.students.vocabulary import train_tokenizer

RATES = {"head": 1e-3, "scratch": 5e-4, "pretrained": 5e-5}  # learning rates that each kind of start wants


@dataclass
class TransformerStudent:
    """A sequence classifier over one label space; made by `build` or `load`.

    With a frozen encoder `module` is the head alone: `encode` runs the encoder once, and an epoch costs only the head.
    """

    key: str
    reads: str
    space: LabelSpace
    module: nn.Module
    default_learning_rate: float
    notes: tuple[str, ...]  # what a person should know of the start, one sentence each
    tokenizer: Any
    max_length: int
    encoder: FrozenEncoder | None
    accepted: frozenset[str] = field(init=False)  # seen before a fit: what wraps the module may take anything

    def __post_init__(self) -> None:
        self.accepted = accepted_inputs(self.module if self.encoder is None else self.encoder.model)

    def encode(self, items: Items) -> Tokenised | Pictures | Rows:
        """Tokenise items once, cut to `max_length`; with a frozen encoder, run it once too. DataError for tensors."""
        tokens = read(self.tokenizer, items, self.max_length, self.accepted, "The student")
        if self.encoder is None or isinstance(tokens, Pictures):
            return tokens
        return Rows("inputs_embeds", self.encoder.features(tokens))

    def logits(self, inputs: dict[str, Tensor]) -> Tensor:
        """Model inputs, each (n, ...), to logits (n, C)."""
        return self.module(**inputs).logits  # type: ignore[no-any-return]

    def save(self, folder: Path) -> None:
        """Write what `AutoModelForSequenceClassification.from_pretrained` and `AutoTokenizer.from_pretrained` load."""
        about = {
            "kind": "transformer",
            "labels": list(self.space.names),
            "key": self.key,
            "default_learning_rate": self.default_learning_rate,
            "frozen": self.encoder is not None,
        }
        with publishing(folder) as draft, quiet():
            if self.encoder is None:
                self.module.save_pretrained(draft)  # type: ignore[operator]
            else:
                with self.encoder.whole() as model:
                    model.save_pretrained(draft)
            self.tokenizer.save_pretrained(draft)
            write_json(draft / ABOUT, about)


def build(options: recipe.TransformerStudent, space: LabelSpace, seed: int, pool: Items) -> TransformerStudent:
    """A student before training.

    Args:
        options: the recipe's part.
        space: the task's classes; they become the model's labels.
        seed: of the weights that are not loaded; the global random state is left alone.
        pool: its texts make the tokenizer of a model from scratch; nothing else is read of it.

    Raises:
        DataError: a checkpoint or tokenizer that cannot be loaded, or whose encoder lacks weights.
        RecipeError: a config that makes no model, or a `max_length` beyond what the model can read.
    """
    if options.config is not None:
        return _from_scratch(options, space, seed, pool)
    where = expand(options.model or "")
    names = _names(space)
    with seeded(seed):
        model, report = load_classifier(
            where, revision=options.revision, num_labels=len(space), ignore_mismatched_sizes=True, **names
        )
    notes = _check_start(where, model, report)
    tokenizer = _given_tokenizer(options) or load_tokenizer(where, revision=options.revision)
    rate = RATES["head" if options.freeze_encoder else "pretrained"]
    return _student(model, tokenizer, space, _max_length(options, model, tokenizer), options.freeze_encoder, rate, notes)


def load(folder: Path) -> TransformerStudent:
    """A saved student. Raises DataError where `folder` holds none."""
    about = read_about(folder, "transformer")
    model, _ = load_classifier(str(folder))
    tokenizer = load_tokenizer(str(folder))
    space = LabelSpace(tuple(about["labels"]))
    rate, limit = about["default_learning_rate"], getattr(tokenizer, "model_max_length", 256)
    return _student(model, tokenizer, space, limit, about["frozen"], rate, (), about["key"])


def _student(
    model: Any,
    tokenizer: Any,
    space: LabelSpace,
    max_length: int,
    freeze: bool,
    rate: float,
    notes: tuple[str, ...],
    key: str | None = None,
) -> TransformerStudent:
    if not is_processor(tokenizer):
        tokenizer.model_max_length = max_length  # saved with it, so that its users cut texts where training did
    elif freeze:
        raise RecipeError("The encoder of images cannot be frozen; leave out freeze_encoder.")
    model.config.problem_type = "single_label_classification"  # or its users' pipelines would show sigmoids, not softmax
    pair(model, tokenizer)
    own = key or fingerprint("transformer", space.names, weights_key(model), tokenizer_key(tokenizer), max_length, freeze)
    reads = fingerprint(tokenizer_key(tokenizer), max_length, sorted(accepted_inputs(model)))
    encoder = None
    if freeze:
        reads = fingerprint(reads, weights_key(getattr(model, model.base_model_prefix)))
        encoder = FrozenEncoder(model, tokenizer)
    return TransformerStudent(own, reads, space, model, rate, notes, tokenizer, max_length, encoder)


def _from_scratch(options: recipe.TransformerStudent, space: LabelSpace, seed: int, pool: Items) -> TransformerStudent:
    from transformers import AutoModelForSequenceClassification
    from transformers.models.auto.modeling_auto import MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES as KINDS

    if options.freeze_encoder:
        raise RecipeError("A frozen encoder needs trained weights; give the student a `model`, or leave out freeze_encoder.")
    raw = dict(options.config or {})
    kind = check_config(raw, KINDS, "sequence classifier")
    tokenizer = _given_tokenizer(options) or train_tokenizer(pool, kind, options.vocabulary)
    config = make_config(kind, raw, tokenizer, _names(space))
    if config.is_encoder_decoder and getattr(config, "decoder_start_token_id", None) is None:
        config.decoder_start_token_id = tokenizer.pad_token_id
    model = make_model(AutoModelForSequenceClassification.from_config, config, seed)
    limit = _max_length(options, model, tokenizer)
    return _student(model, tokenizer, space, limit, False, RATES["scratch"], ())


def _given_tokenizer(options: recipe.TransformerStudent) -> Any | None:
    return load_tokenizer(expand(options.tokenizer)) if options.tokenizer else None


def _names(space: LabelSpace) -> dict[str, Any]:
    return {
        "id2label": dict(enumerate(space.names)),
        "label2id": {name: index for index, name in enumerate(space.names)},
    }


def _check_start(where: str, model: Any, report: dict[str, Any]) -> tuple[str, ...]:
    """Refuse an encoder with holes; say which parts start anew."""
    absent = sorted(report["missing_keys"])
    other_size = sorted(key for key, *_ in report["mismatched_keys"])
    encoder = model.base_model_prefix + "."
    holes = [key for key in (*absent, *other_size) if key.startswith(encoder) and "pooler" not in key]
    if holes:
        raise DataError(
            f"{where} lacks {len(holes)} weights of the encoder, {holes[0]} first; it is no checkpoint of a "
            f"{model.config.model_type}."
        )
    notes = []
    if absent:
        notes.append(f"{where} has no weights for {', '.join(absent[:4])}: they start at random.")
    if other_size:
        notes.append(f"{where} was trained for other classes: {', '.join(other_size[:4])} start at random.")
    return tuple(notes)


def _max_length(options: recipe.TransformerStudent, model: Any, tokenizer: Any) -> int:
    limit = token_limit(model, tokenizer)
    if limit is not None and options.max_length > limit:
        if "max_length" in options.model_fields_set:
            raise RecipeError(
                f"The student reads at most {limit} tokens; its max_length of {options.max_length} is too long."
            )
        return limit
    return options.max_length
