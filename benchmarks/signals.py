"""Do the signals know? Recorded answers of real LLMs, no training: AUROC, precision against coverage, calibration.

CommonsenseQA: PaLM 540B judged by a second model's label (support by one sample, A2d). StrategyQA and GSM8K: several prompts
of one model as its samples (support of the teacher's own answer; self-consistency, A1, of the majority), other models as
assistants. No option was fitted: the prompts of StrategyQA are the card's, which leave out the one that is a coin; all five
are reported beside them. Where an assistant gave no answer it has no say, and its signal counts as one half.
"""

from __future__ import annotations

import time

import torch
from torch import Tensor

from benchmarks._signals_data import World, commonsense, questions
from benchmarks.harness import Result, needs_data
from distrust.evaluate import Interval, calibration_error, quality
from distrust.selection import ranked
from distrust.trust import fit_calibration, two_kinds

SEEDS = (0, 1, 2, 3, 4)  # of the gold that calibrates
GOLD, COVERAGES = 100, (0.5, 0.6, 0.63, 0.8)
Figures = dict[str, float | bool]


def run(quick: bool) -> Result:
    """All sets; quick: fewer resamples and no split but the first."""
    folder = needs_data("signals")
    torch.set_num_threads(1)
    bootstrap, figures = 200 if quick else 1000, Figures()
    worlds = [
        *(commonsense(folder, split) for split in (("train",) if quick else ("train", "test"))),
        *(questions(folder, name) for name in ("StrategyQA", "GSM8K")),
    ]
    for world in worlds:
        _tell(world, figures, bootstrap)
    _levels(worlds[-2], figures)
    figures["selection.seconds_per_million"] = _selection()
    settings = {"bootstrap": bootstrap, "gold that calibrates": GOLD, "interval": "95 %, items resampled", "silent": 0.5}
    return Result(figures, settings, list(SEEDS))


def _tell(world: World, figures: Figures, bootstrap: int) -> None:
    """The teacher's claim by the signals about it; then what the most samples say, by those about that."""
    figures[f"{world.name}.items"] = float(len(world.right))
    for name, signal in world.signals.items():
        _judge(world.name + name, signal, world.right, figures, bootstrap)
        if name in world.draws:
            found = two_kinds(signal, world.draws[name])(signal, world.draws[name]).nan_to_num(0.5)
            _put(
                figures, f"{world.name}{name}.ece.agreement", calibration_error(found, world.right == 1, bootstrap=bootstrap)
            )
        if not name or name in world.draws:
            _calibrate(world.name + name, signal, world.right, figures)
    if world.majority is not None and world.of_majority is not None:
        own, other = (world.of_majority[one] for one in (".self_consistency", ".majority.assistant.text-davinci-003"))
        for name, signal in {**world.of_majority, ".both": (own + other.nan_to_num(0.5)) / 2}.items():
            _judge(world.name + name, signal, world.majority, figures, bootstrap)
        _calibrate(f"{world.name}.self_consistency", own, world.majority, figures)


def _judge(name: str, signal: Tensor, right: Tensor, figures: Figures, bootstrap: int) -> None:
    found = quality(signal.nan_to_num(0.5), right, COVERAGES, bootstrap)
    assert found is not None and found.auroc is not None
    _put(figures, f"{name}.right", found.base)
    _put(figures, f"{name}.auroc", found.auroc)
    _put(figures, f"{name}.ece", found.ece)
    for share, value in found.precision.items():
        _put(figures, f"{name}.precision_at_{100 * share:.0f}", value)
    figures[f"{name}.silent"] = float(signal.isnan().double().mean())


def _calibrate(name: str, signal: Tensor, right: Tensor, figures: Figures) -> None:
    """ECE on the rest after calibration on a few gold, the mean over draws of them."""
    filled = signal.nan_to_num(0.5)
    for kind in ("isotonic", "platt"):
        errors = []
        for seed in SEEDS:
            order = torch.randperm(len(right), generator=torch.Generator().manual_seed(seed))
            gold, rest = order[:GOLD], order[GOLD:]
            chance = fit_calibration(filled[gold], right[gold], kind)(filled[rest])  # type: ignore[arg-type]
            errors.append(calibration_error(chance, right[rest] == 1, bootstrap=2).value)
        figures[f"{name}.ece.{kind}{GOLD}"] = sum(errors) / len(errors)


def _levels(world: World, figures: Figures) -> None:
    """How often the teacher is right by how many of its model's prompts say the same; one says nothing at times: level 1."""
    signal = world.signals[""]
    for level in (1, 2, 3, 4):
        here = ((signal * 4).round().clamp(min=1) == level).nonzero().squeeze(-1)
        figures[f"{world.name}.agree{level}.right"] = float(world.right[here].double().mean())
        figures[f"{world.name}.agree{level}.items"] = float(len(here))


def _selection() -> float:
    """CPU seconds to rank 50,000 of a million scores of which many are alike."""
    draw = torch.Generator().manual_seed(0)
    ids, scores = [f"item-{number}" for number in range(10**6)], torch.randint(5, (10**6,), generator=draw) / 5
    start = time.process_time()
    ranked(scores, ids, 50_000)
    return time.process_time() - start


def _put(figures: Figures, name: str, value: Interval) -> None:
    figures |= {name: value.value, f"{name}.low": value.low, f"{name}.high": value.high}
