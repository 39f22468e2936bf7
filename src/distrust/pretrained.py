"""Transformers checkpoints: safetensors only, loaded quietly, and texts as they read them.

Knows tokens and padding. Knows nothing of where checkpoints are, of teachers, students or label spaces.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from distrust.data import Items
from distrust.errors import DataError
from distrust.files import fingerprint
from distrust.images import Pictures, are_images
from distrust.secrets import show
from distrust.whereabouts import check_folder, neither, quiet_hub

CHUNK = 4096  # texts tokenised at once: bounds the Python lists in between


@contextmanager
def quiet() -> Iterator[None]:
    """Keep bars, load reports and warnings, also the hub's, off the terminal; all settings are as before afterwards."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(logging.CRITICAL)
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings(), quiet_hub():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def load_classifier(
    where: str, *, revision: str | None = None, trust_remote_code: bool = False, **options: Any
) -> tuple[Any, dict[str, Any]]:
    """A classifier of texts or of images in float32 and what transformers says about loading it.

    Raises:
        DataError: no such folder or id, an adapter, weights that are not safetensors, damaged files.
    """
    from transformers import AutoModelForImageClassification, AutoModelForSequenceClassification

    kind = AutoModelForImageClassification if reads_images(where, revision) else AutoModelForSequenceClassification
    return _load(kind, "classifier", where, revision, trust_remote_code, options)


def reads_images(where: str, revision: str | None = None) -> bool:
    """Whether a checkpoint is an image classifier, as far as its config tells; its weights stay unread.

    Raises:
        DataError: no such folder or id.
    """
    from transformers import PretrainedConfig
    from transformers.models.auto import modeling_auto as auto

    folder = check_folder(where)
    try:
        with quiet():
            config, _ = PretrainedConfig.get_config_dict(folder or where, revision=revision or "main")
    except (OSError, ValueError) as error:
        said = neither(where, error) if folder is None else None
        if said is not None:  # the hub, which may take half a minute to say so, is not asked for the weights too
            raise DataError(said) from error
        return False  # loading says what is wrong
    kind = config.get("model_type")
    return (
        kind in auto.MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES
        and kind not in auto.MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES
    )


def class_names(where: str) -> list[str]:
    """What a checkpoint calls its classes, in order; its weights stay unread. Raises DataError as `load_classifier` does."""
    from transformers import AutoConfig

    folder = check_folder(where)
    if folder is not None and (folder / "adapter_config.json").is_file():
        raise DataError(f"{where} is an adapter; merge it into its base, or name both in a recipe.")
    with _loading(where):
        config = AutoConfig.from_pretrained(folder or where)
    return [str(name) for _, name in sorted(config.id2label.items())]


def load_causal(where: str, *, revision: str | None = None, trust_remote_code: bool = False) -> tuple[Any, dict[str, Any]]:
    """A causal language model in float32 and what transformers says about loading it. Raises as `load_classifier` does."""
    from transformers import AutoModelForCausalLM

    return _load(AutoModelForCausalLM, "causal language model", where, revision, trust_remote_code, {})


def _load(
    kind: Any, part: str, where: str, revision: str | None, trust_remote_code: bool, options: dict[str, Any]
) -> tuple[Any, dict[str, Any]]:
    folder = check_folder(where)
    if folder is not None and (folder / "adapter_config.json").is_file():
        raise DataError(f"{where} is an adapter; name its base under `model` and this folder under `adapter`.")
    if folder is not None and not any(folder.glob("*.safetensors")):
        found = ", ".join(sorted(one.name for one in folder.iterdir())[:8]) or "nothing"
        raise DataError(
            f"{where} holds no *.safetensors weights (it has {found}); pickled weights can run code and are refused, "
            "so save it again with `save_pretrained`."
        )
    with _loading(where, part):
        model, report = kind.from_pretrained(
            folder or where,
            revision=revision or "main",
            trust_remote_code=trust_remote_code,
            use_safetensors=True,
            output_loading_info=True,
            **options,
        )
    return model.float(), report


