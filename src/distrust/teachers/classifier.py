"""Local classifiers as teachers: transformers checkpoints, with or without a PEFT adapter, and any torch module.

Knows how to load one, name its classes and freeze it while it answers. Knows nothing of whom to believe or of training.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from distrust import recipe, taps
from distrust.data import Items
from distrust.errors import DataError, TeacherError, nearest
from distrust.evidence import Evidence
from distrust.files import fingerprint
from distrust.images import Pictures, blank
from distrust.labels import LabelSpace
from distrust.modules import Inputs, best_device, device_of, read_tensor, seeded, weights_key
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
from distrust.teachers.passes import ask_passes

UNNAMED = re.compile(r"LABEL_\d+")  # what transformers calls classes that nobody named
PROBE = Items(("probe",), ("What is the layer that makes the logits of this?",))
Features = Mapping[str, str]  # by name, taps of distrust.taps: the output of a module, or with `.input` what goes into it
Heads = Mapping[
    str, nn.Module | Sequence[str]
]  # by a feature's name, what makes the logits of it: a module, or paths in order


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
        self.heads = _heads(self._model, {**(heads or {}), **parts}, self._features, self.name)
        self._batch_size, self._keep_top = options.batch_size, _checked_top(options.keep_top, self.space, self.name)
        self.fingerprint = fingerprint(
            "classifier", self.space.names, settings(model), tokenizer_key(self._tokenizer),
            self._max_length, self._features, self._keep_top, _heads_key(self.heads), weights_key(model),
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


class ModuleTeacher:
    """Any torch module that reads a tensor (B, ...) and gives logits (B, C).

    Args:
        name, module, space: who answers, with what, and what each logit stands for.
        inputs: what the module reads of items, when it is not `Items.inputs` itself; needs a `fingerprint`.
        features, heads: as for `ClassifierTeacher`; the paths of a head are read when it is asked for.
        batch_size: items at once.
        keep_top: keep only so many classes of the logits, the likeliest, and the mass of the rest; default all.
        fingerprint: what this teacher is; default: a hash of the module's classes and weights at the time of asking.

    The module stays the caller's: where it lies, its modes and its gradient flags are as before after every ask.
    """

    keeps_answers = False

    def __init__(
        self,
        name: str,
        module: nn.Module,
        space: LabelSpace,
        *,
        inputs: Inputs | None = None,
        features: Features | None = None,
        heads: Heads | None = None,
        batch_size: int = 256,
        keep_top: int | None = None,
        fingerprint: str | None = None,
    ) -> None:
        if inputs is not None and fingerprint is None:
            raise TeacherError(f"The teacher {name} has `inputs`, which no hash can see into; give it a `fingerprint` too.")
        self.name = name
        self.space = space
        self._module = module
        self._inputs = inputs
        self._features = taps.check(module, features or {}, name, TeacherError)
        self._heads = heads or {}
        _heads(module, self._heads, self._features, name)  # refuses early what is no head
        self._batch_size, self._keep_top = batch_size, _checked_top(keep_top, space, name)
        self._fingerprint = fingerprint

    @property
    def fingerprint(self) -> str:
        """What answers depend on; read it when asking, since the caller may train the module further."""
        own = self._fingerprint or weights_key(self._module)
        return fingerprint("module", self.space.names, self._features, self._keep_top, _heads_key(self.heads), own)

    @property
    def heads(self) -> dict[str, nn.Module]:
        """By a feature's name what makes the logits of it: frozen copies as of now."""
        return _heads(self._module, self._heads, self._features, self.name)

    def ask(self, items: Items) -> Evidence:
        """One claim and C logits per item, or the top ones; free of charge."""
        answer, batches = self._answering(items), _in_order(len(items), self._batch_size)
        kept = self._features, self.heads, self._keep_top
        return ask_module(self.name, self.space, self._module, answer, batches, items, *kept)

    def passes(self, items: Items, passes: int, seed: int = 0) -> Evidence:
        """The mean answer over passes with dropout on, as `teachers.passes.ask_passes` has it."""
        answer, batches = self._answering(items), partial(_in_order, len(items))
        return ask_passes(self.name, self.space, self._module, answer, batches, items, passes, seed, self._batch_size)

    def _answering(self, items: Items) -> Callable[[Tensor], Tensor]:
        """From rows (n,) long to logits (n, C)."""
        read = read_tensor(items, self._inputs, self.name)
        here = device_of(self._module)
        return lambda rows: self._module(read[rows].to(here))


def _checked_top(keep_top: int | None, space: LabelSpace, who: str) -> int | None:
    if keep_top is not None and not 1 <= keep_top <= len(space):
        raise TeacherError(f"{who} has {len(space)} classes and cannot keep {keep_top}; legal is 1 to {len(space)}.")
    return keep_top


def _in_order(count: int, size: int) -> list[Tensor]:
    """Rows in batches (n,) of one size, the last one smaller."""
    return [torch.arange(start, min(start + size, count)) for start in range(0, count, size)]


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


def _heads(module: nn.Module, heads: Heads, features: Features, who: str) -> dict[str, nn.Module]:
    """Frozen copies of heads. Raises TeacherError for a head of no feature, or of paths that the module lacks."""
    legal = [path for path, _ in module.named_modules() if path]
    made = {}
    for name, given in heads.items():
        if name not in features:
            raise TeacherError(
                f"{who} has a head for {name!r}, which is none of its features; {nearest(name, [*features])}."
            )
        for path in () if isinstance(given, nn.Module) else given:
            if path not in legal:
                raise TeacherError(f"{who} has no module {path!r} for its head; {nearest(path, legal)}.")
        made[name] = taps.frozen_copy([given] if isinstance(given, nn.Module) else [module.get_submodule(p) for p in given])
    return made


def _heads_key(heads: Mapping[str, nn.Module]) -> dict[str, str]:
    return {name: weights_key(head) for name, head in heads.items()}


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
