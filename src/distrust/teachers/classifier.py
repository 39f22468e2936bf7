"""Local classifiers as teachers: transformers checkpoints, with or without a PEFT adapter, and any torch module.

Knows how to load one, name its classes and freeze it while it answers. Knows nothing of whom to believe or of training.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from distrust import recipe
from distrust.data import Items
from distrust.errors import DataError, TeacherError, nearest
from distrust.evidence import Cost, Dense, Evidence
from distrust.files import fingerprint
from distrust.labels import LabelSpace
from distrust.modules import Inputs, best_device, device_of, frozen, read_tensor, seeded, weights_key
from distrust.pretrained import (
    accepted_inputs,
    check_folder,
    load_classifier,
    load_tokenizer,
    pair,
    quiet,
    token_limit,
    tokenise,
    tokenizer_key,
)
from distrust.secrets import expand, show

PROBE = 4  # items answered twice at the start of an ask, to find a teacher that is not repeatable
UNNAMED = re.compile(r"LABEL_\d+")  # what transformers calls classes that nobody named


class ClassifierTeacher:
    """A transformers sequence classifier, from a folder or the hub.

    Args:
        options: the recipe's part.
        space: the task's classes, to check the recipe's `labels` against; None where they are still to be gathered.
        features: module paths whose output to keep, by the name it gets in the evidence (``{"pooled": "bert.pooler"}``).

    Its own `space` holds its head's classes in its head's order, under the names that the recipe gives them.

    Raises:
        TeacherError: it cannot be loaded, lacks a trained head, or has classes that nobody named.
    """

    def __init__(
        self, options: recipe.Classifier, space: LabelSpace | None = None, features: Mapping[str, str] | None = None
    ) -> None:
        self.name = options.name
        try:
            model, self._tokenizer, untrained = _load(options)
        except DataError as error:
            raise TeacherError(f"The teacher {options.name}: {error}") from error
        self.space = _own_space(options, model.config, space)
        self._accepted = accepted_inputs(model)
        self._max_length = _max_length(options, token_limit(model, self._tokenizer))
        adapted = _adapt(model, untrained, options) if options.adapter else model
        self._model = adapted.to(best_device())
        self._features = _check_features(self._model, features, self.name)
        self._batch_size = options.batch_size
        self.fingerprint = fingerprint(
            "classifier", self.space.names, _settings(adapted), tokenizer_key(self._tokenizer),
            self._max_length, self._features, weights_key(adapted),
        )  # fmt: skip

    def ask(self, items: Items) -> Evidence:
        """One claim and C logits per item, in the items' order; free of charge."""
        tokens = tokenise(self._tokenizer, items, self._max_length, self._accepted, self.name)
        here = device_of(self._model)

        def answer(rows: Tensor) -> Tensor:
            inputs = {name: value.to(here) for name, value in tokens.batch(rows).items()}
            return self._model(**inputs).logits  # type: ignore[no-any-return]

        logits, features = _answers(
            self, self._model, answer, tokens.by_length(self._batch_size), len(items), self._features
        )
        return _evidence(self, items, logits, features)


class ModuleTeacher:
    """Any torch module that reads a tensor (B, ...) and gives logits (B, C).

    Args:
        name, module, space: who answers, with what, and what each logit stands for.
        inputs: what the module reads of items, when it is not `Items.inputs` itself; needs a `fingerprint`.
        features: module paths whose output to keep, by the name it gets in the evidence.
        batch_size: items at once.
        fingerprint: what this teacher is; default: a hash of the module's classes and weights at the time of asking.

    The module stays the caller's: where it lies, its modes and its gradient flags are as before after every ask.
    """

    def __init__(
        self,
        name: str,
        module: nn.Module,
        space: LabelSpace,
        *,
        inputs: Inputs | None = None,
        features: Mapping[str, str] | None = None,
        batch_size: int = 256,
        fingerprint: str | None = None,
    ) -> None:
        if inputs is not None and fingerprint is None:
            raise TeacherError(f"The teacher {name} has `inputs`, which no hash can see into; give it a `fingerprint` too.")
        self.name = name
        self.space = space
        self._module = module
        self._inputs = inputs
        self._features = _check_features(module, features, name)
        self._batch_size = batch_size
        self._fingerprint = fingerprint

    @property
    def fingerprint(self) -> str:
        """What answers depend on; read it when asking, since the caller may train the module further."""
        own = self._fingerprint or weights_key(self._module)
        return fingerprint("module", self.space.names, self._features, own)

    def ask(self, items: Items) -> Evidence:
        """One claim and C logits per item; free of charge."""
        read = read_tensor(items, self._inputs, self.name)
        here = device_of(self._module)
        size = self._batch_size
        batches = [torch.arange(start, min(start + size, len(items))) for start in range(0, len(items), size)]

        def answer(rows: Tensor) -> Tensor:
            return self._module(read[rows].to(here))  # type: ignore[no-any-return]

        logits, features = _answers(self, self._module, answer, batches, len(items), self._features)
        return _evidence(self, items, logits, features)


