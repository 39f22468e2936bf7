"""Features of the student and of the teachers, brought together for the methods that use hints.

Knows runs, taps and which teachers keep features. Does not know how hints are weighed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from pydantic import Field
from torch import nn

from distrust import modules, taps
from distrust.errors import RunError
from distrust.evidence import Evidence
from distrust.hints import Hinting, Hints, InTask
from distrust.methods.several import Lesson, Several
from distrust.run import Run
from distrust.teachers import Teacher

FEATURE = "feature"  # the name of a teacher's feature that serves as a hint
RECTIFIED = {"auto": None, "linear": False, "rectified": True}


class Hinted(Several):
    """Options of every method with hints."""

    beta: float = Field(50.0, ge=0, description="weight of the hints; 0: logits only")
    feature: str | None = Field(
        None,
        description="where the student's feature is taken: a module's path, its output, or with `.input` what goes into it; "
        "`auto`: what goes into the layer that makes the logits; none: logits only",
    )
    projection: Literal["auto", "linear", "rectified"] = Field(
        "auto",
        description="from the student's feature to a teacher's: linear, with batch normalisation and ReLU behind it "
        "(`rectified`), or that for maps alone (`auto`)",
    )


def hints(run: Run, here: Lesson, options: Hinted, heads: bool) -> tuple[list[int], Hints | None, str]:
    """Which teachers give hints (their places), the hints, and the student's tap; nobody and None for logits only.

    Args:
        heads: whether each teacher's head is needed.

    Raises:
        RunError: a path the student lacks or passes by, no teacher with a feature, one whose head is needed and missing, or
            sizes that do not fit.
    """
    if options.feature is None or not options.beta:
        return [], None, ""
    places = [place for place, evidence in enumerate(here.evidence) if FEATURE in evidence.features]
    if not places:
        raise RunError(
            f"The student's feature {options.feature!r} is to be held to the teachers', and none of them keeps one; give a "
            "`feature` to a classifier teacher, or leave the method's out."
        )
    path, size = student_feature(run, options.feature)
    made = [_hinting(run, run.teachers[place], here.evidence[place], here, heads) for place in places]
    return places, Hints(size, made, run.seed, RECTIFIED[options.projection]), path


def student_feature(run: Run, path: str) -> tuple[str, tuple[int, ...]]:
    """The path of a student's feature and its size without the items, found by a forward on one item of the pool.

    Raises:
        RunError: a path that the student lacks (near misses are named) or passes by; `auto` where no layer makes the logits.
    """
    student = run.new_student(run.seed)
    device = modules.device_of(student.module)
    encoded = student.encode(run.pool.select([0]))
    inputs = {name: value.to(device) for name, value in encoded.batch(torch.arange(1)).items()}
    if path == "auto":
        last = taps.last_layer(student.module, lambda: student.logits(inputs))
        if last is None:
            raise RunError("The student has no single layer that makes its logits; name the method's `feature`.")
        path = last + taps.INPUT
    taps.check(student.module, {FEATURE: path}, "The student", RunError)
    with modules.frozen(student.module), taps.tapped(student.module, {FEATURE: path}) as latest:
        student.logits(inputs)
    if FEATURE not in latest:
        raise RunError(f"The student does not use its module {path!r} to answer; take features from another.")
    return path, tuple(latest[FEATURE].shape[1:])


def _hinting(run: Run, teacher: Teacher, evidence: Evidence, here: Lesson, head: bool) -> Hinting:
    """A teacher's feature on all items (N, ...), and its head in the task's classes where it is needed."""
    said = evidence.on(here.items.ids)
    if len(said) < len(here.items):
        raise RunError(
            f"{teacher.name} was asked about {len(said)} of {len(here.items)} items; hints need a feature of all."
        )
    heads: Mapping[str, nn.Module] = getattr(teacher, "heads", {})
    if not head:
        return Hinting(teacher.name, said.features[FEATURE])
    if FEATURE not in heads:
        raise RunError(
            f"{teacher.name} has a feature and no head that makes its logits of it; name the modules from there on as its "
            "`head`, or take `feature: auto`."
        )
    own = teacher.space.positions_in(run.space)
    return Hinting(teacher.name, said.features[FEATURE], InTask(heads[FEATURE], own, len(run.space)))
