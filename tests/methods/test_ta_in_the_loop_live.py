"""ta-in-the-loop against real servers that answer and judge: a cap that ends in stage two, and a killed process.

llama.cpp's server gives log-probabilities, so its model is shown answers and P(True) is read; `transformers serve` gives
none, so its model's own samples are compared with the answers.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from distrust.assistant import TRUE_OR_FALSE
from distrust.build import opened
from distrust.files import read_json
from distrust.finish import carry_out, write
from distrust.recipe_file import load_recipe
from tests import servers, writers

pytestmark = pytest.mark.slow
ASKED = "Q: {prompt}\nA:"
ITEMS, SAYS = writers.flips(400, most=2)
UNIQUE = {ITEMS.text(row): says for row, says in enumerate(SAYS)}  # 42 coins
COUNT, BUDGET, CAP = 26, 20, 14  # the pool, the items to buy (6 at random, then 14), and where the money ends


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that answers coins, and says of most answers whether they are true."""
    lines = [ASKED.format(prompt=prompt) + f" {says}" for prompt, says in UNIQUE.items()]
    for claim in ("yes", "no"):
        lines += [TRUE_OR_FALSE.format(prompt=prompt, claim=claim) + f" {says == claim}" for prompt, says in UNIQUE.items()]
    return servers.tiny_llama(tmp_path_factory.mktemp("coins"), lines, steps=240)


@contextmanager
def serving(kind: str, model: Path) -> Iterator[int]:
    port = servers.free_port()
    start = servers.start_llama_cpp if kind == "llama.cpp" else servers.start_transformers
    server = start(model / "tiny.gguf" if kind == "llama.cpp" else model, port)
    try:
        yield port
    finally:
        servers.stop(server, kill=True)


def recipe(folder: Path, model: Path, port: int, assistant: dict[str, Any], **teacher: Any) -> Path:
    rows = [{"id": f"c{row}", "prompt": one, "completion": says} for row, (one, says) in enumerate(UNIQUE.items())]
    for name, part in (("pool", rows[:COUNT]), ("test", rows[COUNT:])):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in part))
    known = {"kind": "endpoint", "base_url": f"http://127.0.0.1:{port}/v1", "model": str(model), "price": {"per_call": 1.0}}
    known |= {"max_tokens": 4, "concurrency": 1, "retries": 9}
    raw = {
        "task": "generation",
        "answer": {"kind": "yes_no"},
        "data": {one: {"path": str(folder / f"{one}.jsonl"), "id": "id"} for one in ("pool", "test")},
        "teachers": [{**known, "name": "llm", "prompt": ASKED, **teacher}],
        "assistant": {**known, "name": "cheap", "price": {"per_call": 0.1}, **assistant},
        "student": {
            "kind": "causal",
            "config": writers.GPT2,
            "vocabulary": 300,
            "max_prompt_length": 48,
            "max_completion_length": 8,
        },
        "train": {"num_train_epochs": 12, "learning_rate": 1e-2, "per_device_train_batch_size": 8},
        "method": {
            "name": "ta-in-the-loop",
            "options": {"budget": BUDGET, "stop": "never", "conflict": False, "gold_weight": 0},
        },
        "threads": 1,
        "output_dir": str(folder / "run"),
    }
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(raw))
    return path


JUDGE = {"prompt": "{text}", "knows": ["True", "False"], "logprobs": 10}
ANSWERS = {"prompt": ASKED, "samples": 2, "temperature": 0.7}


