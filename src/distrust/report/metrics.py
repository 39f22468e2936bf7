"""From facts to figures: everything a report states, as plain JSON. `docs/metrics.md` explains every key.

Knows what is worth a figure and how the student is compared. Knows nothing of how a page looks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from distrust import __version__
from distrust.evaluate import Bin, Interval, Judgement, reliability, score
from distrust.evidence import Evidence
from distrust.labels import LabelSpace
from distrust.report.belief import by_class, what_if
from distrust.report.buying import buying
from distrust.report.facts import Facts, Spending
from distrust.report.panel import Panel, judging_gold, panel
from distrust.report.text import plain
from distrust.report.texts import text_differences, text_scores
from distrust.report.verdict import key, sentence, verdicts
from distrust.report.worth import worth


def metrics(facts: Facts) -> dict[str, Any]:
    """The figures of a run: JSON values only, null for what is unknown or undefined.

    Raises:
        DataError: predictions or labels that do not fit the test items.
    """
    part = judging_gold(facts.gold)
    pool = panel(facts.evidence, facts.space, facts.pool.ids)
    gold = panel(facts.gold_evidence or facts.evidence, facts.space, part.ids, part.labels)
    test = _test_panel(facts)
    scores = _scores(facts)
    found: dict[str, Any] = {
        "distrust": __version__,
        "title": facts.title,
        "method": {"name": facts.method, "options": facts.options},
        "labels": {"classes": facts.space.names, "without_gold": facts.gold.missing_classes() if facts.gold else None}
        if not facts.open_answers
        else None,  # answers are open
        "items": {
            "pool": len(facts.pool),
            "gold": len(facts.gold) if facts.gold else 0,
            "judging": len(part),
            "test": len(facts.test) if facts.test else 0,
        },
        "test": _test(facts, scores, test),
        "teachers": _teachers(facts, pool, gold),
        "texts": text_differences(facts),
        "sampled": None if facts.texts is None else facts.texts.sampled,
        "vote": _vote(pool, gold),
        "agreement": _matrix(pool, pool.agreement) if pool else None,
        "error_correlation": _matrix(gold, gold.error_correlation) if gold else None,
        "targets": _targets(facts),
        "weights": by_class(facts, pool),
        "what_if": what_if(facts),
        "verdicts": verdicts(facts, {name: one["accuracy"] for name, one in scores.items()}, gold, test),
        "worth": worth(facts),
        "signals": facts.signals,
        "choice": facts.choice,
        "buying": buying(facts),
        "spending": _spending(facts),
        "training": {fit: {"rows": len(rows), "last": rows[-1]} for fit, rows in training(facts).items()},
        "warnings": facts.warnings,
        "notes": facts.notes,
        "simulated": facts.simulated,
        "environment": facts.environment,
    }
    found = plain(found)
    return {"verdict": sentence(found), **found}


def training(facts: Facts) -> dict[str, list[dict[str, float]]]:
    """Numbers logged while fitting, by fit: rows in order, each with what is a number in it."""
    fits: dict[str, list[dict[str, float]]] = {}
    for row in facts.history:
        name = str(row.get("fit", row.get("stage", "student")))
        numbers = {k: float(v) for k, v in row.items() if isinstance(v, int | float) and not isinstance(v, bool)}
        if numbers:
            fits.setdefault(name, []).append(numbers)
    return fits


def believed(facts: Facts, claims: Tensor) -> Tensor:
    """Share of the targets' mass that went with each teacher's claim, over items it answered: (M, B) to (M,).

    Items count with their target weight; NaN where a teacher answered no item that the student learned from.
    """
    assert facts.targets is not None
    told = facts.targets.sum(-1)  # (B,) 0 where the item was left out
    weight = told if facts.target_weight is None else facts.target_weight * (told > 0)
    mass = facts.targets.gather(-1, claims.clamp(min=0).T).T / told.clamp(min=1e-12)  # (M, B)
    counted = weight * (claims >= 0)
    return (mass * counted).sum(-1) / counted.sum(-1)


def _test_panel(facts: Facts) -> Panel | None:
    if facts.test is None or facts.test_labels is None:
        return None
    return panel(facts.test_evidence, facts.space, facts.test.ids, facts.test_labels)


def _scores(facts: Facts) -> dict[str, dict[str, Interval]]:
    if facts.test_labels is None:
        return {}
    if facts.texts is not None:
        return {name: text_scores(facts, name) for name in facts.predictions}
    return {name: score(chance, facts.test_labels) for name, chance in facts.predictions.items()}


def _test(facts: Facts, scores: Mapping[str, dict[str, Interval]], test: Panel | None) -> dict[str, Any] | None:
    if facts.test_labels is None:
        return None
    scored = {key(name): {**scores[name], "bins": _bins(facts, chance)} for name, chance in facts.predictions.items()}
    judged = () if test is None else test.judgements
    teachers = {one.source: {"coverage": one.coverage, **_judged(one, _classes(facts))} for one in judged}
    return {**scored, "teachers": teachers, "vote": _vote(test, test)}


def _bins(facts: Facts, chance: Tensor) -> Sequence[Bin]:
    """The bars of a predictor's reliability diagram, chance (N, C); none where a single text says nothing of confidence."""
    assert facts.test_labels is not None
    sure = facts.texts is not None and bool((chance.amax(-1) >= 1).all())
    return () if sure else reliability(chance.amax(-1), chance.argmax(-1) == facts.test_labels)


