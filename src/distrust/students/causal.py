"""Causal language models as students: pretrained, or from scratch with a tokenizer trained on the pool's prompts.

Knows how one is made, read into and saved for `from_pretrained`. Knows nothing of teachers, losses, sampling or the loop.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from distrust import recipe
from distrust.answers import Answers
from distrust.data import Items
from distrust.errors import DataError, RecipeError, RunError
from distrust.files import fingerprint, write_json
from distrust.labels import LabelSpace
from distrust.losses.chunks import Projected
from distrust.modules import frozen, weights_key
from distrust.pretrained import accepted_inputs, load_causal, load_tokenizer, pair, quiet, token_limit
from distrust.secrets import expand
from distrust.sharding import bare
from distrust.students import Student
from distrust.students.completions import Exchanges, Prompts, Reader
from distrust.students.heads import headless
from distrust.students.saving import ABOUT, publishing, read_about
from distrust.students.scratch import check_config, make_config, make_model
from distrust.students.vocabulary import train_writer

RATES = {"scratch": 1e-3, "pretrained": 5e-5}  # learning rates that each kind of start wants


@dataclass
class CausalStudent:
    """A causal language model; made by `build` or `load`. `students.sampling.generate` makes it write."""

    key: str
    reads: str
    answers: Answers  # how its texts are read
    module: nn.Module
    default_learning_rate: float
    notes: tuple[str, ...]
    reader: Reader
    accepted: frozenset[str]  # inputs of the model's `forward`, which several processes wrap

    @property
    def parts(self) -> dict[str, Any]:
        """What it is made of, by name: for a kind of student that answers in part otherwise."""
        return {one.name: getattr(self, one.name) for one in fields(CausalStudent)}

    @property
    def space(self) -> LabelSpace:
        """None. Raises DataError: a text is no class."""
        raise DataError("A causal student writes texts and knows no classes; what it says is asked for as texts.")

    def encode(self, items: Items) -> Prompts:
        """Tokenise prompts once. Raises DataError for tensors."""
        return self.reader.prompts(items)

    def encode_told(self, items: Items, completions: Sequence[str], whose: Tensor | None = None) -> Exchanges:
        """Tokenise prompts, and completions (R) of the items in rows `whose` (R,); default: one of each, in order.

        Raises:
            DataError: items that are tensors.
        """
        return self.reader.exchanges(items, completions, whose)

    def logits(self, inputs: dict[str, Tensor]) -> Tensor:
        """A batch of `Exchanges` to the logits of its labels, (n, T, V); the head is run for no other position."""
        inputs = dict(inputs)
        asked = inputs.pop("labels").shape[-1]
        keep = {"logits_to_keep": asked} if "logits_to_keep" in self.accepted else {}
        known = {name: value for name, value in inputs.items() if name in self.accepted}
        logits: Tensor = self.module(**known, **keep, use_cache=False).logits
        return logits[:, logits.shape[1] - asked :]

    def hidden(self, inputs: dict[str, Tensor]) -> Projected:
        """What the logits of a batch's labels are made from: hidden states (n, T, d) and the head, which is not run.

        Raises:
            RunError: a model whose head is no linear layer at its end.
        """
        with headless(bare(self.module)) as head:
            return head.projected(self.logits(inputs))

    def save(self, folder: Path) -> None:
        """Write what `AutoModelForCausalLM.from_pretrained` and `AutoTokenizer.from_pretrained` load."""
        reader = self.reader
        about = {
            "kind": "causal",
            "key": self.key,
            "answer": self.answers.how.model_dump(),
            "template": reader.template,
            "max_prompt_length": reader.max_prompt_length,
            "max_completion_length": reader.max_completion_length,
            "default_learning_rate": self.default_learning_rate,
        }
        with publishing(folder) as draft, quiet():
            self.module.save_pretrained(draft)  # type: ignore[operator]
            reader.tokenizer.save_pretrained(draft)
            write_json(draft / ABOUT, about)


def build(
    options: recipe.CausalStudent, answers: Answers, seed: int, pool: Items, who: str = "The student"
) -> CausalStudent:
    """A student before training, or a teacher.

    Args:
        options: the recipe's part.
        answers: how its texts are read.
        seed: of the weights that are not loaded; the global random state is left alone.
        pool: its prompts make the tokenizer of a model from scratch; no completion is read, which might be hidden.
        who: as sentences name it.

    Raises:
        DataError: a checkpoint or tokenizer that cannot be loaded, or that lacks weights or an end token; weights that are
            not finite.
        RecipeError: a config that makes no model, or lengths beyond what the model can read.
    """
    given = load_tokenizer(expand(options.tokenizer)) if options.tokenizer else None
    if options.config is not None:
        model, tokenizer = _from_scratch(options, seed, pool, given)
        return _student(model, tokenizer, answers, options, "scratch", who)
    where = expand(options.model or "")
    model, report = load_causal(where, revision=options.revision)
    if report["missing_keys"]:
        missing = sorted(report["missing_keys"])
        raise DataError(f"{where} lacks {len(missing)} weights, {missing[0]} first; it is no causal language model.")
    tokenizer = given or load_tokenizer(where, revision=options.revision)
    wild = next((name for name, value in model.named_parameters() if not bool(value.isfinite().all())), None)
    if wild is not None:
        raise DataError(f"{who}'s weights {wild} are not all finite: {where} is damaged, or training it failed.")
    return _student(model, tokenizer, answers, options, "pretrained", who)


def load(folder: Path) -> CausalStudent:
    """A saved student. Raises DataError where `folder` holds none."""
    about = read_about(folder, "causal")
    model, _ = load_causal(str(folder))
    tokenizer = load_tokenizer(str(folder))
    reader = Reader(tokenizer, about["template"], about["max_prompt_length"], about["max_completion_length"])
    pair(model, tokenizer)
    answers = Answers(recipe.Answer(**about["answer"]))
    rate = about["default_learning_rate"]
    return CausalStudent(about["key"], reader.key, answers, model, rate, (), reader, accepted_inputs(model))


def writer(student: Student) -> CausalStudent:
    """A student that writes texts. Raises RunError for one of another kind."""
    if not isinstance(student, CausalStudent):
        raise RunError("This student chooses between classes and writes no texts; give `student` the kind causal.")
    return student


def _student(
    model: Any, tokenizer: Any, answers: Answers, options: recipe.CausalStudent, start: str, who: str
) -> CausalStudent:
    if tokenizer.eos_token_id is None:
        raise DataError(f"{who}'s tokenizer has no end token (eos_token), so its texts could not end; add one to it.")
    pair(model, tokenizer)
    _check_causal(model, who)
    reader = Reader(tokenizer, options.template, *_lengths(options, model, tokenizer, who))
    key = fingerprint("causal", weights_key(model), reader.key, answers.how.model_dump())
    return CausalStudent(key, reader.key, answers, model, RATES[start], (), reader, accepted_inputs(model))


def _from_scratch(options: recipe.CausalStudent, seed: int, pool: Items, given: Any | None) -> tuple[Any, Any]:
    from transformers import AutoModelForCausalLM
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES as KINDS

    raw = dict(options.config or {})
    kind = check_config(raw, KINDS, "causal language model")
    prompts = [options.template.replace("{prompt}", pool.text(row)) for row in range(len(pool))]
    tokenizer = given or train_writer(prompts, kind, options.vocabulary)
    config = make_config(kind, raw, tokenizer, {})
    return make_model(AutoModelForCausalLM.from_config, config, seed), tokenizer


def _check_causal(model: Any, who: str) -> None:
    """Refuse a model that sees what comes after: a BERT, for instance, whose config does not say `is_decoder`."""
    with quiet(), frozen(model):
        first, second = model(input_ids=torch.tensor([[0, 1], [0, 2]])).logits[:, 0]  # (V,) twice
    if not torch.allclose(first, second, atol=1e-4):
        kind = model.config.model_type
        raise RecipeError(f"{who}, a {kind}, sees what comes after a token; set is_decoder: true in its config.")


def _lengths(options: recipe.CausalStudent, model: Any, tokenizer: Any, who: str) -> tuple[int, int]:
    """Tokens of a prompt and of a completion that the model has positions for."""
    prompt, completion = options.max_prompt_length, options.max_completion_length
    limit = token_limit(model, tokenizer)
    if limit is None or prompt + completion <= limit:
        return prompt, completion
    default = recipe.CausalStudent.model_fields["max_prompt_length"].default
    if prompt != default or completion >= limit:
        raise RecipeError(
            f"{who} reads at most {limit} tokens; max_prompt_length {prompt} and max_completion_length {completion} "
            "together are more."
        )
    return limit - completion, completion
