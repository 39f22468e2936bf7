"""What is installed here and what a recipe needs, looked at one by one: nothing is bought, trained or left behind.

Knows how to look, and how to say what is wrong. Does not stop at the first fault, and shows nothing by itself.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from distrust.errors import DistrustError

if TYPE_CHECKING:
    from distrust.recipe import Asked, Endpoint, Recipe
    from distrust.task import Task

ROOM = 500 * 10**6  # bytes that a run may need: a student, its checkpoint, answers
PATIENCE = 10.0  # seconds a server gets
EXTRAS_LEFT_OUT = {"test", "bench"}  # of no use to a user


@dataclass(frozen=True)
class Check:
    """One thing that was looked at; where it is not ok, `said` is the sentence that mends it."""

    what: str
    ok: bool
    said: str


def installation() -> Iterator[Check]:
    """Python, every dependency and extra, devices, and the environment variables that change what happens."""
    yield Check("python", True, f"{platform.python_version()} on {platform.system()} {platform.machine()}")
    for line in importlib.metadata.requires("distrust") or []:
        found = _dependency(line)
        if found is not None:
            yield found
    yield _tried("devices", _devices)
    yield _tried("products", _products)
    offline = os.environ.get("HF_HUB_OFFLINE")
    hub = "is set: nothing is fetched from the hub" if offline and offline != "0" else "is not set: the hub may be asked"
    yield Check("HF_HUB_OFFLINE", True, hub)
    yield Check("DISTRUST_DATA", True, "is set" if os.environ.get("DISTRUST_DATA") else "is not set; only tests look at it")


def recipe(path: Path, overrides: list[str] | None = None) -> Iterator[Check]:
    """Whether a recipe can run here: its words, its data, its folder, and each of its teachers."""
    from distrust.recipe_file import load_recipe

    try:
        loaded = load_recipe(path, overrides)
    except DistrustError as error:
        yield Check("recipe", False, str(error))
        return
    yield _tried("recipe", lambda: _words(loaded))
    tasks: list[Task] = []
    yield _tried("data", lambda: _data(loaded, tasks))
    yield _tried("output_dir", lambda: _folder(loaded, tasks))
    for teacher in loaded.teachers:
        yield _tried(f"teacher {teacher.name}", lambda teacher=teacher: _teacher(teacher, loaded, tasks))  # type: ignore[misc]


def _tried(what: str, look: Callable[[], str]) -> Check:
    try:
        return Check(what, True, look())
    except DistrustError as error:
        return Check(what, False, str(error))
    except Exception as error:  # a broken installation can fail in any way, and finding that is what this is for
        return Check(what, False, f"{type(error).__name__}: {error}; what it needs may be installed badly.")


def _dependency(line: str) -> Check | None:
    """One line of the package's requirements, such as `peft>=0.12; extra == "peft"`."""
    match = re.match(r"\s*([A-Za-z0-9._-]+)", line)
    extra = re.search(r"extra\s*==\s*['\"]([\w-]+)['\"]", line)
    if match is None or (extra is not None and extra[1] in EXTRAS_LEFT_OUT):
        return None
    name, least = match[1], re.search(r">=\s*([\d.]+)", line)
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        if extra is not None:
            return Check(name, True, f"is not installed; it is optional: pip install 'distrust[{extra[1]}]'")
        return Check(name, False, f"is not installed; run: pip install {name}")
    if least is not None and _numbers(version) < _numbers(least[1]):
        return Check(name, False, f"is {version}, and {least[1]} or later is needed; run: pip install -U {name}")
    return Check(name, True, version)


