"""A generation task from the recipe to the report, on coins that people flip."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from distrust.build import load_student
from distrust.files import read_json
from distrust.store import load_tensors
from distrust.students.causal import CausalStudent
from tests.cli.world import Call, caller
from tests.test_processes import torchrun
from tests.writers import LLAMA, flips

HOSTILE = "<script>alert(1)</script>\x1b[31m The answer is"


def rows(count: int, seed: int, wrong: float = 0.1) -> list[dict[str, Any]]:
    """Prompts with the right completion, a teacher that is wrong on some, and a second one that often says nothing."""
    draw = random.Random(seed)
    items, answers = flips(count, seed, most=2)
    found = []
    for row, answer in enumerate(answers):
        other = "yes" if answer == "no" else "no"
        said = other if draw.random() < wrong else answer
        weak = None if draw.random() < 0.3 else draw.choice(["yes", "no", "who knows"])
        found.append({"id": f"{seed}-{row}", "prompt": items.text(row), "completion": answer, "llm": said, "weak": weak})
    return found


def write(path: Path, lines: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def recipe(folder: Path, **changes: Any) -> Path:
    """A recipe over files in `folder`: 120 prompts to learn from, 40 to test on, 12 gold, two recorded teachers."""
    write(folder / "pool.jsonl", rows(120, 1))
    write(folder / "test.jsonl", rows(40, 2))
    write(folder / "said.jsonl", [{"id": line["id"], "weak": line["weak"]} for line in rows(120, 1) + rows(40, 2)])
    raw: dict[str, Any] = {
        "task": "generation",
        "answer": {"kind": "yes_no"},
        "data": {
            "pool": {"path": str(folder / "pool.jsonl"), "id": "id"},
            "test": {"path": str(folder / "test.jsonl"), "id": "id"},
        },
        "gold": {"size": 12},
        "teachers": [
            {"kind": "recorded", "name": "llm", "column": "llm", "price": {"per_call": 0.01}},
            {"kind": "recorded", "name": "weak", "path": str(folder / "said.jsonl"), "id": "id", "column": "weak"},
        ],
        "student": {
            "kind": "causal",
            "config": LLAMA,
            "vocabulary": 300,
            "max_prompt_length": 48,
            "max_completion_length": 12,
        },
        "train": {"num_train_epochs": 16, "learning_rate": 5e-3, "per_device_train_batch_size": 16},
        "threads": 1,
        "output_dir": str(folder / "run"),
    }
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(raw | changes))
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what `distrust run` left of the recipe, in `run`."""
    from typer.testing import CliRunner

    from distrust.cli import app

    folder = tmp_path_factory.mktemp("generation")
    path = recipe(folder)
    lines = [json.loads(line) for line in (folder / "pool.jsonl").read_text().splitlines()]
    lines[7]["llm"] = f"{HOSTILE} {lines[7]['llm']}."
    lines[8]["llm"] = "half a pair \ud800 yes"
    write(folder / "pool.jsonl", lines)
    done = CliRunner().invoke(app, ["run", str(path)])
    assert done.exit_code == 0, (done.output, done.exception)
    return folder


