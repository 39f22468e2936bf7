"""The ledger: every paid answer, kept for good, and every call that was about to be paid.

Knows calls (reserved, answered, unknown, failed), what they cost, and the raw answers they brought, by question and
sample. Does not know how an answer is read: a mended parser finds the same raw text and buys nothing.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sqlite3
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from distrust.budget import NOTHING, Accounts, Charge, Sum
from distrust.commits import Commits, Write, connect, lock, refusals
from distrust.errors import RunError
from distrust.files import fingerprint
from distrust.recipe import Budget

SCHEMA = """
CREATE TABLE IF NOT EXISTS settings (  -- everything about a question but its item and prompt
    id INTEGER PRIMARY KEY, teacher TEXT NOT NULL, fingerprint TEXT NOT NULL, described TEXT NOT NULL,
    UNIQUE (teacher, fingerprint));
CREATE TABLE IF NOT EXISTS calls (  -- charged at the reservation until the outcome is known; NULL money is unknown
    id INTEGER PRIMARY KEY, setting INTEGER NOT NULL REFERENCES settings, question BLOB NOT NULL, item TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('reserved', 'answered', 'unknown', 'failed')), calls INTEGER NOT NULL,
    prompt_tokens INTEGER NOT NULL, completion_tokens INTEGER NOT NULL, money REAL, at REAL NOT NULL, detail TEXT);
CREATE INDEX IF NOT EXISTS calls_reserved ON calls (id) WHERE status = 'reserved';
CREATE TABLE IF NOT EXISTS answers (
    question BLOB NOT NULL, sample INTEGER NOT NULL, call INTEGER NOT NULL REFERENCES calls,
    text TEXT NOT NULL, finish TEXT, logprobs TEXT, UNIQUE (question, sample));