def _answers(
    teacher: ClassifierTeacher | ModuleTeacher,
    module: nn.Module,
    answer: Callable[[Tensor], Tensor],
    batches: Iterable[Tensor],
    items: int,
    paths: Mapping[str, str],
) -> tuple[Tensor, dict[str, Tensor]]:
    """Logits (B, C) and features (B, ...) in the items' order, from a frozen module."""
    classes = len(teacher.space)
    logits = torch.zeros(items, classes)
    features: dict[str, Tensor] = {}
    with frozen(module), _tapped(module, paths) as tapped:
        for turn, rows in enumerate(batches):
            if turn == 0:
                _check_repeatable(teacher.name, answer, rows[:PROBE])
            given = _call(teacher.name, answer, rows)
            if not isinstance(given, Tensor) or given.shape != (len(rows), classes):
                got = tuple(given.shape) if isinstance(given, Tensor) else type(given).__name__
                raise TeacherError(
                    f"{teacher.name} gave {got} for {len(rows)} items; legal are logits {len(rows), classes}."
                )
            logits[rows] = given.detach().float().cpu()
            for name, value in tapped.items():
                _place(teacher.name, features, name, value.detach().float().cpu(), rows, items)
    return logits, features


def _call(name: str, answer: Callable[[Tensor], Tensor], rows: Tensor) -> Tensor:
    try:
        return answer(rows)
    except torch.OutOfMemoryError as error:
        raise TeacherError(f"{name} runs out of memory on {len(rows)} items at once; set a smaller batch_size.") from error
    except RuntimeError as error:
        raise TeacherError(f"{name} cannot read these items: {show(str(error))}.") from error


def _check_repeatable(name: str, answer: Callable[[Tensor], Tensor], rows: Tensor) -> None:
    """Refuse a teacher that draws at random even in eval mode: its evidence could be neither stored nor judged."""
    first, second = _call(name, answer, rows), _call(name, answer, rows)
    same = not isinstance(first, Tensor) or torch.allclose(first, second, rtol=1e-3, atol=1e-3, equal_nan=True)
    if not same:
        raise TeacherError(
            f"{name} answers the same items differently each time, even in eval mode; "
            "does its forward use dropout without `training=self.training`?"
        )


def _place(who: str, features: dict[str, Tensor], name: str, value: Tensor, rows: Tensor, items: int) -> None:
    kept = features.setdefault(name, value.new_zeros(items, *value.shape[1:]))
    if value.shape != (len(rows), *kept.shape[1:]):
        raise TeacherError(
            f"{who}'s feature {name!r} is {tuple(value.shape)} in one batch and (n, {', '.join(map(str, kept.shape[1:]))}) "
            "in another; tap a module with one vector per item, such as a pooler."
        )
    kept[rows] = value


