"""A trial: one candidate carried out small on part of the gold, and judged on the rest, fold by fold, as durable stages.

Knows how to make a small run beside a run, which asks nobody. Knows nothing of which candidate wins.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from distrust.claimed import final
from distrust.data import REFERENCE, Items
from distrust.errors import DistrustError
from distrust.evaluate.texts import likeness
from distrust.evidence import Evidence
from distrust.files import fingerprint, read_json, write_json
from distrust.gold import Fold, Gold, Part
from distrust.methods.assisted import outcomes
from distrust.methods.auto_suited import Candidate
from distrust.methods.believed import Asked
from distrust.processes import mix, rank
from distrust.recipe import Train
from distrust.run import Run
from distrust.teachers import Teacher

LEAST_STEPS = 300  # of a trial's students, as `gold-only` has at least by default


TEMPERATURES = (0.25, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0, 6.0)  # that make students of different sureness comparable
LEAST = 1e-6  # of a probability inside a log


@dataclass(frozen=True)
class Outcome:
    """What a candidate's students say of the same n held-out gold items, fold after fold."""

    right: Tensor  # (n,) double: 1 right, 0 wrong; of open answers that are texts, how alike they are to gold's
    likelihood: Tensor | None  # (n,) log P(gold) in nats, at a temperature of the other folds; None where answers are open


class Remembered:
    """A teacher that only says again what it has said of some items. Passes with dropout are those of all items."""

    keeps_answers = True

    def __init__(self, run: Run, teacher: Teacher, said: Evidence, items: Items) -> None:
        self.name, self.space, self.fingerprint = teacher.name, teacher.space, teacher.fingerprint
        self._run, self._teacher, self._said, self._items = run, teacher, said, items
        if hasattr(teacher, "passes"):
            self.passes = self._passes

    @property
    def heads(self) -> Mapping[str, nn.Module]:
        """Those of the teacher, frozen copies; none where it has none."""
        heads: Mapping[str, nn.Module] = getattr(self._teacher, "heads", {})
        return heads

    def ask(self, items: Items) -> Evidence:
        """What it said of these items, all of which it was asked about."""
        return self._said.on(items.ids)

    def _passes(self, items: Items, passes: int, seed: int) -> Evidence:
        return self._run.passes(self._teacher, self._items, passes).on(items.ids)


@dataclass(frozen=True)
class Bench:
    """What all trials of a run share."""

    run: Run
    heard: Asked  # all teachers, on the pool and on gold outside it
    pool: Items  # the items to learn from, none of them gold
    folds: list[Fold]
    options: Train
    key: str  # of all that is the same in every trial: teachers, untrained student, loop, seed


def bench(run: Run, heard: Asked, folds: list[Fold], items: int, epochs: float) -> Bench:
    """Draw what trials learn from.

    Args:
        items: of the pool at most, gold aside.
        epochs: share of the recipe's; more where that would be fewer than `LEAST_STEPS` steps and the recipe trains longer,
            since a student that is cut short says nothing of its method, and `gold-only` is never cut short.
    """
    vouched = set(run.gold.ids)
    rows = [row for row, item in enumerate(run.pool.ids) if item not in vouched]
    drawn = torch.randperm(len(rows), generator=torch.Generator().manual_seed(mix(run.seed, 11)))[:items]
    some = run.pool.select([rows[place] for place in sorted(drawn.tolist())])
    whole, batch = run.options.num_train_epochs, run.options.per_device_train_batch_size
    least = min(LEAST_STEPS, whole * math.ceil(len(run.pool) / batch)) / math.ceil(max(1, len(some)) / batch)
    fewer = run.options.model_copy(update={"num_train_epochs": math.ceil(max(epochs * whole, least))})
    asked, start = [teacher.fingerprint for teacher in run.teachers], run.new_student(run.seed).key
    key = fingerprint(asked, start, fewer.model_dump(), run.seed, some.key, run.validated_on)
    return Bench(run, heard, some, folds, fewer, key)