"""
RESERVE = "INSERT INTO calls VALUES (?, ?, ?, ?, 'reserved', ?, ?, ?, ?, ?, NULL)"
SETTLE = (
    "UPDATE calls SET status = ?, calls = ?, prompt_tokens = ?, completion_tokens = ?, money = ?, detail = ? WHERE id = ?"
)
RELEASE = "DELETE FROM calls WHERE id = ?"
ANSWER = "INSERT OR IGNORE INTO answers VALUES (?, ?, ?, ?, ?, ?)"
ANSWERS = (
    "SELECT answers.question, sample, text, finish, logprobs, call, calls, prompt_tokens, completion_tokens, money "
    "FROM answers JOIN calls ON calls.id = call WHERE answers.question IN"
)
CHUNK = 256  # questions in one look-up
LENT = "lent"  # detail of a call that another ledger paid for


@dataclass(frozen=True)
class Answer:
    """One sample as the server gave it."""

    sample: int
    text: str
    finish: str | None = None
    logprobs: str | None = None  # JSON, as served


@dataclass(frozen=True)
class Setting:
    """A teacher asked in one way: model, sampling and all that could change an answer except item and prompt."""

    id: int
    teacher: str
    fingerprint: str


@dataclass(frozen=True)
class Call:
    """A reservation, durable before the call is sent."""

    id: int
    setting: Setting
    question: bytes
    worst: Charge


class Ledger:
    """Paid answers in one SQLite file, for one process at a time.

    Opening it charges the calls whose outcome a kill has hidden at their reservation ("unknown"); their questions
    have no answer, so they are asked again. Usable from several threads and event loops of the process.

    Args:
        path: the file; made if missing.
        readonly: only look; allowed beside a process that writes, and changes nothing.

    Raises:
        RunError: in use by another process, not writable, or no ledger; with `readonly`, no such file.
    """

    def __init__(self, path: Path, readonly: bool = False) -> None:
        self.path = path
        self._open: dict[int, Call] = {}
        self._guard = threading.Lock()  # of the reading connection
        self._lock: IO[str] | None = None
        self._commits: Commits | None = None
        self.accounts = Accounts()
        if readonly:
            if not path.is_file():
                raise RunError(f"There is no ledger {path}; nothing was bought yet.")
            self._connection = connect(path, readonly=True)
            if not self._query("SELECT 1 FROM sqlite_master WHERE name = 'answers'"):  # killed before it had its tables
                self._connection.close()
                self._connection = sqlite3.connect(":memory:", check_same_thread=False)
                self._connection.executescript(SCHEMA)
        else:
            self._lock = lock(path)
            try:
                self._connection = connect(path)
                self._write_now(SCHEMA + "UPDATE calls SET status = 'unknown', detail = 'killed' WHERE status = 'reserved';")
            except RunError:
                self._lock.close()
                raise
            self._commits = Commits(path)
        self._ids = itertools.count(1 + int(self._query("SELECT coalesce(max(id), 0) FROM calls")[0][0]))
        self._load_accounts()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Finish writing and let go of the file."""
        if self._commits is not None:
            self._commits.close()
        self._connection.close()
        if self._lock is not None:
            self._lock.close()

    def setting(self, teacher: str, described: Mapping[str, Any]) -> Setting:
        """The setting of a teacher, made when it is new; a read-only ledger gives a new one the id 0."""
        key = fingerprint(teacher, dict(described))
        if self._commits is not None:
            row = (teacher, key, json.dumps(described, sort_keys=True))
            with self._guard, refusals(self.path):
                self._connection.execute(
                    "INSERT OR IGNORE INTO settings (teacher, fingerprint, described) VALUES (?, ?, ?)", row
                )
        found = self._query("SELECT id FROM settings WHERE teacher = ? AND fingerprint = ?", (teacher, key))
        return Setting(int(found[0][0]) if found else 0, teacher, key)

    def samples(self, questions: Sequence[bytes]) -> dict[bytes, set[int]]:
        """Which samples are there, by question; a question without any is missing."""
        found: dict[bytes, set[int]] = {}
        for question, sample in self._of(questions, "SELECT question, sample FROM answers WHERE question IN"):
            found.setdefault(question, set()).add(sample)
        return found

    def answers(self, questions: Sequence[bytes]) -> dict[bytes, list[tuple[Answer, Charge]]]:
        """The answers by question, in order of sample, each with the charge of the call that brought it.

        A call that brought several is charged to the first of them.
        """
        found: dict[bytes, list[tuple[Answer, Charge]]] = {}
        seen: set[int] = set()
        for question, sample, text, finish, logprobs, call, calls, prompt, completion, money in self._of(questions, ANSWERS):
            charge = NOTHING if call in seen else Charge(prompt, completion, money, calls)
            seen.add(call)
            found.setdefault(question, []).append((Answer(sample, text, finish, logprobs), charge))
        return {question: sorted(rows, key=lambda row: row[0].sample) for question, rows in found.items()}

    async def reserve(
        self, setting: Setting, question: bytes, item: str, worst: Charge, own: Budget, total: Budget
    ) -> Call | None:
        """Reserve a call at its worst case, durably; None while calls in flight hold the room it needs.

        Raises:
            CapReachedError: the cap leaves no room even when nothing is in flight.
            BudgetError: a money cap over calls of unknown price. RunError: it could not be written.
        """
        if not self.accounts.reserve(setting.teacher, worst, own, total):
            return None
        call = Call(next(self._ids), setting, question, worst)
        self._open[call.id] = call
        named = item.encode("utf-8", "replace").decode()  # for people; the question is the key
        row = (call.id, setting.id, question, named, worst.calls)
        money = (worst.prompt_tokens, worst.completion_tokens, worst.money, time.time())
        await self._write([(RESERVE, row + money)])
        return call

    def settle(
        self, call: Call, status: str, charge: Charge, answers: Sequence[Answer] = (), detail: str | None = None
    ) -> asyncio.Future[None]:
        """Record how a call ended and what it brought; once the future is done, no kill can undo it."""
        del self._open[call.id]  # booked before it is written: writes keep their order, so a later reservation comes after
        self.accounts.settle(call.setting.teacher, call.worst, charge)
        row = (status, charge.calls, charge.prompt_tokens, charge.completion_tokens, charge.money, detail, call.id)
        writes: list[Write] = [(SETTLE, row)]
        writes += [(ANSWER, (call.question, one.sample, call.id, one.text, one.finish, one.logprobs)) for one in answers]
        return self._write(writes)

    async def release(self, call: Call) -> None:
        """Take back a reservation whose call was never sent."""
        del self._open[call.id]
        self.accounts.settle(call.setting.teacher, call.worst, NOTHING)
        await self._write([(RELEASE, (call.id,))])

    async def abandon(self, setting: Setting) -> int:
        """Charge the calls of a setting that are still open at their reservation, as "unknown"; returns how many."""
        mine = [call for call in self._open.values() if call.setting == setting]
        for call in mine:
            await self.settle(call, "unknown", call.worst, detail="stopped")
        return len(mine)

    def totals(self, teacher: str) -> dict[str, tuple[int, Charge]]:
        """By status: the number of calls ever made for a teacher, and what they are charged, summed."""
        rows = self._query(
            "SELECT status, count(*), sum(prompt_tokens), sum(completion_tokens), sum(money), sum(money IS NULL), "
            "sum(calls) FROM calls JOIN settings ON settings.id = setting WHERE teacher = ? GROUP BY status",
            (teacher,),
        )
        return {
            status: (count, Charge(prompt, completion, None if unpriced else money, calls))
            for status, count, prompt, completion, money, unpriced, calls in rows
        }

    def paid(self) -> Charge:
        """What this ledger's own calls are charged, of all teachers: without those that another ledger lent an answer to."""
        rows = self._query(
            "SELECT coalesce(sum(prompt_tokens), 0), coalesce(sum(completion_tokens), 0), coalesce(sum(money), 0.0), "
            "coalesce(sum(money IS NULL), 0), coalesce(sum(calls), 0) FROM calls WHERE detail IS NOT ?",
            (LENT,),
        )
        prompt, completion, money, unpriced, calls = rows[0]
        return Charge(prompt, completion, None if unpriced else money, calls)

    def _of(self, questions: Sequence[bytes], statement: str) -> list[Any]:
        rows: list[Any] = []
        for start in range(0, len(questions), CHUNK):
            part = questions[start : start + CHUNK]
            rows += self._query(f"{statement} ({','.join('?' * len(part))})", part)
        return rows

    def _query(self, statement: str, values: Sequence[Any] = ()) -> list[Any]:
        with self._guard, refusals(self.path):
            return self._connection.execute(statement, values).fetchall()

    def _write_now(self, script: str) -> None:
        with self._guard, refusals(self.path):
            self._connection.executescript(script)

    def _write(self, writes: list[Write]) -> asyncio.Future[None]:
        if self._commits is None:
            raise RunError(f"{self.path} was opened for reading only.")
        return self._commits.write(writes)

    def _load_accounts(self) -> None:
        rows = self._query(
            "SELECT teacher, sum(calls), sum(prompt_tokens + completion_tokens), coalesce(sum(money), 0), "
            "sum(money IS NULL) FROM calls JOIN settings ON settings.id = setting GROUP BY teacher"
        )
        for teacher, calls, tokens, money, unpriced in rows:
            self.accounts.settled[teacher] = Sum(calls, tokens, money, unpriced)