def _numbers(version: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", version.split("+")[0])[:3]]


def _devices() -> str:
    import torch

    said = [f"{os.cpu_count()} CPU cores, {torch.get_num_threads()} threads"]
    for number in range(torch.cuda.device_count()):
        device = torch.cuda.get_device_properties(number)
        said.append(f"cuda:{number} {device.name}, {device.total_memory / 2**30:.0f} GiB")
    return "; ".join(said if len(said) > 1 else [*said, "no CUDA device"])


def _products() -> str:
    from distrust.products import said

    return said()


def _words(recipe: Recipe) -> str:
    from distrust.finish import check_method
    from distrust.products import routed

    with routed(recipe.onednn):
        pass  # refused where this machine cannot

    check_method(recipe)
    return f"method {recipe.method.name}, student {recipe.student.kind}, {len(recipe.teachers)} teachers"


def _data(recipe: Recipe, tasks: list[Task]) -> str:
    from distrust.build import read_task

    task = read_task(recipe)
    tasks.append(task)
    test = "no test set" if task.test is None else f"{len(task.test[1])} test items"
    kinds = f"{len(task.space)} classes" if task.answers is None else "open answers"
    said = [f"{len(task.pool)} items, {kinds}, {len(task.gold)} gold labels, {test}", *task.warnings]
    return "; ".join(one.rstrip(".") for one in said)


def _folder(recipe: Recipe, tasks: list[Task]) -> str:
    from distrust.build import check_folder
    from distrust.files import refusing
    from distrust.secrets import expand

    folder = Path(expand(recipe.output_dir))
    there = next(one for one in (folder.absolute(), *folder.absolute().parents) if one.exists())
    with refusing(folder), tempfile.TemporaryFile(dir=there):  # what may be written, only writing tells
        pass
    free = shutil.disk_usage(there).free
    if free < ROOM:
        raise DistrustError(
            f"{folder} has {free / 1e6:.0f} MB left on its disk; free {ROOM / 1e6:.0f} MB or choose another."
        )
    if tasks:
        check_folder(folder, tasks[0])
    return f"{folder} can be written, {free / 1e9:.1f} GB free"


def _teacher(teacher: Asked, recipe: Recipe, tasks: list[Task]) -> str:
    from distrust.recipe import Endpoint

    if not tasks:
        raise DistrustError("was not looked at, since the data cannot be read; mend that first.")
    task = tasks[0]
    if isinstance(teacher, Endpoint):
        return _server(teacher, recipe, task)
    from distrust.build import build_teacher
    from distrust.evidence import stack
    from distrust.recipe import CausalTeacher, Recorded

    built = build_teacher(teacher, task, None, recipe)
    if isinstance(teacher, Recorded):
        heard = built.ask(task.pool)
        if task.answers is not None:
            return f"{int((heard.claims >= 0).any(0).sum())} of {len(task.pool)} items have an answer"
        answered = int(stack([heard], task.space).answered.sum())
        if not answered:
            raise DistrustError(f"none of its answers is a class; map them under its `labels`, or name another column than "
                                f"{teacher.column!r}.")  # fmt: skip
        return f"{answered} of {len(task.pool)} items have an answer"
    if isinstance(teacher, CausalTeacher):
        return "loads; it writes texts"
    known = int(built.space.known_in(task.space).sum())
    if not known:
        raise DistrustError(f"it knows none of the task's classes but {', '.join(built.space.names[:5])}; map its `labels`.")
    return f"loads; it knows {known} of the task's {len(task.space)} classes"


def _server(teacher: Endpoint, recipe: Recipe, task: Task) -> str:
    """Ask a server for its models, which costs nothing; beside a passing ledger, so that no run at work is disturbed."""
    from distrust.build import build_teacher
    from distrust.ledger import Ledger
    from distrust.teachers.endpoint import EndpointTeacher

    quick = teacher.model_copy(update={"timeout": min(teacher.timeout, PATIENCE)})
    with tempfile.TemporaryDirectory() as passing, Ledger(Path(passing) / "ledger.sqlite") as book:
        built = build_teacher(quick, task, book, recipe)
        assert isinstance(built, EndpointTeacher)
        built.prompt.render(task.pool, 0)
        remark = built.reach()
    key = "no key" if teacher.api_key is None else f"its key {teacher.api_key} is set"
    price = "price known" if teacher.price.known else "price unknown"
    return f"{teacher.base_url} answers; {key}, {price}" + (f"; {remark}" if remark else "")
