from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from distrust.budget import NOTHING, CapReachedError, Charge
from distrust.commits import connect
from distrust.errors import RunError
from distrust.ledger import Answer, Ledger, Setting
from distrust.recipe import Budget

FREE = Budget()
WORST = Charge(10, 5, 0.15)
REAL = Charge(8, 2, 0.1)


async def buy(ledger: Ledger, setting: Setting, question: bytes, *answers: Answer, charge: Charge = REAL) -> None:
    call = await ledger.reserve(setting, question, "item", WORST, FREE, FREE)
    assert call is not None
    await ledger.settle(call, "answered", charge, answers)


def test_what_is_bought_is_there_after_a_restart(tmp_path: Path) -> None:
    with Ledger(tmp_path / "sub" / "ledger.db") as ledger:
        setting = ledger.setting("t", {"model": "m"})
        asyncio.run(buy(ledger, setting, b"q", Answer(0, "yes\x1b\x00", "stop", "[1]"), Answer(1, "no")))
        asyncio.run(buy(ledger, setting, b"q", Answer(2, "third")))
    with Ledger(tmp_path / "sub" / "ledger.db") as ledger:
        assert ledger.setting("t", {"model": "m"}) == setting
        assert ledger.setting("t", {"model": "n"}) != setting
        assert ledger.samples([b"q", b"r"]) == {b"q": {0, 1, 2}}
        found = ledger.answers([b"q", b"r"])
        assert found == {
            b"q": [(Answer(0, "yes\x1b\x00", "stop", "[1]"), REAL), (Answer(1, "no"), NOTHING), (Answer(2, "third"), REAL)]
        }
        assert ledger.totals("t") == {"answered": (2, Charge(16, 4, 0.2, 2))} and ledger.paid() == Charge(16, 4, 0.2, 2)
        assert ledger.accounts.money("t") == pytest.approx(0.2)


def test_what_sqlite_cannot_hold_is_refused_and_nobody_waits_for_ever(tmp_path: Path) -> None:
    with Ledger(tmp_path / "l") as ledger:
        setting = ledger.setting("t", {"prompt": "\ud800"})
        with pytest.raises(RunError, match="could not be used"):
            asyncio.run(asyncio.wait_for(buy(ledger, setting, b"q", Answer(0, "half a pair: \ud800")), 20))
        asyncio.run(buy(ledger, setting, b"r", Answer(0, "fine")))
        assert ledger.samples([b"q", b"r"]) == {b"r": {0}}


def test_more_questions_than_one_look_up(tmp_path: Path) -> None:
    questions = [bytes([number // 256, number % 256]) for number in range(700)]
    with Ledger(tmp_path / "l") as ledger:
        setting = ledger.setting("t", {})

        async def all_at_once() -> None:
            await asyncio.gather(*(buy(ledger, setting, one, Answer(0, one.hex())) for one in questions))

        asyncio.run(all_at_once())
        assert set(ledger.samples(questions)) == set(questions)
        assert all(found[0][0].text == question.hex() for question, found in ledger.answers(questions).items())


def test_a_cap_counts_what_earlier_processes_spent(tmp_path: Path) -> None:
    with Ledger(tmp_path / "l") as ledger:
        asyncio.run(buy(ledger, ledger.setting("t", {}), b"q", Answer(0, "x")))
    with Ledger(tmp_path / "l") as ledger, pytest.raises(CapReachedError, match=r"budget\.calls"):
        asyncio.run(ledger.reserve(ledger.setting("t", {}), b"r", "i", WORST, Budget(calls=1), FREE))


def test_an_answer_is_never_replaced(tmp_path: Path) -> None:
    with Ledger(tmp_path / "l") as ledger:
        setting = ledger.setting("t", {})
        asyncio.run(buy(ledger, setting, b"q", Answer(0, "first")))
        asyncio.run(buy(ledger, setting, b"q", Answer(0, "second")))
        assert [one.text for one, _ in ledger.answers([b"q"])[b"q"]] == ["first"]


def test_unknown_money_stays_unknown(tmp_path: Path) -> None:
    with Ledger(tmp_path / "l") as ledger:
        setting = ledger.setting("t", {})
        asyncio.run(buy(ledger, setting, b"q", Answer(0, "x"), charge=Charge(1, 1, 0.5)))
        asyncio.run(buy(ledger, setting, b"r", Answer(0, "x"), charge=Charge(1, 1, None)))
        assert ledger.totals("t")["answered"][1].money is None
    with Ledger(tmp_path / "l") as ledger:
        assert ledger.accounts.money("t") is None


def test_an_open_call_can_be_abandoned_and_is_charged(tmp_path: Path) -> None:
    async def leave(ledger: Ledger) -> None:
        setting = ledger.setting("t", {})
        await ledger.reserve(setting, b"q", "i", WORST, FREE, FREE)
        assert await ledger.abandon(setting) == 1
        assert await ledger.abandon(setting) == 0

    with Ledger(tmp_path / "l") as ledger:
        asyncio.run(leave(ledger))
        assert ledger.totals("t") == {"unknown": (1, WORST)}
        assert ledger.accounts.settled["t"].tokens == 15 and ledger.accounts.reserved["t"].tokens == 0


KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from distrust.budget import Charge
from distrust.ledger import Answer, Ledger
from distrust.recipe import Budget

async def main():
    ledger = Ledger(Path(sys.argv[1]))
    setting = ledger.setting("t", {})
    worst, none = Charge(10, 5, 0.15), Budget()
    calls = [await ledger.reserve(setting, bytes([n]), f"item {n}", worst, none, none) for n in range(5)]
    await ledger.settle(calls[0], "answered", Charge(8, 2, 0.1), [Answer(0, "kept")])
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


def test_a_kill_makes_reservations_unknown_and_keeps_what_was_confirmed(tmp_path: Path) -> None:
    killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "l")], timeout=120)
    assert killed.returncode == -9
    with Ledger(tmp_path / "l", readonly=True) as looking:
        assert looking.totals("t")["reserved"] == (4, Charge(40, 20, pytest.approx(0.6), 4))
    with Ledger(tmp_path / "l") as ledger:
        assert ledger.totals("t") == {"answered": (1, REAL), "unknown": (4, Charge(40, 20, pytest.approx(0.6), 4))}
        assert ledger.answers([bytes([n]) for n in range(5)]).keys() == {b"\x00"}
        assert ledger.accounts.settled["t"].calls == 5


