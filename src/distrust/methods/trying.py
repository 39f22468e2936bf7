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
from distrust.run import Run
from distrust.students import Student

HELD = 4  # one in so many bought answers judges
FEWEST = 10  # answers, below which nothing is tried
HALF = 0.5  # the threshold that is tried: answers that are as likely wrong as right
Options = TypeVar("Options", bound=Using)


def tried(run: Run, options: Options, bought: Sequence[Purchase], passes: Callable[[Labelled], int | None]) -> Options:
    """Options with the threshold `tried` told: 0.5 where it taught better, by two standard errors or more; else 0, none.

    Two students learn three quarters of the answers, one of them without those that s3 doubts, and both answer the last
    quarter. A student that says there what the teachers say is right with the chance that s3 gives them.
    """
    if options.threshold != "tried" or options.use == "weigh":  # which has no threshold
        return options
    everything, believed = (options.model_copy(update={"threshold": one}) for one in (0.0, HALF))
    ids = [item for one in bought for item in one.items.ids]
    judges = {ids[row] for row in selection.at_random(ids, len(ids) // HELD, run.seed).tolist()}
    if not options.reads(run, "s3") or len(judges) < FEWEST:
        run.note("Nothing says whether doubted answers teach: that takes an assistant and 40 answers. So none is dropped.")
        return everything
    held, rest = (_part(bought, judges, inside) for inside in (True, False))
    try:
        students = [
            run.fit(name, told, epochs=passes(told))
            for name, told in (
                ("tried-all", lesson(run, everything, rest)),
                ("tried-believed", lesson(run, believed, rest)),
            )
        ]
    except RunError:
        run.note("s3 finds every bought answer less likely than not, so none is dropped for it.")
        return everything
    chance = torch.cat([_chance(one) for one in held])  # (h,)
    right = [torch.cat([_same(run, student, one, options) for one in held]) for student in students]  # (h,) each
    gain, error = _difference(chance, right[1] - right[0])
    took = believed if gain > 2 * error else everything
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
    """That what was bought is right, (n,) double; 0 where s3 has no say, which judges nobody."""
    assert one.in_teacher is not None, "s3 is on"
    return one.in_teacher.double().nan_to_num(0.0)


def _same(run: Run, student: Student, one: Purchase, options: Using) -> Tensor:
    """Where a student says what was bought: (n,) double, 1 or 0."""
    return agreement(one.said, samples(run, student, one.items, options), one.items)


def _difference(weight: Tensor, difference: Tensor) -> tuple[float, float]:
    """A weighted mean (n,), and its standard error."""
    share = weight / weight.sum().clamp(min=1e-12)  # of weights that are all 0 nothing is gained
    mean = (share * difference).sum()
    return float(mean), float((share * (difference - mean)).square().sum().sqrt())