def _judged(one: Judgement | None, space: LabelSpace | None) -> dict[str, Any]:
    """What gold says of a teacher; None: nothing."""
    return {
        "judged": one.judged if one else 0,
        "accuracy": one.accuracy if one else None,
        "ece": one.ece if one else None,
        "bins": one.bins if one else (),
        "confusions": _confusions(one.confusion, space) if one else (),
    }


def _confusions(table: Tensor, space: LabelSpace | None) -> list[dict[str, Any]]:
    """Every pair of gold and claimed class that occurs, mistakes first and the most frequent first."""
    if space is None:
        return []
    gold_total = table.sum(-1).tolist()
    cells = [(int(table[g, c]), g, c) for g, c in table.nonzero().tolist()]
    cells.sort(key=lambda cell: (cell[1] == cell[2], -cell[0], cell[1:]))
    return [{"gold": space.names[g], "claimed": space.names[c], "items": n, "share": n / gold_total[g]} for n, g, c in cells]


def _teachers(facts: Facts, pool: Panel | None, gold: Panel | None) -> dict[str, Any]:
    if pool is None:
        return {}
    shares = believed(facts, pool.claims).tolist() if facts.targets is not None else [None] * len(pool.names)
    judgements = {one.source: one for one in gold.judgements} if gold else {}
    costs = {one.teacher: one for one in facts.spending}
    return {
        one.source: {
            "kind": facts.kinds.get(one.source),
            "knows": _knows(evidence, facts),
            "items": one.items,
            "asked": len(evidence),
            "answered": one.answered,
            "coverage": one.coverage,
            **_judged(judgements.get(one.source), _classes(facts)),
            "believed": share,
            "notes": evidence.notes,
            "cost": _cost(costs[one.source]) if one.source in costs else None,
        }
        for one, share, evidence in zip(pool.judgements, shares, facts.evidence, strict=True)
    }


def _classes(facts: Facts) -> LabelSpace | None:
    """The task's classes; None where answers are open."""
    return None if facts.open_answers else facts.space


def _knows(evidence: Evidence, facts: Facts) -> int | None:
    if facts.open_answers or not isinstance(evidence.space, LabelSpace):
        return None
    return int(evidence.space.known_in(facts.space).sum())


def _vote(asked: Panel | None, judged: Panel | None) -> dict[str, Any] | None:
    if asked is None or len(asked.names) < 2:
        return None
    return {
        "accuracy": judged.vote_accuracy if judged else None,
        "coverage": float(asked.heard.double().mean()),
        "judged": int(judged.voted.sum()) if judged else 0,
    }


def _matrix(judged: Panel, values: Tensor) -> dict[str, Any]:
    return {"teachers": judged.names, "values": values}


def _targets(facts: Facts) -> dict[str, Any] | None:
    if facts.targets is None:
        return None
    told = facts.targets.sum(-1) > 0
    weight = torch.ones(len(told)) if facts.target_weight is None else facts.target_weight
    used = told & (weight > 0)
    sure = facts.targets[used].amax(-1) if used.any() else torch.zeros(0)
    return {
        "items": int(used.sum()),
        "left_out": int((~used).sum()),
        "mean_weight": float(weight[used].double().mean()),
        "mean_top": float(sure.double().mean()),
    }


def _cost(one: Spending) -> dict[str, Any]:
    return {
        "calls": one.calls,
        "prompt_tokens": one.prompt_tokens,
        "completion_tokens": one.completion_tokens,
        "money": one.money,
        "unknown_outcome": one.unknown_outcome,
        "failed": one.failed,
        "ended": one.ended,
    }


def _spending(facts: Facts) -> dict[str, Any]:
    costs: Mapping[str, dict[str, Any]] = {one.teacher: _cost(one) for one in facts.spending}
    counted = ("calls", "prompt_tokens", "completion_tokens", "unknown_outcome", "failed")
    asked = dict.fromkeys([*(one.source for one in facts.evidence), *costs])  # who was not asked has cost nothing
    prices = [costs[name]["money"] if name in costs else None for name in asked]
    known = [price for price in prices if price is not None]
    total: dict[str, Any] = {name: sum(cost[name] for cost in costs.values()) for name in counted}
    total["money"] = sum(known) if len(known) == len(prices) else None  # one unknown makes it unknown
    total["money_known"] = sum(known)
    return {"total": total, "teachers": costs}
