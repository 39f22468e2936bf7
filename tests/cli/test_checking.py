"""`distrust doctor`: every part of a recipe that cannot work is found, and nothing is bought, left behind or quoted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import servers
from tests.cli.world import LABELS, Call, news, write
from tests.models import save_classifier

KEY = "sk-very-secret-0123456789"


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with servers.loopback() as address:
        yield address


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A recipe without fault, as plain values; the working folder holds its table."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "pool.csv", news(30, gold=10))
    return {
        "data": {"pool": {"path": "pool.csv", "id": "id"}},
        "labels": list(LABELS),
        "gold": {"label": "label"},
        "teachers": [{"kind": "recorded", "name": "gpt", "column": "gpt_label"}],
        "output_dir": "runs/deep/mine",
    }


def checked(distrust: Call, recipe: dict[str, Any]) -> tuple[int, dict[str, tuple[str, str]]]:
    """The exit code, and by what was looked at: ok or PROBLEM, and the sentence."""
    Path("recipe.yaml").write_text(json.dumps(recipe))
    code, out, err = distrust("doctor", "recipe.yaml")
    assert err == "" and KEY not in out and "\x1b" not in out
    lines = out.splitlines()[:-1] if code else out.splitlines()
    said = {}
    for line in lines:
        name = line[9:].split("  ")[0] if "  " in line[9:] else " ".join(line[9:].split(" ")[:2])
        said[name.strip()] = (line.split()[0], line[9 + len(name) :].strip())
    return code, said


def server(address: str, mode: str = "fine", **more: Any) -> dict[str, Any]:
    return {"kind": "endpoint", "name": "llm", "base_url": f"{address}/{mode}/v1", "model": "m", "prompt": "{text}"} | more


def test_without_a_recipe_it_tells_of_the_installation(distrust: Call) -> None:
    code, out, _ = distrust("doctor")
    assert code == 0 and all(line.startswith("ok ") for line in out.splitlines())
    assert "torch " in out and "CPU cores" in out


def test_a_good_recipe_is_well_and_nothing_is_left_behind(distrust: Call, world: dict[str, Any], address: str) -> None:
    world["teachers"].append(server(address, price={"per_call": 0.1}))
    servers.forget(address)
    code, said = checked(distrust, world)
    assert code == 0 and {state for state, _ in said.values()} == {"ok"}
    assert said["data"][1].startswith("30 items, 3 classes, 10 gold labels, no test set")
    assert said["teacher gpt"][1] == "30 of 30 items have an answer"
    assert said["teacher llm"][1] == f"{address}/fine/v1 answers; no key, price known"
    assert said["output_dir"][1].startswith("runs/deep/mine can be written, ")
    assert servers.served(address)["served"] == {}
    assert sorted(one.name for one in Path().iterdir()) == ["pool.csv", "recipe.yaml"]


def test_a_key_is_looked_for_and_never_shown(
    distrust: Call, world: dict[str, Any], address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world["teachers"] = [server(address, api_key="${MY_LLM_KEY}")]
    monkeypatch.delenv("MY_LLM_KEY", raising=False)
    code, said = checked(distrust, world)
    assert code == 2 and said["teacher llm"] == (
        "PROBLEM",
        "The recipe uses ${MY_LLM_KEY} but the environment variable MY_LLM_KEY is not set.",
    )
    monkeypatch.setenv("MY_LLM_KEY", KEY)
    code, said = checked(distrust, world)
    assert code == 0 and said["teacher llm"][1].endswith("answers; its key ${MY_LLM_KEY} is set, price unknown")
    world["teachers"] = [server(address, "unauthorized", api_key="${MY_LLM_KEY}")]
    code, said = checked(distrust, world)
    assert code == 2 and said["teacher llm"][0] == "PROBLEM" and "HTTP 401" in said["teacher llm"][1]


@pytest.mark.parametrize("status", [404, 405])
def test_a_server_that_lists_no_models_is_well(distrust: Call, world: dict[str, Any], address: str, status: int) -> None:
    world["teachers"] = [server(address, f"unlisted_{status}")]
    code, said = checked(distrust, world)
    assert code == 0 and said["teacher llm"][0] == "ok"
    assert said["teacher llm"][1].endswith(
        "answers; no key, price unknown; the server does not list its models, so that a wrong "
        "address or model shows when the first item is asked"
    )


def test_a_model_that_is_not_in_the_list_is_named(distrust: Call, world: dict[str, Any], address: str) -> None:
    world["teachers"] = [server(address, model="medum-8b")]
    code, said = checked(distrust, world)
    assert code == 0 and said["teacher llm"][0] == "ok"
    words = "the server lists no model 'medum-8b'; did you mean 'medium-8b:latest'? it has m, medium-8b:latest"
    assert said["teacher llm"][1].endswith(words)


def test_a_classifier_is_loaded(distrust: Call, world: dict[str, Any]) -> None:
    save_classifier(Path("good"), LABELS)
    save_classifier(Path("other"), ("x", "y"))
    world["teachers"] = [{"kind": "classifier", "name": name, "model": f"./{name}"} for name in ("good", "other", "none")]
    code, said = checked(distrust, world)
    assert code == 2 and said["teacher good"] == ("ok", "loads; it knows 3 of the task's 3 classes")
    assert said["teacher other"][0] == said["teacher none"][0] == "PROBLEM"


@pytest.mark.parametrize(
    "change, what, said",
    [
        ({"lables": []}, "recipe", "unknown key 'lables'; did you mean 'labels'?"),
        ({"method": {"name": "distil"}}, "recipe", "There is no method 'distil'; did you mean 'distill'?"),
        ({"teachers": []}, "recipe", "asks teachers; name one"),
        ({"data": {"pool": {"path": "pol.csv"}}}, "data", "There is no file pol.csv; did you mean 'pool.csv'?"),
        ({"data": {"pool": {"path": "pol.csv"}}}, "teacher gpt", "since the data cannot be read; mend that first"),
        ({"labels": ["alpha", "beta"]}, "data", "the label space"),
        ({"gold": {"label": "gold"}}, "data", "has no column 'gold'"),
        ({"output_dir": "pool.csv/run"}, "output_dir", "cannot be written"),
        ({"output_dir": "${NO_SUCH_VARIABLE}"}, "output_dir", "NO_SUCH_VARIABLE is not set"),
        (
            {"teachers": [{"kind": "recorded", "name": "gpt", "column": "gtp_label"}]},
            "teacher gpt",
            "did you mean 'gpt_label'?",
        ),
        (
            {"teachers": [{"kind": "recorded", "name": "gpt", "column": "text"}]},
            "teacher gpt",
            "has no label in common with the task",
        ),
        ({"teachers": [server("http://127.0.0.1:9")]}, "teacher llm", "cannot be reached"),
        ({"teachers": [server("ftp://x")]}, "teacher llm", "it looks like http://host:8000/v1"),
        ({"teachers": [server("http://127.0.0.1:9", prompt="{txet}")]}, "teacher llm", "did you mean 'text'?"),
    ],
)
def test_each_fault_is_found(distrust: Call, world: dict[str, Any], change: dict[str, Any], what: str, said: str) -> None:
    code, found = checked(distrust, world | change)
    assert code == 2 and found[what][0] == "PROBLEM" and said in found[what][1]
    assert not Path("runs").exists()


def test_a_run_folder_of_another_task_is_found(distrust: Call, world: dict[str, Any]) -> None:
    Path("recipe.yaml").write_text(json.dumps(world))
    assert (
        distrust("run", "recipe.yaml", "--set", "train.num_train_epochs=1", "--set", "student={kind: ngram, buckets: 256}")[
            0
        ]
        == 0
    )
    assert checked(distrust, world)[0] == 0
    code, said = checked(distrust, world | {"labels": [*LABELS, "delta"]})
    assert code == 2 and "is the run of another recipe: labels differ" in said["output_dir"][1]
