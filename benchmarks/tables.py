"""Label tables in nine worlds: is `auto` as good as the best single estimator of each, and are its chances true?

Each table is fitted on with 0, 10, 25, 50 and 200 gold labels and judged on the items that no draw of gold holds. The
estimators of cleanlab and snorkel are measured beside where they can be imported. Figures are means over five seeds:
`<world>.<estimator>` (200 gold) is accuracy, `.ece` and `.log_loss` beside it; `<world>.gold10.<estimator>` with ten.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from importlib import metadata
from statistics import fmean

import numpy as np
import torch
from torch import Tensor

from benchmarks._tables_worlds import WORLDS, World
from benchmarks.harness import Result
from distrust.evaluate.scores import BINS, FLOOR, bin_of
from distrust.trust import ESTIMATORS, Auto, Stacking, Table

GOLD = (200, 50, 25, 10, 0)
Scores = dict[str, float]


def run(quick: bool) -> Result:
    """Five seeds that no choice was made on; `quick` one that choices were made on."""
    torch.set_num_threads(1)
    seeds = [0] if quick else [30, 31, 32, 33, 34]
    worlds = [name for name in WORLDS if name != "youtube_spam" or os.environ.get("DISTRUST_DATA")]
    found: dict[str, list[float]] = {}
    seconds: list[float] = []
    for name in worlds:
        for seed in seeds:
            _measure(name, WORLDS[name](seed), seed, found, seconds)
    figures: dict[str, float | bool] = {name: fmean(values) for name, values in found.items()}
    for name in worlds:
        figures[f"{name}.auto.worst_seed"] = min(found[f"{name}.auto"])
    for gold in GOLD:
        figures |= _gaps(figures, worlds, gold)
    figures["auto_seconds"] = max(seconds)  # of one fit with 200 gold
    extras = {name: metadata.version(name) for name in ("cleanlab", "snorkel") if f"adversary.{name}" in found}
    settings = {"worlds": worlds, "items": 10_000, "gold": list(GOLD), "extras": extras or "not installed"}
    return Result(dict(sorted(figures.items())), settings, seeds)


def _measure(name: str, world: World, seed: int, found: dict[str, list[float]], seconds: list[float]) -> None:
    """All estimators on one table, and the best teacher there."""
    order = torch.randperm(len(world.labels), generator=torch.Generator().manual_seed(1000 + seed))
    held = order[max(GOLD) :]
    labels, claims = world.labels[held], world.claims[:, held]

    def keep(key: str, scores: Mapping[str, float]) -> None:
        for what, value in scores.items():
            found.setdefault(f"{name}.{key}{what}", []).append(value)

    for gold in GOLD:
        part = f"gold{gold}." if gold != max(GOLD) else ""
        given = Table(world.claims, world.classes, order[:gold], world.labels[order[:gold]], world.known)
        start = time.perf_counter()
        auto = Auto().fit(given)
        if gold == max(GOLD):
            seconds.append(time.perf_counter() - start)
        keep(f"{part}auto", _scores(auto.posterior(claims), labels))
        for one, rule in ESTIMATORS.items():
            if one == "auto" or (rule.needs_gold and not gold) or (one == "ebcc" and gold != max(GOLD)):
                continue  # EBCC is slow, and auto does without it: once is enough
            fitted = auto.parts[auto.names.index(one)] if one in auto.names else rule.fit(given)
            keep(f"{part}{one}", _scores(fitted.posterior(claims), labels))
        if gold == max(GOLD):
            right = (world.claims[:, held] == labels).double().sum(-1) / (claims >= 0).sum(-1)
            if bool((claims >= 0).all()):
                keep("best_teacher", {"": float(right.max())})
            keep("cleanlab", _cleanlab(given, held, labels))
            keep("snorkel", _snorkel(given, held, labels))


def _scores(chances: Tensor, labels: Tensor) -> Scores:
    """Accuracy (named ""), calibration error and log-loss: (B, C) and (B,)."""
    confidence, predicted = chances.double().max(-1)
    true = chances.double().gather(-1, labels.unsqueeze(-1)).clamp(min=FLOOR)
    right = (predicted == labels).double()
    return {"": float(right.mean()), ".ece": _ece(confidence, right), ".log_loss": float(-true.log().mean())}


def _ece(confidence: Tensor, right: Tensor) -> float:
    gaps = torch.zeros(BINS, dtype=torch.float64).index_add_(0, bin_of(confidence, BINS), confidence - right)
    return float(gaps.abs().sum()) / len(right)


def _cleanlab(given: Table, held: Tensor, labels: Tensor) -> Scores:
    """CROWDLAB's consensus; stacking's posterior stands for the classifier it wants, since there is nothing to read."""
    try:
        from cleanlab.multiannotator import get_label_quality_multiannotator
    except ImportError:
        return {}
    votes = given.claims.T.double().numpy()
    votes[votes < 0] = np.nan
    spoke = ~np.isnan(votes).all(1)
    chances = Stacking().fit(given).posterior(given.claims).numpy()
    told = get_label_quality_multiannotator(
        votes[spoke], chances[spoke], return_detailed_quality=False, return_annotator_stats=False, verbose=False
    )["label_quality"]
    predicted, sure = chances.argmax(1), chances.max(1)  # of items that nobody spoke of, the classifier's
    predicted[spoke] = told["consensus_label"].to_numpy().astype(int)
    sure[spoke] = told["consensus_quality_score"].to_numpy()
    right = (torch.from_numpy(predicted)[held] == labels).double()
    return {"": float(right.mean()), ".ece": _ece(torch.from_numpy(sure)[held], right)}


def _snorkel(given: Table, held: Tensor, labels: Tensor) -> Scores:
    """snorkel's LabelModel, which takes no gold; it needs three teachers."""
    try:
        from snorkel.labeling.model import LabelModel
    except ImportError:
        return {}
    model = LabelModel(cardinality=given.classes, verbose=False)
    model.fit(given.claims.T.numpy(), n_epochs=500, seed=0, progress_bar=False)
    return _scores(torch.from_numpy(model.predict_proba(given.claims.T.numpy()))[held], labels)


def _gaps(figures: Mapping[str, float | bool], worlds: list[str], gold: int) -> dict[str, float]:
    """How far auto lies below the best single estimator of a world, at the most and on average: points of accuracy."""
    part = f"gold{gold}." if gold != max(GOLD) else ""
    single = [one for one in ESTIMATORS if one != "auto"]
    gaps = []
    for name in worlds:
        best = max(figures.get(f"{name}.{part}{one}", 0.0) for one in single)
        gaps.append(100 * (best - figures[f"{name}.{part}auto"]))
    return {f"worst_gap.gold{gold}": max(gaps), f"mean_gap.gold{gold}": fmean(gaps)}
