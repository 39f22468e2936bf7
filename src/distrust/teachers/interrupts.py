"""Ctrl-C while answers are on their way: heard by an event loop, and given back as it was.

Knows signals. Knows nothing of what is under way.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def interrupts(handle: Callable[[], None]) -> Iterator[None]:
    """Turn the first Ctrl-C into `handle`; a second one cancels at once. Afterwards it is what it was before.

    Only a main thread can be interrupted. One that ignores Ctrl-C can be too, while it buys: money is at stake.
    """
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    presses = 0

    def pressed() -> None:
        nonlocal presses
        presses += 1
        if presses == 1 or task is None:
            handle()
        else:
            task.cancel()

    loop.add_signal_handler(signal.SIGINT, pressed)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGINT)  # leaves Python's own, whosever it was
        signal.signal(signal.SIGINT, before)