def carried(path: Path, *changes: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A recipe's metrics, and the evidence of its assistant."""
    made = load_recipe(path, list(changes))
    with opened(made) as (run, task):
        facts, student = carry_out(run, task, made)
        write(facts, student, run.folder)
        return dict(read_json(run.folder / "metrics.json")), {one.source: one for one in run.assisted()}


def answered(folder: Path) -> dict[str, list[tuple[int, str]]]:
    """Of each teacher the settled answers, as call and item, in the order in which they came."""
    with sqlite3.connect(folder / "run" / "ledger.sqlite") as book:
        rows = book.execute(
            "SELECT teacher, answers.call, item FROM answers JOIN calls ON calls.id = call "
            "JOIN settings ON settings.id = calls.setting ORDER BY answers.call"
        ).fetchall()
    found: dict[str, list[tuple[int, str]]] = {}
    for teacher, call, item in rows:
        found.setdefault(teacher, []).append((call, item))
    return found


@pytest.mark.parametrize("kind", ["llama.cpp", "transformers"])
def test_the_whole_loop_with_a_budget_that_ends_in_stage_two(kind: str, model: Path, tmp_path: Path) -> None:
    says = JUDGE if kind == "llama.cpp" else ANSWERS
    with serving(kind, model) as port:
        path = recipe(tmp_path, model, port, says, budget={"calls": CAP})
        first, _ = carried(path)
        before = answered(tmp_path)
        capped = json.loads(json.dumps(load_recipe(path).model_dump(mode="json")["teachers"]))
        capped[0]["budget"] = {"calls": 100}
        second, said = carried(path, f"teachers={json.dumps(capped)}")
    assert len(before["llm"]) == CAP and first["spending"]["teachers"]["llm"]["calls"] == CAP
    assert "llm was not asked all that was wanted: buying ended at teachers.llm.budget.calls." in first["warnings"]
    assert [one["items"] for one in first["buying"]["points"]] == [6, CAP], "it ended in the middle of stage two"
    assert [one["items"] for one in second["buying"]["points"]] == [6, BUDGET] and second["test"]["student"]
    after = answered(tmp_path)
    assert after["llm"][:CAP] == before["llm"], "what was bought is kept"
    assert len(after["llm"]) == BUDGET == len({item for _, item in after["llm"]}), "each item once, and no more than Q"
    assert second["spending"]["teachers"]["llm"]["calls"] == BUDGET
    assert not any("buying ended" in one for one in second["warnings"])
    confident = said["cheap"].distribution() if kind == "llama.cpp" else None
    if confident is not None:
        assert len({round(float(one), 6) for one in confident[:, 0]}) > 5, "log-probabilities are no votes"
    else:
        assert said["cheap"].logits is None and said["cheap"].claims.shape[0] == 2, "samples that agree or do not"


@pytest.mark.parametrize("after", [3, 10])
def test_a_killed_process_goes_on_and_pays_for_nothing_twice(after: int, model: Path, tmp_path: Path) -> None:
    """SIGKILL in stage one, and in the middle of stage two."""
    with serving("llama.cpp", model) as port:
        path = recipe(tmp_path, model, port, JUDGE)
        command = [str(Path(sys.executable).with_name("distrust")), "run", str(path)]
        running = subprocess.Popen(
            command, env=os.environ | {"OMP_NUM_THREADS": "1"}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 200
        try:
            while time.monotonic() < deadline and running.poll() is None and bought(tmp_path) < after:
                time.sleep(0.01)
        finally:
            running.send_signal(signal.SIGKILL)
            running.wait()
        before = answered(tmp_path)
        assert after <= len(before["llm"]) < BUDGET, "killed while buying"
        found, _ = carried(path)
        alone = tmp_path / "alone"
        alone.mkdir()
        whole, _ = carried(recipe(alone, model, port, JUDGE))
    now = answered(tmp_path)
    assert now["llm"][: len(before["llm"])] == before["llm"]
    assert len(now["llm"]) == BUDGET == len({item for _, item in now["llm"]}), "each item once"
    assert {item for _, item in now["llm"]} == {item for _, item in answered(alone)["llm"]}, "the choice is the same"
    calls = found["spending"]["teachers"]
    assert calls["llm"]["calls"] <= BUDGET + 1, "at most the call in flight is paid and lost"
    assert found["test"]["student"] == whole["test"]["student"]


def bought(folder: Path) -> int:
    """How many answers of the teacher the ledger holds by now."""
    try:
        return len(answered(folder).get("llm", []))
    except sqlite3.OperationalError:  # no file, or no tables yet
        return 0
