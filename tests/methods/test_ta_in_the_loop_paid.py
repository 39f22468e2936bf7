"""ta-in-the-loop by recipe: an endpoint teacher and an endpoint assistant in one ledger, a cap that ends in stage two."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from typer.testing import CliRunner

from distrust.build import opened
from distrust.cli import app
from distrust.errors import RecipeError, RunError
from distrust.files import read_json
from distrust.finish import carry_out, write
from distrust.recipe import Endpoint, Recipe
from distrust.recipe_file import load_recipe
from distrust.report.metrics import metrics
from distrust.report.saved import load_facts
from tests import servers, worlds, writers

TOPICS = {"alpha": "sport", "beta": "money", "gamma": "weather"}


def teacher(address: str, **more: Any) -> dict[str, Any]:
    known = {"kind": "endpoint", "name": "llm", "base_url": f"{address}/fine/v1", "model": "m", "prompt": "T: {text}"}
    return {**known, "labels": TOPICS, "price": {"per_call": 1.0}, "concurrency": 1, **more}


def judge(address: str, **more: Any) -> dict[str, Any]:
    says = {"alpha": "True", "beta": "False", "gamma": "True"}
    return teacher(address, name="judge", prompt="{text}", labels=says, knows=["True", "False"], **more)


def recipe(folder: Path, **more: Any) -> Path:
    options = {"budget": 30, **more.pop("options", {})}
    given = {
        "train": {"num_train_epochs": 2},
        "gold": {"size": 24},
        "method": {"name": "ta-in-the-loop", "options": options},
    }
    return worlds.recipe(folder, **{**given, **more})


def carried(path: Path, *changes: str) -> dict[str, Any]:
    made = load_recipe(path, list(changes))
    with opened(made) as (run, task):
        facts, student = carry_out(run, task, made)
        write(facts, student, run.folder)
        return dict(read_json(run.folder / "metrics.json"))


def test_a_cap_that_ends_buying_in_stage_two_and_what_goes_on_after_it(tmp_path: Path) -> None:
    with servers.loopback() as address:
        path = recipe(
            tmp_path, teachers=[teacher(address, budget={"calls": 20})], assistant=judge(address, price={"per_call": 0.1})
        )
        first = carried(path)
        said = servers.served(address)["served"]
        assert sum(one.startswith("T: ") for one in said) == 20
        assert "llm was not asked all that was wanted: buying ended at teachers.llm.budget.calls." in first["warnings"]
        assert first["buying"]["points"][-1]["items"] == 20, "what the cap left was not bought"
        made = load_recipe(path)
        assert isinstance(made.teachers[0], Endpoint)
        raised = json.dumps([teacher(address, budget={"calls": 100})])
        second = carried(path, f"teachers={raised}")
        said = servers.served(address)["served"]
    asked = {prompt: times for prompt, times in said.items() if prompt.startswith("T: ")}
    assert len(asked) == 30 and set(said.values()) == {1}, "the chosen items and no other, each once"
    spent = second["spending"]["teachers"]
    assert spent["llm"]["calls"] == 30 and spent["judge"]["calls"] == len(said) - 30
    assert second["spending"]["total"]["money"] == pytest.approx(30 + 0.1 * spent["judge"]["calls"])
    assert set(first["teachers"]) == {"llm"}, "the assistant is no teacher of the report"


def test_annotate_buys_what_needs_no_student(tmp_path: Path) -> None:
    with servers.loopback() as address:
        path = recipe(tmp_path, teachers=[teacher(address)], options={"canaries": 4, "stop": "never"})
        done = CliRunner().invoke(app, ["annotate", str(path)])
        assert done.exit_code == 0, done.output
        first = servers.served(address)["served"]
        assert len(first) == 8 + 1, "three tenths of the 26 that are no canaries, and their share of these"
        carried(path)
        said = servers.served(address)["served"]
    assert first.items() <= said.items() and len(said) == 30 and set(said.values()) == {1}


def test_the_assistant_spends_of_the_total_budget(tmp_path: Path) -> None:
    with servers.loopback() as address:
        path = recipe(tmp_path, teachers=[teacher(address)], assistant=judge(address), budget={"calls": 40})
        found = carried(path)
    spent = found["spending"]["teachers"]
    assert spent["llm"]["calls"] + spent["judge"]["calls"] == 40 == found["spending"]["total"]["calls"]
    assert spent["llm"]["calls"] < 30 and found["test"]["student"]


def test_a_report_of_recorded_answers_shows_the_signals_and_what_they_cost(tmp_path: Path) -> None:
    path = recipe(
        tmp_path,
        teachers=[{"kind": "recorded", "name": "teacher", "column": "teacher", "price": {"per_call": 2}}],
        assistant={"kind": "recorded", "name": "cheap", "column": "label", "price": {"per_call": 0.5}},
        options={"canaries": 20, "budget": 60, "signals": ["s1", "s3"], "stop": "advise"},
    )
    found = carried(path)
    assert {"s1: student's self-consistency", "s3: assistant on the teachers"} <= set(found["signals"])
    s3 = found["signals"]["s3: assistant on the teachers"]
    assert s3["items"] == 20 and s3["knows"] == "above" and s3["auroc"]["value"] == 1.0
    spent = found["spending"]["teachers"]
    assert spent["teacher"]["money"] == 120 and spent["cheap"]["money"] == 0.5 * 60
    assert found["teachers"]["teacher"]["judged"] == 20, "on canaries alone"
    page = (tmp_path / "run" / "report.html").read_text()
    assert 'id="signals"' in page and "self-consistency" in page and "method section was not available" in page
    bought = found["buying"]
    assert [one["items"] for one in bought["points"]] == [0, 18, 60], "a share of the canaries goes with each stage"
    assert [one["money"] for one in bought["points"]] == [0.0, 18 * 2.5, 60 * 2.5]
    for point, name in ((bought["points"][0], "gold_only"), (bought["points"][-1], "student")):
        assert point["accuracy"]["value"] == pytest.approx(found["test"][name]["accuracy"]["value"])
    assert "Accuracy against money" in page and metrics(load_facts(tmp_path / "run" / "facts")) == found
    plain = carried(path, "method.name=distill", "method.options={}", f"output_dir={tmp_path / 'plain'}")
    assert (
        plain["signals"] == {}
        and plain["buying"] is None
        and 'id="signals"' not in (tmp_path / "plain" / "report.html").read_text()
    )


def test_a_language_model_of_this_process_is_an_assistant_at_no_price(tmp_path: Path) -> None:
    writers.writer("gpt2").save(tmp_path / "lm")
    local = {"kind": "causal", "name": "lm", "model": str(tmp_path / "lm")}
    found = carried(recipe(tmp_path, assistant=local, options={"calibrate": "none"}))
    s2 = found["signals"]["s2: assistant on the student"]
    assert s2["items"] == 24 and s2["silent"] == 0 and len({one["confidence"] for one in s2["bins"]}) >= 1
    assert found["spending"]["teachers"]["lm"]["money"] == 0 == found["spending"]["teachers"]["lm"]["calls"]
    likely = {"calibrate": "none", "confidence": "likelihood"}
    again = carried(recipe(tmp_path, assistant=local, options=likely, output_dir=str(tmp_path / "likely")))
    assert again["signals"]["s2: assistant on the student"]["silent"] == 0
    with pytest.raises(RunError, match="give the assistant the kind causal"):
        carried(recipe(tmp_path, assistant={"kind": "recorded", "name": "x", "column": "label"}, options=likely))
    with pytest.raises(RecipeError, match="writes open answers; where there are classes it says `truth`"):
        load_recipe(recipe(tmp_path, assistant={**local, "says": "answers"}))


def test_an_assistant_may_state_how_sure_it_is(tmp_path: Path) -> None:
    stated = {"calibrate": "none", "confidence": "stated", "stop": "never"}
    with servers.loopback() as address:
        sure = teacher(address, name="sure", base_url=f"{address}/number/v1", prompt="{text}", labels={})
        found = carried(recipe(tmp_path, assistant=sure, options=stated))
        asked = [one for one in servers.served(address)["served"] if "How likely is it" in one]
        assert found["spending"]["teachers"]["sure"]["calls"] == len(asked) > 100, "a claim each of what is left, and bought"
        for wrong in ({"kind": "recorded", "name": "x", "column": "label"}, judge(address), {**sure, "prompt": "How sure?"}):
            with pytest.raises(RunError, match="replies a number: give the assistant the kind endpoint"):
                carried(recipe(tmp_path, assistant=wrong, options=stated, output_dir=str(tmp_path / "wrong")))
    s2 = found["signals"]["s2: assistant on the student"]
    assert s2["silent"] == 0 and s2["items"] == 24
    assert not any("could not parse" in one for one in found["warnings"]), "a number is what it was asked for"


@pytest.mark.parametrize(
    ("assistant", "sentence"),
    [
        ({"kind": "recorded", "name": "teacher"}, "two teachers are named 'teacher'"),
        ({"kind": "endpoint", "name": "j", "base_url": "x", "model": "m", "knows": ["True", "False"]}, "it needs `prompt: "),
        ({"kind": "oracle", "name": "j"}, "oracle"),
    ],
)
def test_a_recipe_with_a_wrong_assistant_is_refused(assistant: dict[str, Any], sentence: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=sentence):
        load_recipe(recipe(tmp_path, assistant=assistant))


def test_a_judge_may_say_true_or_false_of_open_answers() -> None:
    raw: dict[str, Any] = {
        "data": {"pool": {"path": "p.csv"}},
        "task": "generation",
        "student": {"kind": "causal", "config": {"model_type": "gpt2"}},
        "teachers": [{"kind": "recorded", "name": "t"}],
    }
    assert Recipe.model_validate({**raw, "assistant": judge("x")}).assistant is not None
    with pytest.raises(ValidationError, match="is a classifier and writes no texts"):
        Recipe.model_validate({**raw, "assistant": {"kind": "classifier", "name": "c", "model": "m"}})
