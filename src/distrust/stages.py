"""Stages: durable steps in a folder, by key, each built once however often, and from wherever, it is asked for.

Knows when a stage is whole, who may build it, and what it cost in time. Knows nothing of what a stage means.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch

from distrust.errors import RunError
from distrust.files import file_name, read_json, refusing, write_json
from distrust.processes import rank, wait
from distrust.products import is_on


class Stages:
    """The stages of a folder, which runs may share.

    `seconds` are by stage the process time of building it, now or before, of those that were asked for.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.seconds: dict[str, float] = {}

    def done(self, name: str, key: str, build: Callable[[Path], Mapping[str, Any] | None], everywhere: bool = False) -> Path:
        """The folder of a finished stage; built if it is not there yet, by rank 0 alone unless `everywhere`.

        A stage is finished when its `done.json` is there, which is written last, with what `build` tells of itself; an
        unfinished one goes on where it was.
        A stage that another run is building is waited for.
        """
        folder = self.folder / f"{file_name(name)}-{key[:16]}"
        done = folder / "done.json"
        if not done.is_file():
            with held(folder, "stage.lock") if rank() == 0 else nullcontext():
                wait()
                if not done.is_file():
                    began = time.monotonic(), time.process_time()
                    told = build(folder) if everywhere or rank() == 0 else None
                    if rank() == 0:
                        seconds, busy = time.monotonic() - began[0], time.process_time() - began[1]
                        spent = {"seconds": round(seconds, 3), "process_seconds": round(busy, 3)}
                        write_json(done, {"name": name, "key": key, **spent, **surroundings(), **(told or {})})
        wait()
        spent = read_json(done)
        self.seconds[folder.name] = spent.get("process_seconds", spent["seconds"])  # an older stage knows wall time alone
        return folder


def surroundings() -> dict[str, Any]:
    """What bit-exact repetition depends on: device, threads, versions."""
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    said = {"device": device, "threads": torch.get_num_threads(), "torch": str(torch.__version__)}
    return said | ({"onednn": True} if is_on() else {})


@contextmanager
def held(folder: Path, name: str) -> Iterator[None]:
    """Inside: what a lock of a folder stands for is this process's, once nobody else holds it."""
    with refusing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder / name, os.O_CREAT | os.O_RDWR, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def lock(folder: Path) -> int:
    """Hold the folder for this process; the system lets go of it even after a kill."""
    with refusing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder / "run.lock", os.O_CREAT | os.O_RDWR, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(handle)
        raise RunError(f"Another process is at work in {folder}; wait for it, or choose another output_dir.") from error
    return handle