@pytest.fixture
def distrust(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    return caller(monkeypatch, capsys)


def test_figures_of_a_run(trained: Path) -> None:
    found = read_json(trained / "run" / "metrics.json")
    student, gold_only = found["test"]["student"], found["test"]["gold_only"]
    assert found["labels"] is None and found["items"] == {"pool": 120, "gold": 12, "judging": 12, "test": 40}
    assert student["accuracy"]["value"] >= 0.8 and student["token_f1"]["value"] >= 0.8 >= 0 and "nll" not in student
    assert set(student) == set(gold_only) == {"accuracy", "token_f1", "rouge_l", "bins"}
    assert set(found["texts"]) == {"gold-only", "weak"}, "the teacher in a column of the pool knows no test item"
    gap = found["texts"]["weak"]["token_f1"]
    assert gap["verdict"] == "above" and gap["difference"]["low"] > 0 and gap["items"] < 40, "where it answered"
    assert found["teachers"]["llm"]["knows"] is None and found["teachers"]["llm"]["confusions"] == []
    assert found["teachers"]["llm"]["coverage"] == pytest.approx(119 / 120), "half a pair is no text"
    assert found["teachers"]["weak"]["notes"]["no answer"] > 20
    assert 0 < found["teachers"]["weak"]["believed"] < found["teachers"]["llm"]["believed"] <= 1
    assert found["verdicts"]["best_teacher"]["name"] == "llm" and found["verdicts"]["gold_only"]["paired"]
    assert found["targets"]["items"] == 120 and found["spending"]["teachers"]["llm"]["money"] == pytest.approx(1.19)


def test_what_teachers_say_of_the_same_item_agrees(trained: Path) -> None:
    """By hand: agreement of both teachers, and accuracy of one, from the tables themselves."""
    found = read_json(trained / "run" / "metrics.json")
    spoke = [line for line in rows(40, 2) if line["weak"] in ("yes", "no")]
    judged = found["test"]["teachers"]["weak"]
    assert judged["judged"] == len(spoke)
    assert judged["accuracy"]["value"] == pytest.approx(
        sum(line["weak"] == line["completion"] for line in spoke) / len(spoke)
    )
    both = [line for row, line in enumerate(rows(120, 1)) if line["weak"] in ("yes", "no") and row != 8]
    same = sum(line["llm"] == line["weak"] for line in both)
    assert found["agreement"]["values"][0][1] == pytest.approx(same / len(both))


def test_the_page_is_inert_and_complete(trained: Path, distrust: Call) -> None:
    page = (trained / "run" / "report.html").read_text()
    assert "open answers" in page and "Rouge-L" in page and "token F1" in page
    assert "<script>alert" not in page and "\x1b" not in page
    code, out, _ = distrust("report", trained / "run")
    assert code == 0 and "Report:" in out
    assert (trained / "run" / "report.html").read_text() == page, "the same from what was saved"
    card = (trained / "run" / "student" / "README.md").read_text()
    assert "text-generation" in card and "Rouge-L" in card and "answer 1" not in card


def test_why_and_doctor_and_plan_speak_of_texts(trained: Path, distrust: Call) -> None:
    code, out, err = distrust("why", "1-7", "--run", trained / "run")
    assert code == 0, err
    assert "alert(1)" in out and "\x1b" not in out and "the student now says: " in out
    code, out, _ = distrust("doctor", trained / "recipe.yaml")
    assert code == 0 and "open answers" in out and "119 of 120 items have an answer" in out
    assert distrust("plan", trained / "recipe.yaml")[0] == 0
    assert distrust("annotate", trained / "recipe.yaml")[0] == 0


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_predict_writes_texts(trained: Path, distrust: Call, kind: str, tmp_path: Path) -> None:
    from distrust.data import load_table

    out = tmp_path / f"texts.{kind}"
    code, said, err = distrust("predict", trained / "run" / "student", trained / "test.jsonl", "--id", "id", "--out", out)
    assert code == 0 and "texts" in said.lower(), err
    table = load_table(str(out))
    assert table["id"] == [f"2-{row}" for row in range(40)] and set(table["by"]) == {"student"}
    assert all(answer in text.lower() for answer, text in zip(table["answer"], table["text"], strict=True))


def test_evaluate_scores_texts(trained: Path, distrust: Call, tmp_path: Path) -> None:
    out = tmp_path / "figures.json"
    student = trained / "run" / "student"
    code, said, err = distrust("evaluate", student, trained / "test.jsonl", "--id", "id", "--out", out)
    assert code == 0 and "rouge_l" in said, err
    found, run = read_json(out), read_json(trained / "run" / "metrics.json")
    for score in ("accuracy", "token_f1", "rouge_l"):
        assert found["student"][score]["value"] == pytest.approx(run["test"]["student"][score]["value"])
    code, _, err = distrust("evaluate", student, trained / "test.jsonl", "--label", "nothing")
    assert code == 2 and "no column 'nothing'" in err
    code, _, err = distrust(
        "predict", student, trained / "test.jsonl", "--defer-below", "0.5", "--recipe", trained / "recipe.yaml"
    )
    assert code == 2 and "this student writes texts" in err


def test_started_again_it_does_nothing_twice(trained: Path, distrust: Call) -> None:
    before = {path: path.stat().st_mtime_ns for path in (trained / "run" / "stages").rglob("done.json")}
    assert len(before) == 4, "two fits, and each asked about the test items"
    assert distrust("run", trained / "recipe.yaml")[0] == 0
    code, _, err = distrust("run", trained / "run" / "recipe.yaml")
    assert code == 0, f"the recipe that the run saved, which says every key: {err}"
    assert {path: path.stat().st_mtime_ns for path in (trained / "run" / "stages").rglob("done.json")} == before


def test_hidden_completions_reach_the_student_by_no_path(tmp_path: Path, distrust: Call) -> None:
    """The pool's references, of which none is drawn as gold, and the test's: with all of them changed, nothing changes."""

    def student(name: str, completion: str) -> dict[str, Any]:
        folder = tmp_path / name
        folder.mkdir()
        path = recipe(folder, train={"num_train_epochs": 1}, gold=None)
        for table in ("pool", "test"):
            lines = [json.loads(line) for line in (folder / f"{table}.jsonl").read_text().splitlines()]
            write(folder / f"{table}.jsonl", [{**line, "completion": completion or line["completion"]} for line in lines])
        code, _, err = distrust("run", path)
        assert code == 0, err
        kept = load_student(folder / "run" / "student")
        assert isinstance(kept, CausalStudent)
        return {"reads": kept.reads, **load_tensors(folder / "run" / "student" / "model.safetensors")}

    first, second = student("first", ""), student("second", "zebra zebra")
    assert first.pop("reads") == second.pop("reads")
    assert first.keys() == second.keys() and all(first[name].equal(second[name]) for name in first)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"task": "classification", "answer": {}}, "come together"),
        ({"student": {"kind": "ngram"}}, "come together"),
        ({"labels": ["yes", "no"]}, "`labels` are for task classification"),
        ({"teachers": [{"kind": "classifier", "name": "c", "model": "x"}]}, "the teacher c is a classifier"),
        (
            {"teachers": [{"kind": "recorded", "name": "r", "labels": {"a": "b"}}]},
            "`labels` of the teacher r is for classes",
        ),
        ({"answer": {"kind": "numer"}}, "number"),
        ({"method": {"name": "small-loss"}}, "needs classes"),
        ({"method": {"options": {"trust": "confusions"}}}, "believed alike"),
        ({"gold": None, "method": {"name": "gold-only"}, "teachers": []}, "needs gold labels"),
        ({"teachers": [{"kind": "recorded", "name": "r", "column": "id"}]}, "no answer that can be read"),
        ({"teachers": [{"kind": "recorded", "name": "r", "column": "lm"}]}, "did you mean 'llm'"),
        ({"train": {"early_stopping_patience": 1}}, "needs something to validate on"),
    ],
)
def test_mistakes_are_sentences(tmp_path: Path, distrust: Call, changes: dict[str, Any], said: str) -> None:
    code, _, err = distrust("run", recipe(tmp_path, **changes))
    assert code == 2 and said in " ".join(err.split()), err