def test_a_second_process_is_refused_but_may_look(tmp_path: Path) -> None:
    other = "import sys, pathlib, distrust.ledger as l; l.Ledger(pathlib.Path(sys.argv[1]), readonly=len(sys.argv) > 2)"
    with Ledger(tmp_path / "l") as ledger:
        asyncio.run(buy(ledger, ledger.setting("t", {}), b"q", Answer(0, "x")))
        refused = subprocess.run(
            [sys.executable, "-c", other, str(tmp_path / "l")], capture_output=True, text=True, timeout=120
        )
        assert "RunError" in refused.stderr and "in use by another process" in refused.stderr
        looking = subprocess.run(
            [sys.executable, "-c", other, str(tmp_path / "l"), "look"], capture_output=True, text=True, timeout=120
        )
        assert looking.returncode == 0, looking.stderr
    Ledger(tmp_path / "l").close()


@pytest.mark.parametrize("name", ["l", "a?b#c%20 d"])  # SQLite reads a path as a URI when it only looks
def test_looking_changes_nothing_and_misses_nothing(tmp_path: Path, name: str) -> None:
    with pytest.raises(RunError, match="nothing was bought yet"):
        Ledger(tmp_path / name, readonly=True)
    with Ledger(tmp_path / name) as ledger:
        asyncio.run(buy(ledger, ledger.setting("t", {}), b"q", Answer(0, "x")))
        with Ledger(tmp_path / name, readonly=True) as looking:
            assert looking.samples([b"q"]) == {b"q": {0}}
            assert looking.setting("new", {}).id == 0
            with pytest.raises(RunError, match="for reading only"):
                asyncio.run(buy(looking, looking.setting("t", {}), b"r"))


def test_a_full_disk_is_a_sentence_and_keeps_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Ledger(tmp_path / "l") as ledger:
        setting = ledger.setting("t", {})
        asyncio.run(buy(ledger, setting, b"q", Answer(0, "kept")))
    file = tmp_path / "l"

    def small(path: Path, readonly: bool = False) -> sqlite3.Connection:
        connection = connect(path, readonly)
        connection.execute("PRAGMA max_page_count = 1")  # SQLite then fails as on a full disk: no page beyond those it has
        return connection

    monkeypatch.setattr("distrust.commits.connect", small)
    with Ledger(file) as ledger:
        with pytest.raises(RunError, match="disk is full"):
            asyncio.run(buy(ledger, setting, b"r", Answer(0, "x" * 100_000)))
        assert ledger.samples([b"q", b"r"]) == {b"q": {0}}
    monkeypatch.undo()
    with Ledger(file) as ledger:
        asyncio.run(buy(ledger, setting, b"r", Answer(0, "x" * 100_000)))


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only for root")
def test_a_read_only_folder_is_a_sentence(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(RunError, match="cannot be written"):
        Ledger(tmp_path / "l")


def test_a_folder_that_is_a_file_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot be written"):
        Ledger(tmp_path / "file" / "l")


def test_another_file_is_no_ledger(tmp_path: Path) -> None:
    (tmp_path / "l").write_text("id,text\n" * 1000)
    with pytest.raises(RunError, match="no ledger or is damaged"):
        Ledger(tmp_path / "l")
    assert (tmp_path / "l").read_text() == "id,text\n" * 1000
    (tmp_path / "l").unlink()
    Ledger(tmp_path / "l").close()  # the refusal let go of its lock


def test_a_ledger_killed_before_it_had_its_tables_counts_as_nothing_bought(tmp_path: Path) -> None:
    (tmp_path / "ledger.sqlite").write_bytes(b"")
    with Ledger(tmp_path / "ledger.sqlite", readonly=True) as ledger:
        assert ledger.totals("t") == {} and not ledger.accounts.settled
    assert (tmp_path / "ledger.sqlite").read_bytes() == b""
