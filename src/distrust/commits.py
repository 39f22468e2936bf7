"""Durable writes in groups: one thread that commits to SQLite whatever has gathered while it committed before.

Knows statements, rows, when they are safe on disk, and whose turn it is to write. Knows nothing of what they mean.
"""

from __future__ import annotations

import asyncio
import fcntl
import queue
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from distrust.errors import RunError
from distrust.files import refusing

Row = tuple[Any, ...]
Write = tuple[str, Row]  # a statement and its parameters


class Commits:
    """A writer thread with its own connection.

    A commit waits for the disk (about a millisecond), a call for its server (tens): with many calls in flight one
    commit carries many, so durability costs each of them next to nothing.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection = connect(path)  # here, not in the thread: whoever opens hears of what is wrong
        self._queue: queue.SimpleQueue[tuple[list[Write], asyncio.Future[None]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="ledger", daemon=True)
        self._thread.start()

    def write(self, writes: list[Write]) -> asyncio.Future[None]:
        """Queue writes, in order; the future is done once all of it is on disk.

        Its exception is a RunError on a full or read-only disk; then nothing of it is there.
        """
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.put((writes, done))
        return done

    def close(self) -> None:
        """Write what is queued and stop."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        open_ = True
        while open_:
            batch = [self._queue.get()]
            while not self._queue.empty():
                batch.append(self._queue.get())
            open_ = None not in batch
            jobs = [job for job in batch if job is not None]
            error = _commit(self._connection, self._path, (write for writes, _ in jobs for write in writes))
            for loop in {done.get_loop() for _, done in jobs}:  # one wake-up for each loop, not for each call
                finished = [done for _, done in jobs if done.get_loop() is loop]
                try:
                    loop.call_soon_threadsafe(_resolve, finished, error)
                except RuntimeError:  # the loop was closed meanwhile; what it wrote is on disk all the same
                    continue
        self._connection.close()


def connect(path: Path, readonly: bool = False) -> sqlite3.Connection:
    """Open a connection that no other thread minds. Raises RunError where the file is none of SQLite's."""
    try:
        if readonly:
            return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, check_same_thread=False, timeout=30)
        connection = sqlite3.connect(path, check_same_thread=False, timeout=30, isolation_level=None)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")  # an answer paid for survives a power cut, too
        return connection
    except sqlite3.Error as error:
        raise refusal(path, error) from error


def lock(path: Path) -> IO[str]:
    """Hold the ledger for this process; the system lets go of it however the process ends."""
    with refusing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = path.with_name(path.name + ".lock").open("w")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        handle.close()
        raise RunError(f"The ledger {path} is in use by another process; wait for it to end, or stop it.") from error
    return handle


@contextmanager
def refusals(path: Path) -> Iterator[None]:
    """Turn SQLite's complaints about a file into sentences."""
    try:
        yield
    except sqlite3.Error as error:
        raise refusal(path, error) from error


def refusal(path: Path, error: Exception) -> RunError:
    """SQLite's complaint as a sentence."""
    text = str(error)
    if "full" in text:
        return RunError(
            f"The disk is full while writing {path}; every answer confirmed so far is kept, so free some space and start "
            "again."
        )
    if "readonly" in text or "unable to open" in text:
        return RunError(f"{path} cannot be written ({text}); choose another output_dir.")
    if "not a database" in text or "malformed" in text:
        return RunError(f"{path} is no ledger or is damaged ({text}); move it away to begin a new one.")
    return RunError(f"{path} could not be used ({text}).")


def _commit(connection: sqlite3.Connection, path: Path, writes: Iterable[Write]) -> RunError | None:
    rows: dict[str, list[Row]] = {}
    for statement, row in writes:
        rows.setdefault(statement, []).append(row)
    try:
        connection.execute("BEGIN IMMEDIATE")
        for statement, listed in rows.items():
            connection.executemany(statement, listed)
        connection.execute("COMMIT")
        return None
    except Exception as error:  # whatever it is: a writer that stopped would leave every caller waiting
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        return refusal(path, error)


def _resolve(futures: list[asyncio.Future[None]], error: RunError | None) -> None:
    for future in futures:
        if future.done():  # cancelled while it waited
            continue
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)
            future.exception()  # heard: a call that was stopped meanwhile is no news for asyncio's log
