"""A real terminal for tests: all that it is sent while something goes on."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable

import pytest


def on_a_terminal(monkeypatch: pytest.MonkeyPatch, work: Callable[[], None], columns: int = 200, lines: int = 25) -> str:
    """What a terminal of this size is sent on stderr while `work` goes on."""
    ours, theirs = os.openpty()
    heard: list[bytes] = []

    def listen() -> None:
        try:
            while part := os.read(ours, 65_536):
                heard.append(part)
        except OSError:  # the other end was closed
            return

    listening = threading.Thread(target=listen)
    listening.start()
    with monkeypatch.context() as patch, os.fdopen(theirs, "w") as stream:
        patch.setattr(sys, "stderr", stream)
        patch.setenv("COLUMNS", str(columns))
        patch.setenv("LINES", str(lines))
        patch.setenv("TERM", "xterm")
        work()
    listening.join(10)
    os.close(ours)
    return b"".join(heard).decode()
