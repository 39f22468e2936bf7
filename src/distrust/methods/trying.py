"""Whether a student learns better without the answers that s3 doubts: tried on bought answers that are held out.

Knows purchases, options of their use, and s3 as the chance that an answer is right. Buys nothing, and asks no teacher. A
doubted answer may teach more than none: a wrong chain of thought has right steps, and few answers are soon too few.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from torch import Tensor

from distrust import selection
from distrust.claimed import agreement
from distrust.errors import RunError
from distrust.labelled import Labelled
from distrust.methods.assisted import samples
from distrust.methods.purchases import Purchase
from distrust.methods.using import Using, lesson
from distrust.processes import mix
from distrust.run import Run
from distrust.students import Student

HELD = 4  # one in so many bought answers judges
FEWEST = 10  # answers that judge, counted by their weight; fewer say nothing
OWN = 13  # of the draw of who judges: not that of who was bought first
HALF = 0.5  # the threshold that is tried: answers that are as likely wrong as right
Options = TypeVar("Options", bound=Using)


def tried(run: Run, options: Options, bought: Sequence[Purchase], passes: Callable[[Labelled], int | None]) -> Options:
    """Options with the threshold `tried` told: 0.5 where it taught better, by more than two standard errors; else 0, none.

    Two students learn three quarters of the answers, one of them without those that s3 doubts, and both answer the last
    quarter. A student that says there what the teachers say is right with the chance that s3 gives them.
    """
    if options.threshold != "tried" or options.use == "weigh":  # which has no threshold
        return options
    everything, believed = (options.model_copy(update={"threshold": one}) for one in (0.0, HALF))
    known = [item for one in bought for item, chance in zip(one.items.ids, _chance(one).tolist(), strict=True) if chance > 0]
    picked = selection.at_random(known, len(known) // HELD, mix(run.seed, OWN)).tolist()
    judges = {known[row] for row in picked}
    if len(judges) < FEWEST:
        run.note("Nothing says whether doubted answers teach: that takes s3's say in 40 answers. So it drops none.")
        return everything
    held, rest = (_part(bought, judges, inside) for inside in (True, False))
    whole = lesson(run, everything, rest)
    try:
        part = lesson(run, believed, rest)
    except RunError:
        run.note("Without the answers that s3 finds less likely than not nothing is left to learn from, so it drops none.")
        return everything
    students = [run.fit(name, told, epochs=passes(told)) for name, told in (("tried-all", whole), ("tried-believed", part))]
    chance = torch.cat([_chance(one) for one in held])  # (h,)
    right = [torch.cat([_same(run, student, one, options) for one in held]) for student in students]  # (h,) each
    gain, error = _difference(chance, right[1] - right[0])
    heavy = float(chance.sum() ** 2 / chance.square().sum())  # as many as this say as much as all, each by its weight
    took = believed if gain > 2 * error and heavy >= FEWEST else everything
    run.note(
        f"Without the answers that s3 finds less likely than not, a student was {100 * gain:+.1f} points (standard error "
        f"{100 * error:.1f}) more often right about {len(chance)} held-out answers, each counted by s3, than with them: "
        f"they are {'dropped' if took is believed else 'kept'}."
    )
    return took


def _part(bought: Sequence[Purchase], judges: set[str], inside: bool) -> list[Purchase]:
    """What of each purchase judges, or what does not."""
    picked = [[row for row, item in enumerate(one.items.ids) if (item in judges) == inside] for one in bought]
    return [one.select(torch.tensor(rows)) for one, rows in zip(bought, picked, strict=True) if rows]


def _chance(one: Purchase) -> Tensor:
    """That what was bought is right, (n,) double; 0 where s3 has no say or is off, which judges nobody."""
    if one.in_teacher is None:
        return torch.zeros(len(one.items), dtype=torch.float64)
    return one.in_teacher.double().nan_to_num(0.0)


def _same(run: Run, student: Student, one: Purchase, options: Using) -> Tensor:
    """Where a student says what was bought: (n,) double, 1 or 0."""
    return agreement(one.said, samples(run, student, one.items, options), one.items)


def _difference(weight: Tensor, difference: Tensor) -> tuple[float, float]:
    """A weighted mean (n,), and its standard error."""
    share = weight / weight.sum()
    mean = (share * difference).sum()
    return float(mean), float((share * (difference - mean)).square().sum().sqrt())
