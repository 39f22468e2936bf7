"""A panel of real LLMs on five question sets, open answers: `auto` (`trust.panel`) beside a conditional logit on gold.

Ten cells: each set with all teachers and without the GPT-4 ones. Five splits into gold and the rest; accuracy, log-loss,
Brier and ECE on the rest, over an item's candidates and "none of these". Development used split seeds 0 to 4 of GSM8K,
date and StrategyQA (and of sports, no cell). A first closing run (seeds 10 to 14, all cells) found the pool's accuracies
upside down on AQuA, so AQuA joined development; a second one (seeds 20 to 24) was of the logit that begins with the pool,
alone; the figures are of seeds 30 to 34.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import torch
from scipy import stats

from benchmarks._panel_data import SETS, Cell, read_cells
from benchmarks.harness import Result, needs_data
from distrust.trust.panel import panel
from distrust.trust.panel_asking import plan_asking
from distrust.trust.panel_logit import conditional_logit
from distrust.trust.panel_text import read_texts

SEEDS = (30, 31, 32, 33, 34)
SIZES, PILOT, SHARES = (25, 50, 100, 200), 100, (0.1, 0.25, 0.5)
MEASURES = ("accuracy", "log_loss", "brier")
Scores = dict[tuple[str, int, int, str], np.ndarray]  # (cell, gold, seed, method) to (3, items)


def run(quick: bool) -> Result:
    """All cells, sizes and splits; quick: 50 and 100 gold, two splits, no cost curve."""
    folder = needs_data("panel")
    torch.set_num_threads(1)
    seeds, sizes = (SEEDS[:2], (50, 100)) if quick else (SEEDS, SIZES)
    scores: Scores = {}
    figures: dict[str, float | bool] = {}
    shares: dict[tuple[str, float], list[tuple[float, float]]] = defaultdict(list)
    for cell in read_cells(folder / "faithful_cot_teachers"):
        hints = read_texts(cell.evidence).score(cell.evidence)
        _without_gold(cell, figures)
        for seed in seeds:
            order = np.random.default_rng(seed).permutation(len(cell.gold))
            for gold in sizes:
                found = _one_split(cell, hints, order[:gold], ablate=gold == PILOT)
                rest = order[gold:]
                scores |= {(cell.name, gold, seed, name): _scores(one[rest], cell, rest) for name, one in found.items()}
                if gold == PILOT and not quick and seed in seeds[:2]:
                    full = float(scores[cell.name, gold, seed, "auto"][0].mean())
                    _asking(cell, order, full, SHARES if seed == seeds[0] else (0.25,), shares)
        print(cell.name, flush=True)
    _tell(scores, sizes, seeds, figures)
    _tell_costs(shares, figures)
    settings = {
        "development": "seeds 0-4 of GSM8K, date, StrategyQA, sports and, after a closing run, AQuA",
        "interval": "95 %: a mean gain's over splits, a cell's over splits and items, quarter_calls_share's over cells",
    }
    return Result(figures, {**settings, "pilot of the cost curve": PILOT, "cells": len(SETS) * 2}, list(seeds))


def _one_split(cell: Cell, hints: torch.Tensor, shown: np.ndarray, ablate: bool) -> dict[str, np.ndarray]:
    """Chances (B, K) by every method; to ablate: also without the texts and without knowing who belongs together."""
    gold = torch.full_like(cell.gold, -1)
    gold[shown] = cell.gold[shown]
    evidence = cell.evidence
    found = {
        "logit": conditional_logit(evidence, gold).posterior(evidence).numpy(),
        "auto": panel(evidence, gold, cell.groups, hints).posterior(evidence, hints).numpy(),
    }
    if not ablate:
        return found
    return found | {
        "no_texts": panel(evidence, gold, cell.groups).posterior(evidence).numpy(),
        "no_groups": panel(evidence, gold, None, hints).posterior(evidence, hints).numpy(),
    }


def _scores(chances: np.ndarray, cell: Cell, rows: np.ndarray) -> np.ndarray:
    """Right, log-loss in nats, Brier and the leader's chance per item: (4, n). "None of these" leads nobody."""
    gold = cell.gold.numpy()[rows]
    at = np.arange(len(rows))
    leader = chances[:, :-1].argmax(1)
    wanted = np.zeros_like(chances)
    wanted[at, gold] = 1
    loss = -np.log(np.maximum(chances[at, gold], 1e-12))
    return np.stack([leader == gold, loss, ((chances - wanted) ** 2).sum(1), chances[at, leader]])


def _without_gold(cell: Cell, figures: dict[str, float | bool]) -> None:
    gold = cell.gold.numpy()
    said = torch.stack([one.claims[0] for one in cell.evidence]).numpy()  # (M, B)
    width = len(cell.evidence[0].space)
    counts = (said[:, :, None] == np.arange(width)).sum(0)
    auto = _scores(panel(cell.evidence, None, cell.groups).posterior(cell.evidence).numpy(), cell, np.arange(len(gold)))
    figures[f"{cell.name}.0.majority.accuracy"] = float((counts[:, :-1].argmax(1) == gold).mean())
    figures[f"{cell.name}.0.auto.accuracy"] = float(auto[0].mean())
    figures[f"{cell.name}.0.auto.log_loss"] = float(auto[1].mean())
    figures[f"{cell.name}.best_single.accuracy"] = float((said == gold).mean(1).max())
    figures[f"{cell.name}.gold_is_no_candidate"] = float((gold == width - 1).mean())