def test_validation_stops_and_hard_targets_take_the_majority(tmp_path: Path, distrust: Call) -> None:
    path = recipe(
        tmp_path,
        train={"num_train_epochs": 3, "early_stopping_patience": 1, "learning_rate": 5e-3},
        gold={"size": 24, "reserve": {"stop": 12}},
        method={"options": {"targets": "hard", "gold_weight": 0}},
    )
    code, _, err = distrust("run", path)
    assert code == 0, err
    history = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert all(row["validation"] > 0 for row in history if row["fit"] == "student")
    assert read_json(tmp_path / "run" / "metrics.json")["targets"]["mean_top"] == 1


def test_conversations_are_learned_from(tmp_path: Path, distrust: Call) -> None:
    """Rows of messages: what the assistant says last is the reference, and no part of the prompt."""
    path = recipe(tmp_path, train={"num_train_epochs": 1}, gold=None)
    for name in ("pool", "test"):
        lines = [json.loads(line) for line in (tmp_path / f"{name}.jsonl").read_text().splitlines()]
        for line in lines:
            line["messages"] = [
                {"role": "system", "content": "Say yes or no."},
                {"role": "user", "content": line.pop("prompt")},
                {"role": "assistant", "content": line.pop("completion")},
            ]
        write(tmp_path / f"{name}.jsonl", lines)
    code, _, err = distrust("run", path)
    assert code == 0, err
    kept = read_json(tmp_path / "run" / "facts" / "facts.json")["pool"]["inputs"][0]
    assert [turn[0] for turn in kept] == ["system", "user"]
    assert distrust("why", "1-3", "--run", tmp_path / "run")[0] == 0


@pytest.mark.slow
def test_two_processes_train_the_writer_that_one_would(tmp_path: Path, distrust: Call) -> None:
    """Each counts its own tokens; the step is divided by all of them."""
    weights = []
    for name, size in (("alone", 16), ("both", 8)):
        (tmp_path / name).mkdir()
        train = {"num_train_epochs": 2, "per_device_train_batch_size": size}
        path = recipe(tmp_path / name, train=train, gold=None)
        if name == "both":
            done = torchrun("-m", "distrust", "run", str(path))
            assert done.returncode == 0, done.stderr[-3000:]
        else:
            assert distrust("run", path)[0] == 0
        weights.append(load_tensors(tmp_path / name / "run" / "student" / "model.safetensors"))
    for name, value in weights[0].items():
        torch.testing.assert_close(weights[1][name], value, rtol=1e-3, atol=1e-4, msg=name)