def load_tokenizer(where: str, *, revision: str | None = None, trust_remote_code: bool = False) -> Any:
    """A checkpoint's tokenizer, able to pad; of an image classifier its image processor. DataError where there is none."""
    from transformers import AutoImageProcessor, AutoTokenizer

    place = check_folder(where) or where
    if reads_images(where, revision):
        with _loading(where, "image processor"):
            return AutoImageProcessor.from_pretrained(
                place, revision=revision or "main", trust_remote_code=trust_remote_code
            )
    with _loading(where, "tokenizer"):
        tokenizer = AutoTokenizer.from_pretrained(place, revision=revision or "main", trust_remote_code=trust_remote_code)
    if len(tokenizer) <= len(tokenizer.all_special_ids):  # what transformers makes of a folder without tokenizer files
        raise DataError(f"{where} holds no tokenizer; save one there, or its model reads every word as unknown.")
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
    return tokenizer


def pair(model: Any, tokenizer: Any) -> None:
    """Let a model pad as its tokenizer does. Raises DataError for more tokens than the model has embeddings."""
    if is_processor(tokenizer):
        if getattr(model.config, "num_channels", 3) != 3:
            raise DataError(f"It reads images of {model.config.num_channels} channels; legal is 3, as images are read here.")
        return
    known = getattr(model.config, "vocab_size", None)
    if known is not None and len(tokenizer) > known:
        raise DataError(
            f"The tokenizer has {len(tokenizer)} tokens but the model knows {known}; they do not belong together."
        )
    if model.config.pad_token_id is None:
        model.config.pad_token_id = tokenizer.pad_token_id


def is_processor(tokenizer: Any) -> bool:
    """Whether what reads items for a model reads images."""
    return hasattr(tokenizer, "image_mean") or not hasattr(tokenizer, "pad_token_id")


@contextmanager
def _loading(where: str, part: str = "classifier") -> Iterator[None]:
    try:
        with quiet():
            yield
    except Exception as error:  # transformers, safetensors and the hub each raise their own
        said = neither(where, error) if check_folder(where) is None else None
        raise DataError(
            said or f"{where} could not be loaded as a {part}: {type(error).__name__}: {show(str(error))}."
        ) from error


def token_limit(model: nn.Module, tokenizer: Any) -> int | None:
    """The longest sequence a model has positions for; None where nothing limits it."""
    if is_processor(tokenizer):
        return None
    limits = [tokenizer.model_max_length]
    positions = getattr(model.config, "max_position_embeddings", None)
    if positions is not None and positions > 0:  # XLNet says -1 for "any"
        limits.append(positions)
    for name, part in model.named_modules():
        if name.endswith("position_embeddings") and isinstance(part, nn.Embedding) and part.padding_idx is not None:
            limits.append(part.num_embeddings - part.padding_idx - 1)  # RoBERTa counts positions from its padding on
    smallest = min(limits)
    return int(smallest) if smallest < 10**9 else None  # tokenizers without a limit say 1e30


def accepted_inputs(model: nn.Module) -> frozenset[str]:
    """Names of the inputs that a model's `forward` takes: some tokenizers say more than their model reads."""
    import inspect

    return frozenset(inspect.signature(model.forward).parameters)


def tokenizer_key(tokenizer: Any) -> str:
    """Fingerprint of how a tokenizer reads a text, without the truncation it happened to be last used with."""
    if is_processor(tokenizer):
        return fingerprint(tokenizer.to_dict())
    if tokenizer.is_fast:
        state = json.loads(tokenizer.backend_tokenizer.to_str())
        state.pop("truncation", None)
        state.pop("padding", None)
    else:
        state = {"class": type(tokenizer).__name__, "vocabulary": tokenizer.get_vocab()}
    return fingerprint(state, {name: str(token) for name, token in tokenizer.special_tokens_map.items()})


