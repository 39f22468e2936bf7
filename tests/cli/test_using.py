"""`distrust predict` and `distrust evaluate`, alone and with a real server to ask back."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from distrust.build import load_student
from distrust.data import load_items
from distrust.evaluate import score
from distrust.students import answer
from tests import servers
from tests.cli.world import LABELS, Call, Row, news, write
from tests.loopback import label_of

NEW = news(60, seed=7, clear=0.3)


@pytest.fixture
def new(tmp_path: Path) -> Path:
    return write(tmp_path / "new.csv", NEW)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with servers.loopback() as address:
        yield address


@pytest.fixture
def endpoint(address: str, trained: Path, tmp_path: Path) -> Path:
    """The trained recipe with a paid teacher, and a ledger of its own."""
    servers.forget(address)
    recipe = json.loads(json.dumps(RECIPE).replace("ADDRESS", address).replace("TRAINED", str(trained)))
    path = tmp_path / "paid.yaml"
    path.write_text(json.dumps(recipe | {"output_dir": str(tmp_path / "paid")}))
    return path


RECIPE: dict[str, Any] = {
    "data": {"pool": {"path": "TRAINED/pool.csv", "id": "id"}},
    "labels": list(LABELS),
    "teachers": [
        {
            "kind": "endpoint", "name": "llm", "base_url": "ADDRESS/fine/v1", "model": "m", "prompt": "{text}",
            "max_tokens": 8, "price": {"per_call": 0.01}, "concurrency": 1,
        }
    ],
}  # fmt: skip


def own(trained: Path, table: Path) -> tuple[list[str], list[float]]:
    """The student's labels and confidences, asked directly."""
    student = load_student(trained / "run" / "student")
    chances = answer(student, load_items(str(table), id="id")).distribution()
    confidence, claims = chances.max(-1)
    return [student.space.names[claim] for claim in claims], confidence.double().tolist()


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def recorded_in(trained: Path, table: Path, folder: Path) -> Path:
    """The trained run's recipe over another table, whose own column holds what gpt said of its items."""
    recipe = yaml.safe_load((trained / "recipe.yaml").read_text())
    changed = recipe | {"data": {"pool": {"path": str(table), "id": "id"}}, "gold": None, "labels": list(LABELS)}
    path = folder / "over.yaml"
    path.write_text(yaml.safe_dump(changed))
    return path


