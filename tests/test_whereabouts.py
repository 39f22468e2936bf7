"""Where a model is: paths and ids told apart, and refusals of the hub, a port of this machine, as sentences."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from huggingface_hub import constants

from distrust.errors import DataError
from distrust.pretrained import class_names, load_causal, load_classifier, load_tokenizer, reads_images
from distrust.whereabouts import check_folder, quiet_hub


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with `models/banking`, `models/.cache` and a file."""
    for name in ("banking", "travel", ".cache"):
        (tmp_path / "models" / name).mkdir(parents=True)
    (tmp_path / "models" / "notes.txt").write_text("")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_folders_are_found_and_ids_are_left_to_the_hub(here: Path) -> None:
    assert check_folder("models/banking") == Path("models/banking") and check_folder(str(here)) == here
    assert check_folder("gpt2") is None and check_folder("owner/name-1.5_b") is None


@pytest.mark.parametrize(
    ("where", "words"),
    [
        (
            "models/bankin",
            "no folder models/bankin; did you mean 'banking'? beside it are banking, travel; the hub is not asked",
        ),
        ("./bankin", "no folder ./bankin; beside it are models."),
        ("modles/banking/best", "no folder modles/banking/best, nor modles; did you mean 'models'? beside it are models."),
        ("/no-such-place/x", "no folder /no-such-place/x, nor /no-such-place; beside it are "),
        ("gpt2/", "no folder gpt2/; "),
        ("my model", "no folder my model; "),
        ("models/notes.txt", "models/notes.txt is a file; name the folder"),
        ("~nobody-of-that-name/x", "cannot be read as a folder: "),
        ("x" * 300, "cannot be read as a folder: File name too long."),
    ],
)
def test_what_is_no_folder_and_no_id_is_refused_without_the_hub(here: Path, where: str, words: str) -> None:
    with pytest.raises(DataError) as refused:
        check_folder(where)
    assert words in str(refused.value) and ".cache" not in str(refused.value)


@contextmanager
def hub(monkeypatch: pytest.MonkeyPatch, said: str | None) -> Iterator[list[str]]:
    """A hub that answers every call with one refusal, or is not there; the paths that it was asked for."""
    asked: list[str] = []

    class Refusing(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            asked.append(self.path)
            self.send_response(403 if said == "GatedRepo" else 404)
            self.send_header("X-Error-Code", said or "")
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_HEAD

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with socket.socket() as taken:  # bound and not listened to: a call is refused
        taken.bind(("127.0.0.1", 0))
        server = HTTPServer(("127.0.0.1", 0), Refusing)
        port = taken.getsockname()[1] if said is None else server.server_port
        for name in ("ENDPOINT", "HUGGINGFACE_CO_URL_TEMPLATE"):
            monkeypatch.setattr(
                constants, name, getattr(constants, name).replace("https://huggingface.co", f"http://127.0.0.1:{port}")
            )
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(time, "sleep", lambda _: None)  # between tries: half a minute
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield asked
        finally:
            server.shutdown()
            server.server_close()


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (None, "the hub could not be reached"),
        ("RepoNotFound", "the hub has none of that name"),
        ("GatedRepo", "ask for access on its page"),
        ("RevisionNotFound", "not that revision"),
    ],
)
def test_an_id_is_asked_for_once_and_both_are_said(
    here: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, said: str | None, why: str
) -> None:
    with hub(monkeypatch, said) as asked, pytest.raises(DataError) as refused:
        load_classifier("modells/banking")
    both = (
        "There is no folder modells/banking (did you mean 'models'? here are models), and as a hub id it could not be loaded"
    )
    assert str(refused.value).startswith(both + ": ") and why in str(refused.value)
    assert not caplog.records, "each try is logged"
    assert sum("config.json" in path for path in asked) <= 1


def test_whatever_loads_says_the_same_of_an_id_that_is_nowhere(here: Path) -> None:
    for load in (load_classifier, load_causal, load_tokenizer, class_names, reads_images):
        with pytest.raises(DataError, match=r"no folder banking \(here are models\), .*: HF_HUB_OFFLINE is set"):
            load("banking")
        with pytest.raises(DataError, match="no folder models/bankin; did you mean 'banking'"):
            load("models/bankin")


def test_the_hub_logs_nothing_meanwhile(caplog: pytest.LogCaptureFixture) -> None:
    log = logging.getLogger("huggingface_hub.utils._http")
    with quiet_hub():
        log.error("a try")
    log.error("a try outside")
    assert [one.message for one in caplog.records] == ["a try outside"]


def test_a_folder_here_that_hides_an_id_of_the_hub_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "google" / "bert").mkdir(parents=True)
    with pytest.raises(
        DataError,
        match=r"no folder google/bart; did you mean 'bert'\? .*; the hub is not asked while there is a folder google here",
    ):
        check_folder("google/bart")