@dataclass(frozen=True)
class Tokenised:
    """Items as token ids, one after another, padded only to the longest of a batch (on the right)."""

    flat: Mapping[str, Tensor]  # each (tokens,) int32
    starts: Tensor  # (B,) long
    lengths: Tensor  # (B,) long
    fill: Mapping[str, int]

    def __len__(self) -> int:
        return len(self.lengths)

    def batch(self, rows: Tensor) -> dict[str, Tensor]:
        """Model inputs of some rows (n,) long: each (n, longest) long."""
        lengths = self.lengths[rows].unsqueeze(-1)  # (n, 1)
        position = torch.arange(int(lengths.max()) if len(rows) else 0)  # (longest,)
        inside = position < lengths  # (n, longest)
        index = torch.where(inside, self.starts[rows].unsqueeze(-1) + position, 0)
        return {name: torch.where(inside, flat[index].long(), self.fill[name]) for name, flat in self.flat.items()}

    def by_length(self, size: int) -> Iterator[Tensor]:
        """All rows in batches (n,) of like length, longest first; the same items give the same batches in any order."""
        ids = self.flat["input_ids"].numpy()
        spans = zip(self.starts.tolist(), self.lengths.tolist(), strict=True)
        keys = [(length, ids[start : start + length].tobytes()) for start, length in spans]
        order = sorted(range(len(self)), key=keys.__getitem__, reverse=True)
        for start in range(0, len(order), size):
            yield torch.tensor(order[start : start + size], dtype=torch.long)


def read(tokenizer: Any, items: Items, max_length: int | None, accepted: frozenset[str], who: str) -> Tokenised | Pictures:
    """Items as a model reads them: texts by its tokenizer, images by its processor. Raises DataError for the other kind."""
    if not is_processor(tokenizer):
        return tokenise(tokenizer, items, max_length, accepted, who)
    if not are_images(items.inputs) and len(items):
        raise DataError(f"{who} reads images and the items are none; name the column of their files as `image`.")
    return Pictures(tokenizer, tuple(items.inputs))


def tokenise(tokenizer: Any, items: Items, max_length: int | None, accepted: frozenset[str], who: str) -> Tokenised:
    """Read texts or text pairs once, cut to `max_length` tokens. Raises DataError for images and tensors."""
    if are_images(items.inputs):
        raise DataError(f"{who} reads texts and the items are images; give a model that reads images.")
    if isinstance(items.inputs, Tensor):
        raise DataError(f"{who} reads texts and the items are tensors; give a module that reads tensors.")
    columns: dict[str, list[Tensor]] = {}
    lengths: list[int] = []
    for start in range(0, max(len(items), 1), CHUNK):
        read = _read(tokenizer, items.inputs[start : start + CHUNK], max_length)
        lengths += [len(ids) for ids in read["input_ids"]]
        for name in read.keys() & accepted:
            joined = [token for one in read[name] for token in one]
            columns.setdefault(name, []).append(torch.tensor(joined, dtype=torch.int32))
    counts = torch.tensor(lengths, dtype=torch.long)
    fill = {"input_ids": tokenizer.pad_token_id or 0, "token_type_ids": tokenizer.pad_token_type_id}
    flat = {name: torch.cat(parts) for name, parts in sorted(columns.items())}
    return Tokenised(flat, counts.cumsum(0) - counts, counts, {name: fill.get(name, 0) for name in flat})


def _read(tokenizer: Any, inputs: Sequence[Any], max_length: int | None) -> dict[str, list[list[int]]]:
    if not inputs:
        return {"input_ids": [], "attention_mask": []}
    pairs = [list(column) for column in zip(*inputs, strict=True)] if isinstance(inputs[0], tuple) else [list(inputs)]
    read = dict(tokenizer(*pairs, truncation=max_length is not None, max_length=max_length, return_attention_mask=True))
    for row, ids in enumerate(read["input_ids"]):
        if not ids:  # an empty text and a tokenizer that adds no token: a model needs one position to answer from
            for name in read:
                filler = {"input_ids": tokenizer.pad_token_id or 0, "attention_mask": 1}
                read[name][row] = [filler.get(name, 0)]
    return read
