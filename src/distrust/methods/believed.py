"""Several teachers heard together: what they said, how softly, and what their claims amount to by a fitted trust.

Knows runs, gold and estimators. Does not know what a method does with it. The fitted trust stays in the run's folder as
`trust.json`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from distrust.data import Items, concatenate
from distrust.errors import RunError
from distrust.evaluate import final_claims
from distrust.evidence import Evidence, Stacked, join, stack
from distrust.processes import rank
from distrust.run import Run
from distrust.trust import Blend, Estimator, Fitted, Table, Trust, gold_key, save_trust


@dataclass(frozen=True)
class Asked:
    """What all teachers say of the pool, and of gold items outside it: of classes, or texts where answers are open."""

    items: Items  # N: the pool, then the others
    evidence: tuple[Evidence, ...]  # M, each on the items it was asked about


@dataclass(frozen=True)
class Heard(Asked):
    """The same, of classes."""

    stacked: Stacked  # on the items, in their order


def asked(run: Run, *purposes: str) -> Asked:
    """Ask all teachers about the pool, and about the gold items outside it that serve any of the purposes."""
    inside = set(run.pool.ids)
    wanted = {item for purpose in purposes for item in run.gold.part(purpose).ids}
    outside = [item for item in run.gold.ids if item in wanted and item not in inside]
    if not outside:
        return Asked(run.pool, tuple(run.evidence()))
    more = run.gold_items.select(run.gold_items.rows(outside))
    evidence = tuple(join([run.ask(teacher, run.pool), run.ask(teacher, more)]) for teacher in run.teachers)
    return Asked(concatenate(run.pool, more), evidence)


def heard(run: Run, *purposes: str) -> Heard:
    """`asked`, put beside each other.

    Raises:
        RunError: no teacher, or open answers.
    """
    pool = run.stacked()  # refuses before anybody is asked
    said = asked(run, *purposes)
    whole = pool if said.items is run.pool else stack(said.evidence, run.space, said.items.ids)
    return Heard(said.items, said.evidence, whole)


def posterior(run: Run, stacked: Stacked, name: str, estimator: Estimator, keep: bool = True) -> Tensor:
    """P(class | claims) (N, C) by trust fitted on everything stacked and on the gold that serves trust.

    Args:
        stacked: N items, all gold items of the purpose `trust` among them.
        name: of the estimator, for `trust.json`.
        keep: whether this is the run's trust, rather than what it might have been.

    Raises:
        RunError: the estimator needs gold and a teacher claims nothing of any gold item.
    """
    part = run.gold.part("trust")
    row_of = {item: row for row, item in enumerate(stacked.ids)}
    rows = torch.tensor([row_of[item] for item in part.ids], dtype=torch.long)
    claims, soft = final_claims(stacked), _stated(stacked)
    if estimator.needs_gold:
        for source, said in zip(stacked.sources, claims[:, rows], strict=True):
            if not bool((said >= 0).any()):
                raise RunError(f"{source} claims nothing about any gold item, so nothing is known of it; use trust: alike.")
    fitted = estimator.fit(Table(claims, len(run.space), rows, part.labels, stacked.known, soft, stacked.sources))
    if keep:
        _keep(run, name, fitted, part.ids)
    return fitted.posterior(claims, soft).float()


def softened(stacked: Stacked, temperature: float) -> Tensor:
    """Probabilities at a temperature: (M, N, C). Softmax(log p / T) is softmax(z / T) for any logits z of p."""
    if temperature == 1.0:
        return stacked.probabilities
    if stacked.logits is not None:
        soft = (stacked.logits / temperature).softmax(-1)
        return torch.where(stacked.answered.unsqueeze(-1), soft, torch.zeros_like(soft))
    powered = stacked.probabilities ** (1 / temperature)
    return powered / powered.sum(-1, keepdim=True).clamp(min=torch.finfo(powered.dtype).tiny)


def _stated(stacked: Stacked) -> Tensor | None:
    """The teachers' distributions (M, N, C), where anybody stated more than a bare claim."""
    return None if bool((stacked.probabilities.amax(-1) >= 1)[stacked.answered].all()) else stacked.probabilities


def _keep(run: Run, name: str, fitted: Fitted, gold: tuple[str, ...]) -> None:
    """Leave the fitted trust in the run's folder, and say in the report what `auto` chose and why."""
    if isinstance(fitted, Blend):
        run.note(fitted.why)
    if rank() == 0:
        teachers = tuple((teacher.name, teacher.fingerprint) for teacher in run.teachers)
        found = Trust(name, fitted, teachers, run.space.names, len(gold), gold_key(gold))
        save_trust(found, run.folder / "trust.json")