@contextmanager
def _tapped(module: nn.Module, paths: Mapping[str, str]) -> Iterator[dict[str, Tensor]]:
    """The latest output of some submodules, by name; the hooks are gone afterwards."""
    latest: dict[str, Tensor] = {}

    def keep(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
            latest[name] = output if isinstance(output, Tensor) else output[0]

        return hook

    handles = [module.get_submodule(path).register_forward_hook(keep(name)) for name, path in paths.items()]
    try:
        yield latest
    finally:
        for handle in handles:
            handle.remove()


def _check_features(module: nn.Module, features: Mapping[str, str] | None, who: str) -> dict[str, str]:
    legal = [path for path, _ in module.named_modules() if path]
    for path in (features or {}).values():
        if path not in legal:
            raise TeacherError(f"{who} has no module {path!r} to take features from; {nearest(path, legal)}.")
    return dict(features or {})


def _evidence(
    teacher: ClassifierTeacher | ModuleTeacher, items: Items, logits: Tensor, features: Mapping[str, Tensor]
) -> Evidence:
    return Evidence(
        source=teacher.name,
        ids=items.ids,
        space=teacher.space,
        claims=logits.argmax(-1).unsqueeze(0),
        logits=Dense(logits),
        features=features,
        cost=Cost.free(len(items)),
    )


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


def _adapt(model: Any, untrained: list[str], options: recipe.Classifier) -> Any:
    """Put a PEFT adapter on a model, all of it or none."""
    where = expand(options.adapter or "")
    try:
        import peft
    except ImportError as error:
        raise TeacherError(
            f"The teacher {options.name} has an adapter; install peft: pip install 'distrust[peft]'."
        ) from error
    try:
        folder = check_folder(where)
        with quiet(), seeded(0):
            file = _adapter_weights(where, folder)
            adapted = peft.PeftModel.from_pretrained(model, where)
            _check_adapter(adapted, file, untrained, options)
    except DataError as error:
        raise TeacherError(f"The teacher {options.name}: {error}") from error
    except Exception as error:  # peft, safetensors and the hub each raise their own
        reason = show(str(error))
        raise TeacherError(
            f"The teacher {options.name}: the adapter {where} cannot be put on {options.model}: {reason}."
        ) from error
    return adapted


def _adapter_weights(where: str, folder: Path | None) -> Path:
    if folder is None:
        from huggingface_hub import hf_hub_download

        return Path(hf_hub_download(where, "adapter_model.safetensors"))
    file = folder / "adapter_model.safetensors"
    if not file.is_file():
        raise DataError(f"{where} holds no adapter_model.safetensors; pickled adapters can run code and are refused.")
    return file


def _check_adapter(adapted: Any, file: Path, untrained: list[str], options: recipe.Classifier) -> None:
    """peft only warns about weights that found no place, and would answer as the bare model."""
    import peft
    from safetensors import safe_open

    with safe_open(file, "pt") as weights:
        given = set(weights.keys())
    wanted = set(peft.get_peft_model_state_dict(adapted))
    if given != wanted:
        odd = sorted(given ^ wanted)[0]
        raise DataError(f"the adapter {options.adapter} is not of {options.model}: {odd} is only in one of both.")
    left = next((name for name in untrained if not any(key.endswith(name) for key in given)), None)
    if left is not None:
        raise DataError(f"neither {options.model} nor the adapter {options.adapter} has trained weights for {left}.")


def _settings(model: Any) -> dict[str, Any]:
    """What a model does beyond its weights: its config and its adapter's, without paths and versions."""
    config = {key: value for key, value in model.config.to_diff_dict().items() if key not in _INCIDENTAL}
    adapters = getattr(model, "peft_config", {})
    return {"config": config, "adapters": {name: _plain(one.to_dict()) for name, one in adapters.items()}}


_INCIDENTAL = {"_name_or_path", "transformers_version", "base_model_name_or_path", "revision", "inference_mode", "dtype"}


def _plain(settings: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in settings.items() if key not in _INCIDENTAL}
    return {key: sorted(value) if isinstance(value, (set, frozenset)) else value for key, value in kept.items()}


def _max_length(options: recipe.Classifier, limit: int | None) -> int | None:
    if limit is not None and options.max_length is not None and options.max_length > limit:
        raise TeacherError(
            f"The teacher {options.name} reads at most {limit} tokens; its max_length of {options.max_length} is too long."
        )
    return options.max_length or limit


def _own_space(options: recipe.Classifier, config: Any, task: LabelSpace | None) -> LabelSpace:
    """The head's classes in order, renamed by the recipe."""
    who, names = options.name, [str(config.id2label[index]) for index in range(config.num_labels)]
    if len(names) == 1 or config.problem_type in ("regression", "multi_label_classification"):
        kind = config.problem_type or "regression"
        raise TeacherError(f"The teacher {who} is no classifier of one label per item (its head is for {kind}).")
    for own, renamed in options.labels.items():
        if own not in names:
            raise TeacherError(f"The teacher {who} has no label {own!r} to rename; {nearest(own, names)}.")
        if task is not None and renamed != own and task.find(renamed) < 0:
            raise TeacherError(
                f"The teacher {who}'s label {own!r} is mapped to {renamed!r}, no class of the task; "
                f"{nearest(renamed, task.names)}, or {own!r} itself for a class that the task lacks."
            )
    unnamed = [name for name in names if UNNAMED.fullmatch(name) and name not in options.labels]
    if any(task is None or task.find(name) < 0 for name in unnamed):
        legal = f" (the task has {', '.join(task.names[:12])})" if task is not None else ""
        wanted = ", ".join(f"{name}: ..." for name in unnamed[:6]) + (", ..." if len(unnamed) > 6 else "")
        raise TeacherError(
            f"The teacher {who} does not name its classes; write `labels: {{{wanted}}}` in the recipe{legal}."
        )
    try:
        return LabelSpace(tuple(options.labels.get(name, name) for name in names))
    except DataError as error:
        raise TeacherError(f"The teacher {who}: {error}") from error
