"""The stranger's afternoon, carried out as its page has it: tables, a stand-in server, every command in its order."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.world import caller
from tests.test_docs import blocks, commands

PAGE, PORT = "afternoon.md", "8089"


@contextmanager
def serving(program: Path, port: int) -> Iterator[None]:
    """The page's server in a process of its own, until it is no longer needed."""
    process = subprocess.Popen([sys.executable, str(program)])
    try:
        for _ in range(200):
            with socket.socket() as tried:
                if tried.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield
    finally:
        process.kill()
        process.wait()


@pytest.mark.slow
def test_the_afternoon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for content in [*blocks(PAGE, "python"), *blocks(PAGE, "yaml")]:
        name = content.split("\n", 1)[0].removeprefix("# ")
        Path(name).write_text(content.replace(PORT, str(port)), encoding="utf-8")
    subprocess.run([sys.executable, "tables.py"], check=True)
    call = caller(monkeypatch, capsys)
    with serving(Path("server.py"), port):
        for block in blocks(PAGE, "sh"):
            for line in commands(block):
                code, out, err = call(*line)
                assert code == 0, (line, out, err)
    for run in ("llm", "many", "few", "two", "three", "merged"):
        assert Path(f"runs/{run}/report.html").is_file() and Path(f"runs/{run}/student").is_dir(), run
    assert len(Path("predictions.jsonl").read_text(encoding="utf-8").splitlines()) == 100
    assert list(Path("runs").rglob("comparison.html"))
