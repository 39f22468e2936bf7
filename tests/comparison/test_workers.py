"""Processes side by side: their share of the cores in every library, what they tell, and nothing left changed or alive."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from typing import Any

import pytest

from distrust.comparison.workers import Tell, side_by_side
from distrust.errors import RunError
from distrust.threads import VARIABLES


def pools(tell: Tell, steps: int) -> dict[str, Any]:
    """What a task finds around it, with every library loaded that has threads of its own."""
    import scipy.linalg  # noqa: F401
    import sklearn.ensemble  # noqa: F401
    import threadpoolctl
    import torch

    os.kill(os.getpid(), signal.SIGINT)  # as a terminal does, to every process of the command
    for step in range(steps):
        tell("count", step, steps)
    tell("count on", steps, steps)
    found = {one["filepath"]: one["num_threads"] for one in threadpoolctl.threadpool_info()}
    return {"torch": torch.get_num_threads(), **found}


def die(tell: Tell) -> None:
    os._exit(1)


def late(tell: Tell) -> None:
    tell("sleep", 0, 1)
    time.sleep(60)


def test_a_worker_has_its_threads_in_every_library_and_is_deaf_to_ctrl_c(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.setenv("MKL_NUM_THREADS", "7")
    heard: list[tuple[str, str, int, int]] = []
    before = {name: os.environ.get(name) for name in VARIABLES}
    ((key, found),) = side_by_side(pools, {"a": (1000,)}, 1, lambda *said: heard.append(said))
    assert key == "a" and len(found) >= 4, "torch's, scikit-learn's, numpy's and scipy's"
    assert set(found.values()) == {1}, found
    assert {name: os.environ.get(name) for name in VARIABLES} == before
    assert heard[0][:3] == ("a", "count", 0) and heard[-1] == ("a", "count on", 1000, 1000)
    assert len(heard) < 50, "however often a task tells, a person hears a few words a second"


def test_a_process_that_dies_is_a_sentence() -> None:
    with pytest.raises(RunError, match="what was finished is kept"):
        list(side_by_side(die, {"a": ()}, 1, lambda *_: None))


def test_after_an_interrupt_nobody_works_on() -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    with pytest.raises(KeyboardInterrupt):
        list(side_by_side(late, {"a": ()}, 1, stop))
    for process in multiprocessing.active_children():
        process.join(10)
    assert not multiprocessing.active_children() and signal.pthread_sigmask(signal.SIG_BLOCK, ()) == mask