def tried(here: Bench, candidate: Candidate) -> Outcome | str:
    """What became of the candidate on all folds, or the sentence by which it refused."""
    from distrust.methods import find

    _, options = find(candidate.name, dict(candidate.options))
    right, tempered = [], []
    for turn, fold in enumerate(here.folds):
        gold = [(part.ids, part.labels.tolist(), *_texts(here.run, part)) for part in (fold.fit, fold.held)]
        key = fingerprint("trial", candidate.name, options.model_dump(), here.key, gold)

        def build(folder: Path, fold: Fold = fold) -> None:
            found = _carried_out(here, candidate, fold, folder)
            if rank() == 0:
                write_json(folder / "trial.json", found)

        name = f"trial-{candidate.name}-{turn + 1}"
        found = read_json(here.run.stages.done(name, key, build, everywhere=True) / "trial.json")
        if "refused" in found:
            return str(found["refused"])
        right.append(torch.tensor(found["right"], dtype=torch.float64))
        if "tempered" in found:
            tempered.append(torch.tensor(found["tempered"], dtype=torch.float64))
    return Outcome(torch.cat(right), crossed(tempered) if tempered else None)


def crossed(tempered: list[Tensor]) -> Tensor:
    """Each fold's log-likelihoods (n_k, T) at the temperature that is best for the other folds: (n,)."""
    sums = torch.stack([one.sum(0) for one in tempered])  # (K, T)
    chosen = (sums.sum(0) - sums).argmax(-1).tolist()
    return torch.cat([one[:, place] for one, place in zip(tempered, chosen, strict=True)])


def tempered(chances: Tensor, labels: Tensor) -> Tensor:
    """log P(label) of distributions (n, C) at every temperature, labels (n,) long: (n, T)."""
    logs = chances.double().clamp(min=LEAST).log()
    return torch.stack(
        [(logs / one).log_softmax(-1).gather(-1, labels.unsqueeze(-1)).squeeze(-1) for one in TEMPERATURES], -1
    )


def _carried_out(here: Bench, candidate: Candidate, fold: Fold, folder: Path) -> dict[str, Any]:
    """The candidate's method on a small run beside this one, judged on the fold's held items."""
    from distrust.methods import find

    method, options = find(candidate.name, dict(candidate.options))
    run, everything = here.run, here.heard
    teachers = [
        Remembered(run, teacher, said, everything.items)
        for teacher, said in zip(run.teachers, everything.evidence, strict=True)
    ]
    gold = Gold(fold.fit.ids, fold.fit.labels, run.gold.space, seed=run.gold.seed)
    small = run.beside(folder / "run", pool=here.pool, teachers=teachers, gold=gold, options=here.options)
    if (progress := run.progress) is not None:
        small.progress = lambda task, *how: progress(f"trial of {candidate.name}: {task}", *how)
    try:
        student = method.run(small, options)
        return _judged(run, small.ask(student, _items(run, fold.held)), fold.held)
    except DistrustError as error:
        return {"refused": str(error)}
    finally:
        small.close()


def _texts(run: Run, part: Part) -> list[str]:
    """What gold says of some items where answers are open, since their labels say nothing then."""
    return [] if run.answers is None else list(_items(run, part).columns[REFERENCE])


def _items(run: Run, part: Part) -> Items:
    return run.gold_items.select(run.gold_items.rows(part.ids))


def _judged(run: Run, said: Evidence, held: Part) -> dict[str, Any]:
    """What a student says of held-out gold, beside gold."""
    if run.answers is None:
        chances = said.distribution()
        right = (chances.argmax(-1) == held.labels).double()
        return {"right": right.tolist(), "tempered": tempered(chances, held.labels).tolist()}
    items = _items(run, held)
    if run.answers.how.kind == "text":
        texts = [None if claim is None else claim.text for claim in final(said, items)]
        return {"right": likeness(texts, [[one] for one in items.columns[REFERENCE]], "rouge_l").tolist()}
    return {"right": outcomes(run, said, items).double().tolist()}
