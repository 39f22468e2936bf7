"""Tasks side by side in processes of their own, each with its share of the cores, telling how far they are.

Knows processes, threads and signals. Knows nothing of what a task does.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.queues import SimpleQueue
from typing import Any, TypeVar

import torch

from distrust.errors import RunError
from distrust.threads import inherited

PAUSE = 0.25  # seconds between two words from one task, and between two looks for them

Tell = Callable[[str, int, int], None]  # what is under way, so much done, of so much in all (0: unknown)
Words = SimpleQueue[tuple[int, str, int, int]]  # a task's place, and what it tells
Task = TypeVar("Task")
Result = TypeVar("Result")

_told: list[Words] = []  # in a worker: where it tells how far it is


def side_by_side(
    work: Callable[..., Result],
    tasks: Mapping[Task, tuple[Any, ...]],
    threads: int,
    going: Callable[[Task, str, int, int], None],
) -> Iterator[tuple[Task, Result]]:
    """Each task with its result, as it ends.

    Args:
        work: of a module, called in a process with a `Tell` and the task's arguments.
        tasks: arguments by task.
        threads: of each process; there are as many processes as the cores allow, and one where there is a GPU.
        going: told how far a task is, a few times a second, by the process that asks for the results.

    Raises:
        RunError: a process that died. KeyboardInterrupt: after Ctrl-C. No process is left in either case.
    """
    if not tasks:
        return
    keys = list(tasks)
    many = 1 if torch.cuda.is_available() else max(1, min(len(keys), len(os.sched_getaffinity(0)) // threads))
    context = multiprocessing.get_context("spawn")
    words: Words = context.SimpleQueue()
    pool = ProcessPoolExecutor(many, mp_context=context, initializer=_begin, initargs=(threads, os.getpid(), words))
    try:
        with inherited(threads), _spared():
            futures = {pool.submit(_carry, place, work, tasks[key]): key for place, key in enumerate(keys)}
        waiting = set(futures)
        while waiting:
            ended, waiting = wait(waiting, PAUSE, FIRST_COMPLETED)
            while not words.empty():
                place, name, done, total = words.get()
                going(keys[place], name, done, total)
            for future in ended:
                yield futures[future], future.result()
        pool.shutdown()
    except BrokenProcessPool as error:
        raise RunError(
            "A process of the comparison died, of too little memory perhaps; what was finished is kept. Start again, with "
            f"--set threads={2 * threads} for fewer processes at once."
        ) from error
    except BaseException:  # Ctrl-C, or a fault: nobody waits for tasks whose results nobody will read
        pool.shutdown(wait=False, cancel_futures=True)
        for process in multiprocessing.active_children():
            process.kill()
        raise


@contextmanager
def _spared() -> Iterator[None]:
    """Inside: Ctrl-C does not reach a new process, from its first moment."""
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # inherited; what arrives here meanwhile is kept
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _begin(threads: int, parent: int, words: Words) -> None:
    """In a new process: its share of the cores; Ctrl-C is the parent's to handle; it does not outlive its parent."""
    torch.set_num_threads(threads)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _told.append(words)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _carry(place: int, work: Callable[..., Result], arguments: tuple[Any, ...]) -> Result:
    """In a process: a task, which may tell as often as it likes."""
    last, when = "", 0.0

    def tell(name: str, done: int, total: int) -> None:
        nonlocal last, when
        if name != last or time.monotonic() - when >= PAUSE:
            last, when = name, time.monotonic()
            _told[0].put((place, name, done, total))

    return work(tell, *arguments)