def between(confidences: list[float]) -> float:
    """A threshold that divides the items in two unequal parts."""
    return sorted(confidences)[len(confidences) // 3]


def test_predictions_are_the_students(distrust: Call, trained: Path, new: Path, tmp_path: Path) -> None:
    code, out, _ = distrust("predict", trained / "run/student", new, "--id", "id", "--out", tmp_path / "p.jsonl")
    assert code == 0 and out == f"60 items labelled: {tmp_path}/p.jsonl\n"
    labels, confidences = own(trained, new)
    found = rows(tmp_path / "p.jsonl")
    assert [row["id"] for row in found] == [row["id"] for row in NEW]
    assert [row["label"] for row in found] == labels and [row["confidence"] for row in found] == confidences
    assert {row["by"] for row in found} == {"student"} and list(found[0]) == [
        "id",
        "label",
        "confidence",
        "probabilities",
        "by",
    ]
    assert len(set(labels)) == 3


def test_only_unsure_items_are_bought_and_only_once(
    distrust: Call, trained: Path, new: Path, endpoint: Path, address: str, tmp_path: Path
) -> None:
    labels, confidences = own(trained, new)
    below = between(confidences)
    asked = sum(confidence < below for confidence in confidences)
    call = ["predict", trained / "run/student", new, "--id", "id", "--out", tmp_path / "p.jsonl"]
    code, out, _ = distrust(*call, "--defer-below", below, "--recipe", endpoint)
    assert code == 0 and asked == 20
    assert out.startswith(f"20 of 60 items were deferred to llm; 20 new calls, cost {20 * 0.01:.4f}.\n")
    assert sum(servers.served(address)["served"].values()) == 20
    for row, label, confidence, item in zip(rows(tmp_path / "p.jsonl"), labels, confidences, NEW, strict=True):
        assert row["confidence"] == confidence and row["deferred"] is (confidence < below)
        assert row["by"] == ("llm" if confidence < below else "student")
        assert row["label"] == (label_of(item["text"]) if confidence < below else label)
    _, out, _ = distrust(*call, "--defer-below", below, "--recipe", endpoint)
    assert out.startswith("20 of 60 items were deferred to llm; cost 0.0000.\n")
    assert sum(servers.served(address)["served"].values()) == 20


def test_an_unknown_price_is_said(distrust: Call, trained: Path, new: Path, endpoint: Path, tmp_path: Path) -> None:
    recipe = json.loads(endpoint.read_text())
    del recipe["teachers"][0]["price"]
    endpoint.write_text(json.dumps(recipe))
    call = ["evaluate", trained / "run/student", new, "--defer-below", 1, "--recipe", endpoint, "--out", tmp_path / "m.json"]
    code, out, _ = distrust(*call)
    assert code == 0 and "cost unknown." in out
    assert json.loads((tmp_path / "m.json").read_text())["deferring"]["cost"]["money"] is None


def test_a_cap_ends_asking_and_the_student_answers_the_rest(
    distrust: Call, trained: Path, new: Path, endpoint: Path, tmp_path: Path
) -> None:
    endpoint.write_text(json.dumps(json.loads(endpoint.read_text()) | {"budget": {"money": 0.05}}))
    call = ["predict", trained / "run/student", new, "--id", "id", "--out", tmp_path / "p.jsonl"]
    code, out, _ = distrust(*call, "--defer-below", 1, "--recipe", endpoint)
    assert code == 0
    assert "which had no usable answer to 55: there the student's label stands; 5 new calls, cost 0.0500." in out
    assert "Buying ended at budget.money." in out
    found = rows(tmp_path / "p.jsonl")
    assert [row["by"] for row in found].count("llm") == 5 and all(row["deferred"] for row in found)
    labels, _ = own(trained, new)
    assert all(row["label"] == label for row, label in zip(found, labels, strict=True) if row["by"] == "student")


def test_a_recorded_teacher_that_abstains_leaves_the_students_label(distrust: Call, trained: Path, tmp_path: Path) -> None:
    said: list[Row] = [
        row | {"gpt_label": row["gpt_label"] if number % 2 else "who knows"} for number, row in enumerate(NEW)
    ]
    table = write(tmp_path / "t.csv", said)
    call = ["predict", trained / "run/student", table, "--id", "id", "--out", tmp_path / "p.csv", "--defer-below", 1]
    code, out, _ = distrust(*call, "--recipe", recorded_in(trained, table, tmp_path))
    assert code == 0
    assert out.startswith("60 of 60 items were deferred to gpt, which had no usable answer to 30: there the student's")
    assert "cost 15.0000" in out  # 30 answers at 0.5
    labels, _ = own(trained, table)
    with (tmp_path / "p.csv").open(newline="") as file:
        for row, mine, item in zip(csv.DictReader(file), labels, said, strict=True):
            usable = item["gpt_label"] in LABELS
            assert (row["label"], row["by"]) == ((item["gpt_label"], "gpt") if usable else (mine, "student"))


def test_items_whose_labels_the_teacher_was_told_do_not_judge(
    distrust: Call, trained: Path, endpoint: Path, tmp_path: Path
) -> None:
    recipe = json.loads(endpoint.read_text()) | {"gold": {"label": "label"}}
    recipe["teachers"][0] |= {"few_shot": 4, "prompt": "{examples}{text}"}
    endpoint.write_text(json.dumps(recipe))
    call = ["evaluate", trained / "run/student", trained / "pool.csv", "--defer-below", 1, "--recipe", endpoint]
    code, _, err = distrust(*call, "--out", tmp_path / "m.json")
    assert code == 0 and "4 items are examples in the teacher's prompt and are left out." in err
    judged = sum(bool(item) for item in load_items(str(trained / "pool.csv")).columns["label"])
    found = json.loads((tmp_path / "m.json").read_text())
    assert found["items"] == judged - 4 and found["deferring"]["asked"] == judged - 4


def test_a_student_that_is_sure_asks_nobody(
    distrust: Call, trained: Path, new: Path, endpoint: Path, address: str, tmp_path: Path
) -> None:
    call = ["predict", trained / "run/student", new, "--defer-below", 0, "--recipe", endpoint, "--out", tmp_path / "p.csv"]
    code, out, _ = distrust(*call)
    assert code == 0 and out.startswith("0 of 60 items were deferred to llm; cost 0.0000.")
    assert servers.served(address)["served"] == {}


def test_a_server_out_of_reach_ends_in_a_sentence_and_writes_nothing(
    distrust: Call, trained: Path, new: Path, endpoint: Path, address: str, tmp_path: Path
) -> None:
    endpoint.write_text(endpoint.read_text().replace("/fine/", "/unauthorized/"))
    call = ["predict", trained / "run/student", new, "--defer-below", 1, "--recipe", endpoint, "--out", tmp_path / "p.csv"]
    code, _, err = distrust(*call)
    assert code == 2 and "HTTP 401" in err and "0 of 60 answers are kept" in err and "\x1b" not in err
    assert not (tmp_path / "p.csv").exists()


def test_scores_are_those_of_the_student(distrust: Call, trained: Path, tmp_path: Path) -> None:
    table = write(
        tmp_path / "gold.csv", [row | {"label": "" if number < 5 else row["label"]} for number, row in enumerate(NEW)]
    )
    code, out, err = distrust("evaluate", trained / "run/student", table, "--out", tmp_path / "m.json")
    assert code == 0 and "5 of 60 rows have no label and are left out." in err
    student = load_student(trained / "run/student")
    items = load_items(str(table)).select(range(5, 60))
    gold = [LABELS.index(label) for label in items.columns["label"]]
    import torch

    expected = score(answer(student, items).distribution(), torch.tensor(gold))
    found = json.loads((tmp_path / "m.json").read_text())
    assert found == {"items": 55, "student": {name: vars(one) for name, one in expected.items()}}
    for name, one in expected.items():
        assert any(
            line.split() == [name, *(f"{x:.4f}" for x in (one.value, one.low, one.high))] for line in out.splitlines()
        )


def test_the_deferring_pair_is_scored_beside_the_student(distrust: Call, trained: Path, new: Path, tmp_path: Path) -> None:
    labels, confidences = own(trained, new)
    below = between(confidences)
    call = ["evaluate", trained / "run/student", new, "--id", "id", "--out", tmp_path / "m.json", "--defer-below", below]
    code, out, _ = distrust(*call, "--recipe", recorded_in(trained, new, tmp_path), "--teacher", "gpt")
    assert code == 0
    pair = [row["gpt_label"] if sure < below else mine for row, mine, sure in zip(NEW, labels, confidences, strict=True)]
    right = [said == row["label"] for said, row in zip(pair, NEW, strict=True)]
    alone = [said == row["label"] for said, row in zip(labels, NEW, strict=True)]
    found = json.loads((tmp_path / "m.json").read_text())
    deferring = found["deferring"]
    assert deferring["accuracy"]["value"] == pytest.approx(sum(right) / 60)
    assert found["student"]["accuracy"]["value"] == pytest.approx(sum(alone) / 60)
    assert deferring["gain"]["value"] == pytest.approx((sum(right) - sum(alone)) / 60)
    assert (deferring["asked"], deferring["answered"], deferring["teacher"]) == (20, 20, "gpt")
    assert deferring["share_asked"] == pytest.approx(1 / 3) and deferring["cost"]["money"] == 10.0
    assert f"Student and gpt together: {deferring['gain']['verdict']}" in out


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["predict", "T", "NEW"], "holds no student; name a run's `student` folder"),
        (["predict", "S", "NEW", "--text", "txet"], "has no column 'txet'; did you mean 'text'?"),
        (["predict", "S", "NEW", "--id", "key"], "has no column 'key'"),
        (["predict", "S", "NEW", "--out", "p.json"], "did you mean '.jsonl'?"),
        (["predict", "S", "NEW", "--out", "NEW"], "is the table that is read"),
        (["predict", "S", "missing.csv"], "There is no file missing.csv"),
        (["predict", "S", "NEW", "--defer-below", "0.5"], "name the recipe that describes it"),
        (["predict", "S", "NEW", "--defer-below", "1.5", "--recipe", "R"], "it is a confidence from 0 to 1"),
        (["predict", "S", "NEW", "--defer-below", "nan", "--recipe", "R"], "it is a confidence from 0 to 1"),
        (["predict", "S", "NEW", "--recipe", "R"], "serve --defer-below, which is missing"),
        (["predict", "S", "NEW", "--defer-below", "1", "--recipe", "R", "--teacher", "gtp"], "did you mean 'gpt'?"),
        (["predict", "S", "NEW", "--defer-below", "1", "--recipe", "no.yaml"], "There is no recipe no.yaml"),
        (["predict", "S", "NEW", "--defer-below", "high"], "Invalid value for '--defer-below'"),
        (["evaluate", "S", "NEW", "--label", "lable"], "has no column 'lable'; did you mean 'label'?"),
        (["evaluate", "S", "NEW", "--label", "id"], "no class of this student; legal are alpha, beta, gamma"),
        (["evaluate", "S", "NEW", "--out", "NEW"], "is the table that is read"),
    ],
)
def test_mistakes_are_refused_in_a_sentence(
    distrust: Call, trained: Path, new: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    monkeypatch.chdir(new.parent)
    places = {"S": trained / "run/student", "T": trained, "NEW": new, "R": trained / "recipe.yaml"}
    before = new.read_bytes()
    code, _, err = distrust(*(places.get(one, one) for one in arguments))
    assert code == 2 and said in err and "Traceback" not in err
    assert [one.name for one in new.parent.iterdir()] == ["new.csv"] and new.read_bytes() == before


def test_labels_near_and_hostile(distrust: Call, trained: Path, tmp_path: Path) -> None:
    table = write(tmp_path / "g.csv", [{"text": "a", "label": "alpah"}])
    assert (
        "the label 'alpah', no class of this student; did you mean 'alpha'?"
        in distrust("evaluate", trained / "run/student", table)[2]
    )
    table = write(tmp_path / "g.csv", [{"text": "a", "label": "\x1b[2J\x1b[31mred"}])
    code, _, err = distrust("evaluate", trained / "run/student", table)
    assert code == 2 and "\x1b" not in err and "no class of this student" in err
    table = write(tmp_path / "g.csv", [{"text": "a", "label": " "}])
    assert "has no label in 'label', so there is nothing to score" in distrust("evaluate", trained / "run/student", table)[2]


def test_one_of_several_teachers_must_be_named(
    distrust: Call, trained: Path, new: Path, endpoint: Path, tmp_path: Path
) -> None:
    recipe = json.loads(endpoint.read_text())
    recipe["teachers"].append({"kind": "recorded", "name": "gpt", "column": "gpt_label"})
    endpoint.write_text(json.dumps(recipe))
    call = ["evaluate", trained / "run/student", new, "--defer-below", 1, "--recipe", endpoint]
    code, _, err = distrust(*call)
    assert code == 2 and "has several teachers; choose one by --teacher: llm, gpt." in err
    assert distrust(*call, "--teacher", "gpt")[0] == 0
    endpoint.write_text(json.dumps(recipe | {"teachers": []}))
    assert "names no teacher to ask" in distrust(*call)[2]


@pytest.mark.parametrize("file, damage", [("model.safetensors", None), ("model.safetensors", b"x"), ("student.json", b"{")])
def test_a_damaged_student_is_refused(
    distrust: Call, trained: Path, new: Path, tmp_path: Path, file: str, damage: bytes | None
) -> None:
    broken = tmp_path / "student"
    shutil.copytree(trained / "run/student", broken)
    (broken / file).unlink() if damage is None else (broken / file).write_bytes(damage)
    code, _, err = distrust("predict", broken, new, "--out", tmp_path / "p.jsonl")
    assert code == 2 and file in err and len(err.splitlines()) == 1


@pytest.mark.parametrize("asked", [("--samples", "2"), ("--teacher-model", "models/large")])
def test_samples_and_a_language_model_are_of_students_that_write(
    trained: Path, distrust: Call, asked: tuple[str, str]
) -> None:
    code, _, err = distrust("evaluate", trained / "run" / "student", trained / "pool.csv", *asked)
    assert code == 2 and "are of students that write texts; this one chooses between classes." in err
