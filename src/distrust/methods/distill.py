"""distill: learn from what the teachers say, mixed with gold. Hinton et al. 2015, and its label-noise correction.

`trust` names who says how far to believe whom: an estimator of `distrust.trust`, fitted on the teachers' claims and on
gold, whose posterior is the target. The fitted trust stays in the run's folder as `trust.json`.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor

from distrust import combine
from distrust.claimed import majority, told_by
from distrust.distillation import default_objective
from distrust.errors import RunError
from distrust.evaluate import final_claims
from distrust.evidence import Stacked, join, stack
from distrust.labelled import Labelled, from_targets
from distrust.processes import rank
from distrust.recipe import Strict
from distrust.run import Run
from distrust.students import Student
from distrust.trust import ESTIMATORS, Blend, Confusions, Estimator, Fitted, Table, Trust, gold_key, save_trust


class Distill(Strict):
    """Options of distill."""

    trust: Literal["alike", "auto", "majority", "dawid-skene", "ebcc", "confusions", "weighted-vote", "stacking"] = Field(
        "alike",
        description="`alike`: every teacher that answers; `confusions`: by each one's class confusions on gold; "
        "`auto`: blends or picks estimators by gold; or another estimator of docs/trust.md",
    )
    targets: Literal["soft", "hard"] = Field(
        "soft", description="`soft`: the combined distribution; `hard`: its most likely class (of teachers alike: the vote)"
    )
    temperature: float = Field(1.0, gt=0, description="softens teachers and student alike; the loss is scaled by its square")
    gold_weight: float = Field(1.0, ge=0, description="how many pool items a gold item counts as; 0: do not train on gold")
    shrinkage: float = Field(2.0, gt=0, description="of `confusions`: pseudo-counts per class against its gold")

    @model_validator(mode="after")
    def _temperature_softens_something(self) -> Distill:
        if self.temperature != 1 and (self.trust, self.targets) != ("alike", "soft"):
            raise ValueError(
                "temperature softens what teachers say: with trust other than `alike` or targets `hard` it must be 1"
            )
        return self


def distill(run: Run, options: Distill) -> Student:
    """Train on the teachers' combined targets and on gold. Raises RunError, before asking, without the gold it needs."""
    if run.answers is not None:
        told = run.with_gold(_texts(run, options), options.gold_weight)
        return run.fit("student", told, options=options)
    if _estimator(options).needs_gold and not len(run.gold.part("trust")):
        raise RunError(f"trust: {options.trust} is fitted on gold, and there is none for it; give gold, or set trust: auto.")
    stacked = run.stacked()
    told = run.with_gold(from_targets(run.pool, _targets(run, stacked, options)), options.gold_weight)
    return run.fit("student", told, default_objective(told, options.temperature), options)


def _texts(run: Run, options: Distill) -> Labelled:
    """What teachers who write are believed to: every one's text, weighted alike, or the text of the answer most give."""
    if options.trust != "alike" or options.temperature != 1:
        raise RunError(
            "Where answers are open, teachers are believed alike and nothing is softened: leave trust and temperature."
        )
    if not run.teachers:
        raise RunError("The method distill asks teachers and the recipe names none; name one, or use the method gold-only.")
    said = run.evidence()
    return majority(said, run.pool) if options.targets == "hard" else told_by(said, run.pool)


def _targets(run: Run, stacked: Stacked, options: Distill) -> Tensor:
    """What the teachers' claims amount to: targets (N, C), rows of zeros where nobody spoke."""
    if options.trust != "alike":
        posterior = _posterior(run, stacked, options)
        spoken = (final_claims(stacked) >= 0).any(0).unsqueeze(-1)
        return spoken * (_likeliest(posterior) if options.targets == "hard" else posterior)
    if options.targets == "hard":
        return combine.majority_vote(final_claims(stacked), len(run.space))
    softened = _soften(stacked, options.temperature)
    return combine.weighted_mean(softened, combine.uniform(stacked.answered), stacked.known)


def _posterior(run: Run, stacked: Stacked, options: Distill) -> Tensor:
    """P(class | claims) of every item (N, C), by trust fitted on the pool and on the gold that serves trust."""
    part = run.gold.part("trust")
    inside = set(stacked.ids)
    outside = [item for item in part.ids if item not in inside]
    both = stacked if not outside else _with(stacked, run, outside)
    row_of = {item: row for row, item in enumerate(both.ids)}
    rows = torch.tensor([row_of[item] for item in part.ids], dtype=torch.long)
    claims, soft = final_claims(both), _stated(both)
    estimator = _estimator(options)
    if estimator.needs_gold:
        for source, said in zip(both.sources, claims[:, rows], strict=True):
            if not bool((said >= 0).any()):
                raise RunError(f"{source} claims nothing about any gold item, so nothing is known of it; use trust: alike.")
    fitted = estimator.fit(Table(claims, len(run.space), rows, part.labels, both.known, soft, both.sources))
    _keep(run, options, fitted, part.ids)
    items = len(stacked.ids)
    return fitted.posterior(claims[:, :items], None if soft is None else soft[:, :items]).float()


def _estimator(options: Distill) -> Estimator:
    """The estimator that `trust` names; teachers alike need none, and the majority stands for them."""
    if options.trust == "confusions":
        return Confusions(options.shrinkage)
    return ESTIMATORS["majority" if options.trust == "alike" else options.trust]


def _with(stacked: Stacked, run: Run, ids: list[str]) -> Stacked:
    """The pool and gold items outside it, as one."""
    items = run.gold_items.select(run.gold_items.rows(ids))
    evidence = [join([run.ask(teacher, run.pool), run.ask(teacher, items)]) for teacher in run.teachers]
    return stack(evidence, run.space, [*stacked.ids, *ids])


def _stated(stacked: Stacked) -> Tensor | None:
    """The teachers' distributions (M, N, C), where anybody stated more than a bare claim."""
    return None if bool((stacked.probabilities.amax(-1) >= 1)[stacked.answered].all()) else stacked.probabilities


def _keep(run: Run, options: Distill, fitted: Fitted, gold: tuple[str, ...]) -> None:
    """Leave the fitted trust in the run's folder, and say in the report what `auto` chose and why."""
    if isinstance(fitted, Blend):
        run.note(fitted.why)
    if rank() == 0:
        teachers = tuple((teacher.name, teacher.fingerprint) for teacher in run.teachers)
        found = Trust(options.trust, fitted, teachers, run.space.names, len(gold), gold_key(gold))
        save_trust(found, run.folder / "trust.json")


def _likeliest(posterior: Tensor) -> Tensor:
    """One-hot of the likeliest class, the first of equals: (N, C) to (N, C)."""
    return torch.nn.functional.one_hot(posterior.argmax(-1), posterior.shape[-1]).to(posterior.dtype)


def _soften(stacked: Stacked, temperature: float) -> Tensor:
    """Probabilities at a temperature: (M, N, C). Softmax(log p / T) is softmax(z / T) for any logits z of p."""
    if temperature == 1.0:
        return stacked.probabilities
    if stacked.logits is not None:
        softened = (stacked.logits / temperature).softmax(-1)
        return torch.where(stacked.answered.unsqueeze(-1), softened, torch.zeros_like(softened))
    powered = stacked.probabilities ** (1 / temperature)
    return powered / powered.sum(-1, keepdim=True).clamp(min=torch.finfo(powered.dtype).tiny)
