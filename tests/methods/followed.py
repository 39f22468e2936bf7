"""Students that follow a language model: as a method teaches them, and by whole logits in double precision."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from distrust.data import Items
from distrust.methods import METHODS
from distrust.methods.language import text_seeds
from distrust.students.sampling import complete
from tests.methods import tutored
from tests.methods.test_conformance import weights

LOOP = tutored.LOOP.model_copy(update={"num_train_epochs": 3, "max_grad_norm": None})
WHOLE = LOOP.model_copy(update={"per_device_train_batch_size": 48})
OFTEN = {"start": 1.0, "capacity": 20}


def learnt(name: str, folder: Path, loop: object = LOOP, **options: object) -> dict[str, Tensor]:
    with tutored.opened(folder, tutored.teacher(), loop) as run:  # type: ignore[arg-type]
        return weights(METHODS[name].run(run, METHODS[name].options(**options)))


Naive = Callable[[Tensor, Tensor, int], Tensor]  # log-probabilities of student and teacher (n, V), and the step, to a loss


def naive(loss: Naive, told: Items | None = None, steps: int = 3, own: bool = False) -> dict[str, Tensor]:
    """A student after some steps on all items, by whole logits in double precision; `own`: on what it then writes itself."""
    told, student, teacher = told or tutored.pool(), tutored.student(), tutored.teacher().model.module
    every = torch.arange(len(told))
    read = student.encode_told(told, told.columns["completion"])
    optimiser = torch.optim.AdamW(student.module.parameters(), 5e-3, weight_decay=0.0)
    for step in range(steps):
        if own:
            written = complete(student, student.encode(told).batch(every), text_seeds(0, step, every), 1.0)
            read = student.reader.continued(told, written)
        batch = read.batch(every)
        labels = batch.pop("labels")
        counted = labels >= 0
        q, p = (model(**batch).logits[:, -labels.shape[1] :][counted].double() for model in (student.module, teacher))
        loss(q, p.detach(), step).backward()
        optimiser.param_groups[0]["lr"] = 5e-3 * (1 - step / steps)
        optimiser.step()
        optimiser.zero_grad()
    return weights(student)


def close(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> None:
    """Where a gradient is all but zero, Adam makes a move of rounding: single numbers may differ a little more."""
    for name, value in wanted.items():
        apart = (found[name] - value).abs()
        assert float(apart.mean()) < 2e-6 and float(apart.max()) < 5e-4, name
