"""Local classifiers as teachers: transformers checkpoints, with or without a PEFT adapter.

Knows how to load one, name its classes and freeze it while it answers. Knows nothing of whom to believe or of training.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from distrust import recipe, taps
from distrust.data import Items
from distrust.errors import DataError, TeacherError, nearest
from distrust.evidence import Evidence
from distrust.files import fingerprint
from distrust.images import Pictures, blank
from distrust.labels import LabelSpace
from distrust.modules import best_device, device_of, seeded, weights_key
from distrust.pretrained import (
    Tokenised,
    accepted_inputs,
    is_processor,
    load_classifier,
    load_tokenizer,
    pair,
    read,
    token_limit,
    tokenizer_key,
)
from distrust.secrets import expand, show
from distrust.teachers.adapter import adapt, settings
from distrust.teachers.asking import ask_module
from distrust.teachers.heads import Features, Heads, checked_top, frozen_heads, heads_key
from distrust.teachers.passes import ask_passes

UNNAMED = re.compile(r"LABEL_\d+")  # what transformers calls classes that nobody named
PROBE = Items(("probe",), ("What is the layer that makes the logits of this?",))


class ClassifierTeacher:
    """A transformers sequence classifier, from a folder or the hub.

    Args:
        options: the recipe's part.
        space: the task's classes, to check the recipe's `labels` against; None where they are still to be gathered.
        features: taps to keep, by the name they get in the evidence (``{"pooled": "bert.pooler"}``, or with ``.input``
            what goes into a module); the recipe's `feature` is called ``feature``.
        heads: by a feature's name what makes the logits of it: a module, or the paths of modules in order.

    Its own `space` holds its head's classes in its head's order, under the names that the recipe gives them; its `heads`
    are frozen copies.

    Raises:
        TeacherError: it cannot be loaded, lacks a trained head, or has classes that nobody named.
    """

    keeps_answers = False

    def __init__(
        self,
        options: recipe.Classifier,
        space: LabelSpace | None = None,
        features: Features | None = None,
        heads: Heads | None = None,
    ) -> None:
        self.name = options.name
        try:
            model, self._tokenizer, untrained = _load(options)
            self.space = _own_space(options, model.config, space)
            self._accepted = accepted_inputs(model)
            self._max_length = _max_length(options, token_limit(model, self._tokenizer))
            if options.adapter:
                model = adapt(model, expand(options.adapter), options.model, untrained)
        except DataError as error:
            raise TeacherError(f"The teacher {options.name}: {error}") from error
        self._model = model.to(best_device())
        tap, parts = self._tap(options)
        self._features = taps.check(self._model, {**(features or {}), **tap}, self.name, TeacherError)
        self.heads = frozen_heads(self._model, {**(heads or {}), **parts}, self._features, self.name)
        self._batch_size, self._keep_top = options.batch_size, checked_top(options.keep_top, self.space, self.name)
        self.fingerprint = fingerprint(
            "classifier", self.space.names, settings(model), tokenizer_key(self._tokenizer),
            self._max_length, self._features, self._keep_top, heads_key(self.heads), weights_key(model),
        )  # fmt: skip

    def _tap(self, options: recipe.Classifier) -> tuple[Features, Heads]:
        """The recipe's feature and its head; `auto`: what goes into the layer that makes the logits, found by trial."""
        if options.feature is None:
            return {}, {}
        if options.feature != "auto":
            return {"feature": options.feature}, {"feature": options.head} if options.head else {}
        one = blank(self._tokenizer) if is_processor(self._tokenizer) else self._read(PROBE).batch(torch.arange(1))
        try:
            path = taps.last_layer(self._model, lambda: self._logits(one))
        except (RuntimeError, ValueError) as error:  # such as an image that its processor does not bring to its size
            said = show(str(error).splitlines()[0].rstrip("."))
            raise TeacherError(f"{self.name} cannot be tried on a blank item ({said}); name its `feature`.") from error
        if path is None:
            raise TeacherError(f"{self.name} has no single layer that makes its logits; name its `feature` and `head`.")
        return {"feature": path + taps.INPUT}, {"feature": [path]}

    def ask(self, items: Items) -> Evidence:
        """One claim and C logits per item, or the top ones, in the items' order; free of charge."""
        tokens = self._read(items)
        answer, batches = self._answering(tokens), tokens.by_length(self._batch_size)
        kept = self._features, self.heads, self._keep_top
        return ask_module(self.name, self.space, self._model, answer, batches, items, *kept)

    def passes(self, items: Items, passes: int, seed: int = 0) -> Evidence:
        """The mean answer over passes with dropout on, as `teachers.passes.ask_passes` has it."""
        tokens = self._read(items)
        answer, size = self._answering(tokens), self._batch_size
        return ask_passes(self.name, self.space, self._model, answer, tokens.by_length, items, passes, seed, size)

    def release(self) -> None:
        """Let go of the model; it can be asked no more."""
        del self._model

    def _read(self, items: Items) -> Tokenised | Pictures:
        return read(self._tokenizer, items, self._max_length, self._accepted, self.name)

    def _answering(self, tokens: Tokenised | Pictures) -> Callable[[Tensor], Tensor]:
        """From rows (n,) long to logits (n, C)."""
        return lambda rows: self._logits(tokens.batch(rows))

    def _logits(self, batch: dict[str, Tensor]) -> Tensor:
        here = device_of(self._model)
        return self._model(**{name: value.to(here) for name, value in batch.items()}).logits  # type: ignore[no-any-return]


