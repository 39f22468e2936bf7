"""The endpoint teacher against real servers: llama.cpp's and `transformers serve`, with a small model made on the spot."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from distrust.errors import TeacherError
from distrust.labels import LabelSpace
from distrust.ledger import Ledger
from distrust.recipe import Budget, Endpoint
from distrust.teachers.endpoint import EndpointTeacher
from tests import servers
from tests.annotating import numbered

SPACE = LabelSpace(servers.LABELS)
Start = Callable[[int], subprocess.Popen[bytes]]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return servers.tiny_llama(tmp_path_factory.mktemp("tiny"))


@contextmanager
def serving(kind: str, model: Path, port: int) -> Iterator[None]:
    start = servers.start_llama_cpp if kind == "llama.cpp" else servers.start_transformers
    server = start(model / "tiny.gguf" if kind == "llama.cpp" else model, port)
    try:
        yield
    finally:
        servers.stop(server, kill=True)


def recipe(model: Path, port: int, **more: Any) -> dict[str, Any]:
    base = {"kind": "endpoint", "name": "tiny", "base_url": f"http://127.0.0.1:{port}/v1", "model": str(model)}
    return base | {"prompt": servers.PROMPT, "max_tokens": 4, "concurrency": 4, "retries": 9} | more


def teacher(ledger: Ledger, model: Path, port: int, **more: Any) -> EndpointTeacher:
    return EndpointTeacher(Endpoint.model_validate(recipe(model, port, **more)), SPACE, ledger, Budget())


@pytest.fixture(scope="module")
def llama_cpp(model: Path) -> Iterator[int]:
    port = servers.free_port()
    with serving("llama.cpp", model, port):
        yield port


def right(claims: torch.Tensor) -> torch.Tensor:
    return (claims == torch.arange(claims.shape[1]) % 3).all()


@pytest.mark.parametrize("api", ["chat", "completions"])
def test_llama_cpp_answers_with_log_probabilities(tmp_path: Path, model: Path, llama_cpp: int, api: str) -> None:
    with Ledger(tmp_path / "l") as ledger:
        one = teacher(ledger, model, llama_cpp, api=api, logprobs=10, seed=0)
        one.reach()
        evidence = one.ask(numbered(30))
        assert right(evidence.claims) and evidence.notes == {}
        assert evidence.logits is not None
        assert torch.equal(evidence.distribution().argmax(-1), evidence.claims[0])
        assert evidence.distribution().max(-1).values.min() > 0.5
        spent = one.spending()
        assert spent.calls == 30 and spent.prompt_tokens >= 240 and spent.money is None


def test_llama_cpp_log_probabilities_are_those_of_the_model(tmp_path: Path, model: Path, llama_cpp: int) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer, local = AutoTokenizer.from_pretrained(model), AutoModelForCausalLM.from_pretrained(model)
    items = numbered(3)
    with Ledger(tmp_path / "l") as ledger:
        evidence = teacher(ledger, model, llama_cpp, api="completions", logprobs=20).ask(items)
    assert evidence.logits is not None
    first = [tokenizer.encode(f" {label}")[0] for label in servers.LABELS]
    for row, text in enumerate(items.inputs):
        ids = torch.tensor([tokenizer.encode(servers.PROMPT.format(text=text))])
        with torch.no_grad():
            expected = local(ids).logits[0, -1].double().log_softmax(-1)[first]
        claimed = int(evidence.claims[0, row])
        assert evidence.logits.dense()[row, claimed].item() == pytest.approx(expected[claimed].item(), abs=1e-2)


def test_llama_cpp_honours_n_and_structure(tmp_path: Path, model: Path, llama_cpp: int) -> None:
    with Ledger(tmp_path / "l") as ledger:
        several = teacher(ledger, model, llama_cpp, honours_n=True, samples=3, temperature=0.7, seed=1).ask(numbered(6))
        assert several.claims.shape == (3, 6) and several.notes.keys() <= {"could not parse", "ambiguous"}
        assert several.cost is not None and several.cost.calls.tolist() == [1] * 6
        forced = {"structured": "json", "max_tokens": 24, "prompt": "zzz {text}"}  # a prompt it never learnt
        assert (teacher(ledger, model, llama_cpp, **forced).ask(numbered(6)).claims >= 0).all()


@pytest.mark.slow
def test_transformers_serve_answers_and_ignores_n(tmp_path: Path, model: Path) -> None:
    port = servers.free_port()
    with serving("transformers", model, port), Ledger(tmp_path / "l") as ledger:
        for api in ("chat", "completions"):
            assert right(teacher(ledger, model, port, api=api).ask(numbered(12)).claims)
        ignored = teacher(ledger, model, port, honours_n=True, samples=3, logprobs=5).ask(numbered(4))
        assert right(ignored.claims) and ignored.logits is None
        assert ignored.notes == {"fewer choices than asked for; the rest was asked singly": 4}
        with pytest.raises(TeacherError, match="HTTP"):
            teacher(ledger, Path("nobody/nothing"), port, retries=0).ask(numbered(8))
        assert right(teacher(ledger, model, port, seed=3).ask(numbered(12)).claims)  # its dropped connections are retried


@pytest.mark.parametrize("kind", ["llama.cpp", pytest.param("transformers", marks=pytest.mark.slow)])
def test_kills_on_either_side_lose_nothing(tmp_path: Path, model: Path, kind: str) -> None:
    """The annotating process is killed half-way and goes on; so is the server, which comes back on the same port."""
    port, count, path = servers.free_port(), 150, tmp_path / "l"
    settings = recipe(model, port)
    with serving(kind, model, port):
        with servers.annotating(path, settings, count) as process:
            confirmed = servers.kill_after(process, 40)
        with Ledger(path, readonly=True) as looking:
            assert count > looking.totals("tiny")["answered"][0] >= confirmed >= 40
        process_again = servers.annotating(path, settings, count)
        process = process_again.__enter__()
        assert process.stdout is not None
        first = int(process.stdout.readline())
        assert first > confirmed  # it went on where it was
        for line in process.stdout:
            if int(line) >= 90:
                break
    with serving(kind, model, port):  # the first server was killed with calls in flight
        assert process.stdout.read().splitlines()[-1] == "ended complete"
    process_again.__exit__(None, None, None)
    with Ledger(path) as ledger:
        totals = ledger.totals("tiny")
        assert totals["answered"][0] == count  # each bought once: one call, one answer
        assert 1 <= totals["unknown"][0] <= 2 * 4
        one = EndpointTeacher(Endpoint.model_validate(settings), SPACE, ledger, Budget())
        assert right(one.ask(numbered(count)).claims)
