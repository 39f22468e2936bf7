"""Recorded answers of real LLMs as a teacher, its own samples and assistants, with what is right: three sets of questions.

Knows the columns of `distilling_step_by_step` and `faithful_cot_teachers`. Measures nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch
from torch import Tensor

from distrust.answers import Answers
from distrust.assistant import confidence_in
from distrust.data import Items
from distrust.evidence import Evidence
from distrust.labels import Candidates
from distrust.recipe import Answer
from distrust.trust import self_certainty, self_consistency, support
from distrust.trust.panel_answers import gold_claims, read_answers

MODEL = "code-davinci-002"
SAMPLES = {  # the answers of one model: the teacher's own is the first
    "StrategyQA": ("code002_COT", "code002_LtM", "code002_NL+SL", "code002_standard"),
    "GSM8K": (
        "code002_NL+SL",
        *(f"code002_NL+SL_exemplarset{number}" for number in range(1, 6)),
        *(f"code002_prompt_variation{number}" for number in range(1, 4)),
    ),
}
KINDS = {"StrategyQA": "yes-no", "GSM8K": "number"}
ASSISTANTS = {
    "code-davinci-001": "code001",
    "text-davinci-002": "text002",
    "text-davinci-003": "text003",
    "gpt-3.5-turbo": "gpt-3.5-turbo",
    "gpt-4": "gpt4",
}
PROMPTS = ("COT", "LtM", "standard")  # of an assistant: the three that write no program


@dataclass(frozen=True)
class World:
    """Claims, whether each is right, and signals of each by name."""

    name: str
    right: Tensor  # (B,) long
    signals: dict[str, Tensor]  # (B,) each, in [0, 1], NaN where it has no say; the headline's name is empty
    draws: dict[str, int]  # of how many samples a signal is a share, by the same names; none where it is one
    majority: Tensor | None = None  # (B,) long: whether the most frequent sample is right, what self-consistency is about
    of_majority: dict[str, Tensor] | None = None  # signals of that, (B,) each


def commonsense(folder: Path, split: str) -> World:
    """PaLM's labels on CommonsenseQA, and a second model's, recorded: support by one sample."""
    table = pq.read_table(folder / "distilling_step_by_step" / f"cqa_{split}.parquet").to_pydict()
    items = Items(tuple(table["id"]), tuple(table["question"]))
    reader = Answers(Answer(kind="text"))

    def said(name: str, column: str) -> Evidence:
        return reader.evidence(name, items.ids, [[] if one is None else [one] for one in table[column]])

    palm, llama = said("palm", "palm_label"), said("llama3", "llama3_label")
    gold = [reader.read(one) for one in table["answer"]]
    assert isinstance(palm.space, Candidates)
    right = [answers[:1] == (one,) for answers, one in zip(palm.space.answers, gold, strict=True)]
    name = "cqa" if split == "train" else f"cqa_{split}"
    return World(name, torch.tensor(right).long(), {"": confidence_in(llama, palm, items)}, {})


def questions(folder: Path, name: str) -> World:
    """Several prompts of one model as samples, other models as assistants."""
    source = folder / "faithful_cot_teachers"
    rows = pq.read_table(source / "outputs.parquet", columns=["dataset", "id", "config", "pred"])
    asked = pq.read_table(source / "questions.parquet")
    gold = {str(row["id"]): row["gold"] for row in asked.filter(pc.equal(asked["dataset"], name)).to_pylist()}
    answers: dict[str, dict[str, str | None]] = {}
    for row in rows.filter(pc.equal(rows["dataset"], name)).to_pylist():
        answers.setdefault(row["config"], {})[str(row["id"])] = row["pred"] or None
    own = SAMPLES[name]
    helpers = {model: [f"{short}_{prompt}" for prompt in PROMPTS] for model, short in ASSISTANTS.items()}
    wanted = [*own, *(one for configs in helpers.values() for one in configs), *_all_of(name, answers)]
    evidence = read_answers(
        list(gold), {one: [answers[one].get(item) for item in gold] for one in dict.fromkeys(wanted)}, KINDS[name]
    )
    claims = {one.source: one.claims[0] for one in evidence}
    truth, space = gold_claims(evidence, gold, KINDS[name]), evidence[0].space

    def several(configs: list[str]) -> Tensor:
        return torch.stack([claims[one] for one in configs])  # (K, B)

    teacher, samples = claims[own[0]], several(list(own))
    signals, draws = {"": support(teacher, samples)}, {"": len(own)}
    if name == "StrategyQA":
        signals[".all_prompts"] = support(teacher, several(_all_of(name, answers)))
    for model, configs in helpers.items():
        signals[f".assistant.{model}"] = support(teacher, several(configs))
        draws[f".assistant.{model}"] = len(configs)
    said = Evidence(MODEL, tuple(gold), space, samples)
    top = torch.nn.functional.one_hot(samples.clamp(min=0), len(space)).mul((samples >= 0).unsqueeze(-1)).sum(0).argmax(-1)
    of_majority = {
        ".self_consistency": self_consistency(said),
        ".self_consistency.entropy": self_certainty(samples, len(space), None),
        **{f".majority.assistant.{model}": support(top, several(configs)) for model, configs in helpers.items()},
    }
    return World(name.lower(), (teacher == truth).long(), signals, draws, (top == truth).long(), of_majority)


def _all_of(name: str, answers: dict[str, dict[str, str | None]]) -> list[str]:
    """Every plain prompt of the model, also the one that is no better than a coin; of StrategyQA alone."""
    return [f"code002_{one}" for one in ("COT", "LtM", "NL+SL", "noNL", "standard")] if name == "StrategyQA" else []
