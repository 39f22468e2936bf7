"""Writes in groups: all of a call or nothing of it, in order, and SQLite's complaints as sentences."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from distrust.commits import Commits, connect, lock, refusal, refusals
from distrust.errors import RunError

PUT = "INSERT INTO said VALUES (?, ?)"


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "book.sqlite"
    made = connect(path)
    made.execute("CREATE TABLE said (id INTEGER PRIMARY KEY, text TEXT NOT NULL)")
    made.close()
    yield path


def rows(path: Path) -> list[tuple[int, str]]:
    looking = connect(path, readonly=True)
    try:
        return looking.execute("SELECT id, text FROM said ORDER BY id").fetchall()
    finally:
        looking.close()


def test_what_is_confirmed_is_on_disk_in_its_order(book: Path) -> None:
    async def write() -> None:
        commits = Commits(book)
        try:
            waiting = [commits.write([(PUT, (row, "first"))]) for row in range(50)]
            changed = commits.write([("UPDATE said SET text = ? WHERE id = ?", ("second", row)) for row in range(50)])
            await asyncio.gather(*waiting)
            await changed
            assert rows(book) == [(row, "second") for row in range(50)], "before the writer is closed"
        finally:
            commits.close()

    asyncio.run(write())


def test_a_write_that_fails_leaves_nothing_and_the_writer_goes_on(book: Path) -> None:
    async def write() -> None:
        commits = Commits(book)
        try:
            await commits.write([(PUT, (1, "kept"))])
            with pytest.raises(RunError, match="could not be used"):
                await commits.write([(PUT, (2, "undone")), (PUT, (3, None))])
            await commits.write([(PUT, (4, "after"))])
        finally:
            commits.close()

    asyncio.run(write())
    assert rows(book) == [(1, "kept"), (4, "after")]


def test_closing_writes_what_is_queued_even_for_a_loop_that_is_gone(book: Path) -> None:
    async def write() -> Commits:
        commits = Commits(book)
        for row in range(20):
            commits.write([(PUT, (row, "late"))])
        return commits

    asyncio.run(write()).close()
    assert len(rows(book)) == 20


def test_one_process_writes_at_a_time_and_a_reader_writes_nothing(book: Path) -> None:
    handle = lock(book)
    with pytest.raises(RunError, match="in use by another process; wait for it to end"):
        lock(book)
    handle.close()
    lock(book).close()
    looking = connect(book, readonly=True)
    with pytest.raises(RunError, match=r"cannot be written \(.*readonly.*\); choose another output_dir"), refusals(book):
        looking.execute(PUT, (1, "no"))
    looking.close()


@pytest.mark.parametrize(
    ("complaint", "words"),
    [
        ("database or disk is full", "every answer confirmed so far is kept"),
        ("attempt to write a readonly database", "choose another output_dir"),
        ("unable to open database file", "choose another output_dir"),
        ("file is not a database", "move it away to begin a new one"),
        ("database disk image is malformed", "move it away to begin a new one"),
        ("database is locked", r"could not be used \(database is locked\)"),
    ],
)
def test_complaints_are_sentences(complaint: str, words: str) -> None:
    with pytest.raises(RunError, match=words):
        raise refusal(Path("b"), sqlite3.OperationalError(complaint))