def _asking(
    cell: Cell,
    order: np.ndarray,
    full: float,
    wanted: tuple[float, ...],
    shares: dict[tuple[str, float], list[tuple[float, float]]],
) -> None:
    """Accuracy over the full panel's, and calls over all calls, on the items that are no pilot."""
    pilot, rest = order[:PILOT], order[PILOT:]
    on_pilot = [one.select(pilot.tolist()) for one in cell.evidence]
    on_rest = [one.select(rest.tolist()) for one in cell.evidence]
    for share in wanted:
        asking = plan_asking(on_pilot, cell.gold[pilot], share, cell.groups)
        chances, calls = asking.ask(on_rest)
        right = _scores(chances.numpy(), cell, rest)[0].mean()
        shares[cell.name, share].append((float(right) / full, float(calls.double().mean()) / len(cell.evidence)))


def _tell(scores: Scores, sizes: tuple[int, ...], seeds: tuple[int, ...], figures: dict[str, float | bool]) -> None:
    cells = list(dict.fromkeys(key[0] for key in scores))
    for cell, gold, seed, name in scores:
        if seed == seeds[0]:
            of = [scores[cell, gold, one, name] for one in seeds]
            for row, measure in enumerate(MEASURES):
                figures[f"{cell}.{gold}.{name}.{measure}"] = float(np.mean([one[row].mean() for one in of]))
            figures[f"{cell}.{gold}.{name}.ece"] = float(np.mean([_ece(one[0], one[3]) for one in of]))
    below: set[str] = set()
    for gold in sizes:
        better = np.zeros(2)
        gains = []
        for cell in cells:
            pairs = [scores[cell, gold, seed, "auto"] - scores[cell, gold, seed, "logit"] for seed in seeds]
            means = np.array([one[:3].mean(1) for one in pairs])  # (seeds, 3)
            gains.append(means[:, 0])
            low, high = _interval(pairs)
            figures[f"{cell}.{gold}.gain_over_logit"] = float(means[:, 0].mean())
            figures[f"{cell}.{gold}.gain_over_logit.low"], figures[f"{cell}.{gold}.gain_over_logit.high"] = low, high
            better += means[:, 1:].mean(0) < 0
            if high < 0 and gold in (50, 100):
                below.add(f"{cell}.{gold}")
        each = np.array(gains).mean(0)  # (seeds,) mean over cells
        spread = float(stats.t.ppf(0.975, len(each) - 1) * each.std(ddof=1) / np.sqrt(len(each)))
        figures[f"gold{gold}.mean_gain_over_logit"] = float(each.mean())
        figures[f"gold{gold}.mean_gain_over_logit.low"] = float(each.mean() - spread)
        figures[f"gold{gold}.mean_gain_over_logit.high"] = float(each.mean() + spread)
        figures[f"gold{gold}.cells_better_log_loss"], figures[f"gold{gold}.cells_better_brier"] = map(float, better)
        for name in ("logit", "auto", *(("no_texts", "no_groups") if gold == PILOT else ())):
            figures[f"gold{gold}.mean.{name}"] = float(
                np.mean([figures[f"{cell}.{gold}.{name}.accuracy"] for cell in cells])
            )
    for name in ("majority", "auto"):
        figures[f"gold0.mean.{name}"] = float(np.mean([figures[f"{cell}.0.{name}.accuracy"] for cell in cells]))
    figures["cells_below_logit"] = float(len(below))


def _interval(pairs: list[np.ndarray]) -> tuple[float, float]:
    """95 % interval of the paired gain over splits and items: splits drawn again, and items within each."""
    rng = np.random.default_rng(0)
    means = []
    for _ in range(1000):
        drawn = [pairs[one][0] for one in rng.integers(len(pairs), size=len(pairs))]
        means.append(np.mean([one[rng.integers(len(one), size=len(one))].mean() for one in drawn]))
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def _ece(right: np.ndarray, confidence: np.ndarray) -> float:
    place = np.minimum((confidence * 10).astype(int), 9)
    return float(sum(abs((right - confidence)[place == one].sum()) for one in range(10)) / len(right))


def _tell_costs(shares: dict[tuple[str, float], list[tuple[float, float]]], figures: dict[str, float | bool]) -> None:
    for share in SHARES:
        of = {cell: np.array(found) for (cell, wanted), found in shares.items() if wanted == share}
        for cell, found in of.items():
            figures[f"{cell}.calls{share}.accuracy_share"], figures[f"{cell}.calls{share}.calls_made"] = map(
                float, found.mean(0)
            )
        if of and share == 0.25:
            each = np.array([found[:, 0].mean() for found in of.values()])  # (cells,)
            spread = float(stats.t.ppf(0.975, len(each) - 1) * each.std(ddof=1) / np.sqrt(len(each)))
            figures["quarter_calls_share"] = float(each.mean())
            figures["quarter_calls_share.low"] = float(each.mean()) - spread
            figures["quarter_calls_share.high"] = float(each.mean()) + spread
        if of:
            figures[f"calls{share}.calls_made"] = float(np.mean([found[:, 1].mean() for found in of.values()]))
            figures[f"calls{share}.accuracy_share"] = float(np.mean([found[:, 0].mean() for found in of.values()]))
            figures[f"calls{share}.least_accuracy_share"] = float(min(found[:, 0].mean() for found in of.values()))