def _load(options: recipe.Classifier) -> tuple[Any, Any, list[str]]:
    """Model, tokenizer, and the weights that the checkpoint leaves for the adapter to bring."""
    where = expand(options.model)
    own: dict[str, Any] = {}
    if options.adapter and options.labels and all(UNNAMED.fullmatch(label) for label in options.labels):
        own = {"num_labels": len(options.labels), "ignore_mismatched_sizes": True}  # the head comes with the adapter
    with seeded(0):
        model, report = load_classifier(where, revision=options.revision, trust_remote_code=options.trust_remote_code, **own)
    untrained = sorted({*report["missing_keys"], *(key for key, *_ in report["mismatched_keys"])})
    if untrained and not options.adapter:
        raise DataError(
            f"{where} has no weights for {', '.join(untrained[:3])}; a teacher must come with a trained head "
            "(a checkpoint of a sequence classifier)."
        )
    tokenizer = load_tokenizer(where, revision=options.revision, trust_remote_code=options.trust_remote_code)
    pair(model, tokenizer)
    return model, tokenizer, untrained


def _max_length(options: recipe.Classifier, limit: int | None) -> int | None:
    if limit is not None and options.max_length is not None and options.max_length > limit:
        raise DataError(f"It reads at most {limit} tokens; a max_length of {options.max_length} is too long.")
    return options.max_length or limit


def _own_space(options: recipe.Classifier, config: Any, task: LabelSpace | None) -> LabelSpace:
    """The head's classes in order, renamed by the recipe."""
    names = [str(config.id2label.get(index, f"LABEL_{index}")) for index in range(config.num_labels)]
    if len(names) == 1 or config.problem_type in ("regression", "multi_label_classification"):
        raise DataError(f"Its head is for {config.problem_type or 'regression'}; a teacher gives one label per item.")
    for own, renamed in options.labels.items():
        if own not in names:
            raise DataError(f"It has no label {own!r} to rename; {nearest(own, names)}.")
        if task is not None and renamed != own and task.find(renamed) < 0:
            raise DataError(
                f"Its label {own!r} is mapped to {renamed!r}, no class of the task; {nearest(renamed, task.names)}, "
                f"or {own!r} itself for a class that the task lacks."
            )
    unnamed = [name for name in names if UNNAMED.fullmatch(name) and name not in options.labels]
    if any(task is None or task.find(name) < 0 for name in unnamed):
        legal = f" (the task has {', '.join(task.names[:12])})" if task is not None else ""
        wanted = ", ".join(f"{name}: ..." for name in unnamed[:6]) + (", ..." if len(unnamed) > 6 else "")
        raise DataError(f"It does not name its classes; write `labels: {{{wanted}}}` in the recipe{legal}.")
    meant = [options.labels.get(name, name) for name in names]
    twice = next((one for one, count in Counter(meant).items() if count > 1), None)
    if twice is not None and len(set(names)) == len(names):
        first, second = [own for own, one in zip(names, meant, strict=True) if one == twice][:2]
        raise DataError(
            f"Its labels {first!r} and {second!r} both become {twice!r}, and to it they are two classes; "
            "give one of them another name."
        )
    return LabelSpace(tuple(meant))
