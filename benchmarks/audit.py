"""How noisy is this teacher: are wrong claims found, and is the noise rate right, without gold and with 50 gold labels?

R52's LLM labels (systematically wrong), and TREC and CLINC150 with symmetric, pairwise and instance-dependent noise, beside
cleanlab on the same out-of-fold probabilities where that is installed (`pip install distrust[bench]`).
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from statistics import mean
from time import process_time

import torch
from sklearn.metrics import average_precision_score
from torch import Tensor

from benchmarks.harness import Result, needs_data
from distrust.data import Items, load_items
from distrust.evaluate import Interval
from distrust.labels import LabelSpace
from distrust.noise import Noise, audit_run, estimate, next_to_label, numbers_of, out_of_fold
from distrust.workshop import instance_dependent, pairwise, symmetric

GOLD, MORE, DRAWS, ITEMS = 50, 25, 3, 3000
RATES = {"trec": (0.2, 0.4, 0.6), "clinc150": (0.4,)}
SETS = {  # table, text, gold
    "r52": ("r52_gpt/train_chatgpt.parquet", "text_norm", "label"),
    "trec": ("sentence_classification/trec_raw_train.parquet", "text", "coarse"),
    "clinc150": ("clinc150/train.parquet", "text", "label"),
}
Measured = dict[str, list[float]]


@dataclass(frozen=True)
class World:
    """Claims on items whose truth is known, and what students say that were not told an item's claim."""

    name: str
    claims: Tensor  # (N,) long
    truth: Tensor  # (N,) long
    chances: Tensor  # (N, C)
    texts: Tensor  # (N,) long, equal where items are copies of one text

    @property
    def wrong(self) -> Tensor:
        return self.claims != self.truth


def run(quick: bool) -> Result:
    """Three seeds of noise, folds and gold, three draws of gold each; `quick` one seed of R52 and TREC."""
    needs_data("audit")
    torch.set_num_threads(1)
    cleanlab = importlib.util.find_spec("cleanlab") is not None
    if not cleanlab:
        print("cleanlab is not installed, and its rows are left out: pip install distrust[bench]")
    seeds = [0] if quick else [0, 1, 2]
    found: dict[str, Measured] = {}
    for seed in seeds:
        for name in ("r52", "trec") if quick else SETS:
            _measure(name, seed, found, cleanlab)
    return _result(found, seeds, cleanlab)


def _measure(name: str, seed: int, found: dict[str, Measured], cleanlab: bool) -> None:
    """Every world of one set and seed."""
    for world in _worlds(name, seed, found):
        here = found.setdefault(world.name, {})
        for figure, value in _measured(world, seed, cleanlab):
            here.setdefault(figure, []).append(value)


def _result(found: dict[str, Measured], seeds: list[int], cleanlab: bool) -> Result:
    figures = {f"{world}.{name}": mean(values) for world, one in found.items() for name, values in one.items()}
    version = metadata.version("cleanlab") if cleanlab else "not installed"
    settings = {"gold": GOLD, "draws": DRAWS, "clinc150_items": ITEMS, "cleanlab": version, "worlds": list(found)}
    return Result(figures | _overall(found), settings, seeds)


def _overall(found: dict[str, Measured]) -> dict[str, float | bool]:
    """Over all worlds: who ranks better, and how often the intervals hold the true rate."""
    worlds = [one for one in found.values() if "auprc.without_gold" in one]
    overall: dict[str, float | bool] = {"worlds": len(worlds)}
    names = [name for name in worlds[0] if name.startswith(("auprc", "coverage", "rate_error"))]
    overall |= {f"all.{name}": mean(mean(one[name]) for one in worlds) for name in names}
    if "auprc.cleanlab" in worlds[0]:
        for ours in ("auprc.without_gold", "auprc.gold50"):
            overall[f"all.{ours}.above_cleanlab"] = sum(mean(one[ours]) > mean(one["auprc.cleanlab"]) for one in worlds)
    return overall


def _worlds(name: str, seed: int, found: dict[str, Measured]) -> Iterator[World]:
    path, text, label = SETS[name]
    items = load_items(str(Path(os.environ["DISTRUST_DATA"]) / path), text=text)
    if name == "clinc150":
        drawn = torch.randperm(len(items), generator=torch.Generator().manual_seed(seed))[:ITEMS]
        items = items.select(drawn.sort().values)
    said = items.columns["chatgpt_label"] if name == "r52" else []
    space = LabelSpace(tuple(sorted({*items.columns[label], *said})))
    truth = torch.tensor([space.index(one) for one in items.columns[label]])
    items = Items(items.ids, items.inputs)
    texts = numbers_of(items)
    with tempfile.TemporaryDirectory() as folder, closing(audit_run(Path(folder), space, items, seed)) as work:
        if name == "r52":
            started = process_time()
            claims = torch.tensor([space.index(one) for one in said])
            yield World(name, claims, truth, out_of_fold(work, items, claims), texts)
            found[name].setdefault("seconds", []).append(process_time() - started)
            return
        clean = out_of_fold(work, items, truth)
        for rate in RATES[name]:
            for kind, claims in (
                ("symmetric", symmetric(truth, len(space), rate, seed)),
                ("pairwise", pairwise(truth, len(space), rate, seed)),
                ("instance", instance_dependent(truth, len(space), rate, seed, clean)),
            ):
                yield World(f"{name}.{kind}{rate:.1f}", claims, truth, out_of_fold(work, items, claims), texts)


