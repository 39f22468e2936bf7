"""Fits: students trained in one loop as a stage, and read back from it as they were.

Knows what a fit depends on and what it leaves behind. Knows nothing of where students and training sets come from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from distrust import checkpoint, taps, train
from distrust.errors import RunError
from distrust.files import file_name, fingerprint, read_json, write_json
from distrust.labelled import Labelled
from distrust.modules import weights_key
from distrust.objective import Objective
from distrust.processes import count, rank
from distrust.sides import Side
from distrust.stages import Stages
from distrust.store import save_tensors
from distrust.students import Student

# options of the loop that change how fast or how safely, never what is learned
INERT = {"save_seconds", "per_device_eval_batch_size"}
EPOCHS = "epoch_process_seconds"  # in a fit's record


@dataclass(frozen=True)
class Fitted:
    """What a fit of a run was made from and how it went."""

    labelled: Labelled
    history: Sequence[Mapping[str, Any]]
    start: str = ""  # key of the student before it was trained
    seconds: Sequence[float] = ()  # process time of each epoch's steps, without figures, validation and checkpoints


def fitted(
    stages: Stages,
    students: Sequence[Student],
    objectives: Mapping[str, Objective],
    task: train.Fit,
    said: Mapping[str, Any],
    judged: str,
) -> Fitted:
    """Train students, one per objective, in one loop, as a stage; they then hold its weights, and its key as theirs.

    Args:
        task: what on, and how; its checkpoints go into the stage's folder.
        said: the method's options, from which the objectives were made.
        judged: key of what the fit is validated on.

    Raises:
        RunError: a tap that is no module of its student, and as `train.fit` does.
    """
    for student, objective in zip(students, objectives.values(), strict=True):
        taps.check(student.module, objective.taps, "The student", RunError)
    before = students[0].key
    key = _key(students, objectives, task, said, judged)
    folder = stages.done(f"fit-{task.name}", key, lambda here: _train(here, students, objectives, task), everywhere=True)
    for name, student in zip(objectives, students, strict=True):
        checkpoint.load_weights(folder / _weights(name, task.name), student.module)
        student.key = key if name == task.name else fingerprint(key, name)
    took = read_json(folder / "done.json").get(EPOCHS, [])  # an older stage has none
    return Fitted(task.labelled, train.read_history(folder), before, took)


def _key(
    students: Sequence[Student],
    objectives: Mapping[str, Objective],
    task: train.Fit,
    said: Mapping[str, Any],
    judged: str,
) -> str:
    """Fingerprint of all that a fit depends on."""
    who = [student.key for student in students]
    parts = [weights_key(one) for objective in objectives.values() for one in (objective.modules, objective.frozen) if one]
    tapped = [dict(objective.taps) for objective in objectives.values() if objective.taps]
    others = [] if task.joint is None else [task.joint.key]
    loop = task.options.model_dump(exclude=INERT)
    return fingerprint("fit", *who, task.labelled.key, loop, said, task.seed, judged, count(), *parts, *tapped, *others)


def _train(
    folder: Path, students: Sequence[Student], objectives: Mapping[str, Objective], task: train.Fit
) -> Mapping[str, Any]:
    took: list[float] = []
    pairs = zip(students, objectives.items(), strict=True)
    sides = [Side(student, objective, task.options, name) for student, (name, objective) in pairs]
    beside = task.joint.beside if task.joint else ()
    history = train.fit([*sides, *beside], replace(task, folder=folder, timed=took.extend))
    if rank() == 0:
        for side in sides:
            save_tensors(folder / _weights(side.name, task.name), side.student.module.state_dict())
            if len(side.objective.modules):
                save_tensors(folder / f"objective-{file_name(side.name)}.safetensors", side.objective.modules.state_dict())
        write_json(folder / "history.json", history)
        (folder / checkpoint.FILE).unlink(missing_ok=True)
    return {EPOCHS: [round(one, 6) for one in took], "items": len(task.labelled.told())}


def _weights(name: str, first: str) -> str:
    """File of a trained student's weights in its stage."""
    return "weights.safetensors" if name == first else f"weights-{file_name(name)}.safetensors"