def _measured(world: World, seed: int, cleanlab: bool) -> Iterator[tuple[str, float]]:
    """Figures of one world by name, those with gold once a draw."""
    everything = torch.ones(len(world.claims), dtype=torch.bool)
    rate = float(world.wrong.double().mean())
    yield "rate", rate
    alone = estimate(world.chances, world.claims, texts=world.texts)
    yield "auprc.without_gold", _auprc(world, alone.wrong, everything)
    yield "rate.without_gold", alone.rate.value
    yield "rate_error.without_gold", abs(alone.rate.value - rate)
    yield "coverage.without_gold", float(_holds(alone.rate, rate))
    if cleanlab:
        yield from _cleanlab(world, rate)
    for draw in range(DRAWS):
        order = torch.randperm(len(world.claims), generator=torch.Generator().manual_seed(1000 * seed + draw))
        rows = order[:GOLD]
        noise = estimate(world.chances, world.claims, rows, world.truth[rows], world.texts)
        judged = everything.index_fill(0, rows, False)
        yield "auprc.gold50", _auprc(world, noise.wrong, judged)
        yield "rate_error.gold50", abs(noise.rate.value - rate)
        yield "rate_error.gold50_alone", abs(float(world.wrong[rows].double().mean()) - rate)
        yield "coverage.gold50", float(_holds(noise.rate, rate))
        yield "width.gold50", noise.rate.high - noise.rate.low
        yield "brier.gold50", float((noise.wrong - world.wrong.double())[judged].square().mean())
        yield "matrix_coverage.gold50", _matrix_coverage(world, noise)
        yield "suggested_right.gold50", float((noise.suggested == world.truth)[judged].double().mean())
        more = torch.tensor(next_to_label(noise, world.claims, MORE, rows, world.texts))
        for name, chosen in (("chosen", more), ("random", order[GOLD : GOLD + MORE])):
            both = torch.cat([rows, chosen])
            after = estimate(world.chances, world.claims, both, world.truth[both], world.texts)
            left = everything.index_fill(0, torch.cat([rows, more, order[GOLD : GOLD + MORE]]), False)
            yield f"auprc.gold75_{name}", _auprc(world, after.wrong, left)
            yield f"suggested_right.gold75_{name}", float((after.suggested == world.truth)[left].double().mean())


def _cleanlab(world: World, rate: float) -> Iterator[tuple[str, float]]:
    """cleanlab's ranking by its default score and by the normalised margin, and its noise rate."""
    ranking, counting = importlib.import_module("cleanlab.rank"), importlib.import_module("cleanlab.count")
    everything = torch.ones(len(world.claims), dtype=torch.bool)
    chances = world.chances.double()
    claims, chances = world.claims.numpy(), (chances / chances.sum(-1, keepdim=True)).numpy()
    for figure, method in (("auprc.cleanlab", "self_confidence"), ("auprc.cleanlab_margin", "normalized_margin")):
        quality = torch.from_numpy(ranking.get_label_quality_scores(claims, chances, method=method))
        yield figure, _auprc(world, 1 - quality, everything)
    if len(world.claims.unique()) == chances.shape[1]:  # it refuses a class that nobody claims
        yield "rate_error.cleanlab", abs(1 - float(counting.estimate_joint(claims, chances).trace()) - rate)


def _auprc(world: World, score: Tensor, judged: Tensor) -> float:
    return float(average_precision_score(world.wrong[judged].numpy(), score[judged].numpy()))


def _holds(interval: Interval, value: float) -> bool:
    return interval.low <= value <= interval.high


def _matrix_coverage(world: World, noise: Noise) -> float:
    """How often, weighed by claims, the interval of P(right | claimed) holds the share that is right."""
    classes = len(noise.claimed)
    right = torch.zeros(classes, dtype=torch.double).index_add_(0, world.claims, (~world.wrong).double())
    share = right / noise.claimed.clamp(min=1)
    held = (noise.low.diagonal() <= share) & (share <= noise.high.diagonal())
    return float((held * noise.claimed).sum() / noise.claimed.sum())
