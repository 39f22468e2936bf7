"""predict and evaluate of students that write: what stands in files, what is scored against what, what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from distrust.claimed import final
from distrust.cli.deferring import Deferral
from distrust.cli.writing import evaluate, predict, sampled_rows
from distrust.data import REFERENCE, Items
from distrust.errors import DataError, RecipeError
from distrust.evaluate.texts import token_f1
from distrust.students.causal import CausalStudent
from distrust.students.sampling import Sampling, answer_texts
from tests.cli.world import Call
from tests.methods import tutored
from tests.writers import flips, writer

ASKED = Deferral(0.5, Path("recipe.yaml"), None)


@pytest.fixture(scope="module")
def model() -> CausalStudent:
    return writer()


def said(model: CausalStudent, items: Items) -> list[str]:
    return ["" if one is None else one.text for one in final(answer_texts(model, items, Sampling()), items)]


def test_texts_are_written_greedily_and_kept_by_id(model: CausalStudent, tmp_path: Path) -> None:
    items = flips(5)[0]
    predict(model, items, tmp_path / "p.jsonl", None)
    rows = [json.loads(line) for line in (tmp_path / "p.jsonl").read_text().splitlines()]
    assert [row["id"] for row in rows] == list(items.ids) and [row["text"] for row in rows] == said(model, items)
    predict(model, items.select([]), tmp_path / "none.jsonl", None)
    assert (tmp_path / "none.jsonl").read_text() == ""


def test_scores_are_those_of_the_rows_with_a_reference(model: CausalStudent) -> None:
    items = flips(6)[0]
    texts = said(model, items)
    told = [texts[0], None, "", "   ", json.dumps([{"role": "assistant", "content": texts[4]}]), "something else"]
    columns = {"completion": told, "own": [*told[:5], texts[5]]}
    found = evaluate(model, Items(items.ids, items.inputs, columns), "label", "t.csv", None)
    assert found["items"] == 3
    wanted = [texts[0], texts[4], "something else"]
    right = [
        model.answers.read(text) == model.answers.reference(one)
        for text, one in zip([*texts[:1], *texts[4:]], wanted, strict=True)
    ]
    assert found["student"]["accuracy"]["value"] == pytest.approx(sum(right) / 3) and sum(right) == 2
    f1 = sum(token_f1(text, one) for text, one in zip([texts[0], texts[4], texts[5]], wanted, strict=True)) / 3
    assert found["student"]["token_f1"]["value"] == pytest.approx(f1)
    assert (
        evaluate(model, Items(items.ids, items.inputs, columns), "own", "t.csv", None)["student"]["accuracy"]["value"] == 1
    )


def test_a_column_that_is_called_label_is_taken_at_its_word(model: CausalStudent) -> None:
    items = flips(2)[0]
    texts = said(model, items)
    columns = {"completion": ["x", "y"], "label": list(texts)}
    found = evaluate(model, Items(items.ids, items.inputs, columns), "label", "t.csv", None)
    assert found["student"]["accuracy"]["value"] == 1


def test_nothing_to_score_is_a_sentence(model: CausalStudent) -> None:
    items = flips(2)[0]
    with pytest.raises(DataError, match=r"t\.csv has no column 'completion'"):
        evaluate(model, items, "label", "t.csv", None)
    blank = Items(items.ids, items.inputs, {"completion": [None, " \n"]})
    with pytest.raises(DataError, match=r"t\.csv has no reference in 'completion', so there is nothing to score"):
        evaluate(model, blank, "label", "t.csv", None)


def test_a_student_is_sampled_beside_the_language_model_it_is_to_follow(tmp_path: Path, distrust: Call) -> None:
    student, teacher = tutored.student(), tutored.teacher().model
    items = tutored.judged(6)
    table = tmp_path / "t.jsonl"
    rows = [{"prompt": items.text(row), "completion": items.columns[REFERENCE][row]} for row in range(6)]
    table.write_text("".join(json.dumps(row) + "\n" for row in rows))
    student.save(tmp_path / "s")
    teacher.save(tmp_path / "t")
    (tmp_path / "plain").mkdir()
    for file in (tmp_path / "t").iterdir():  # as anybody's model: nothing says how it reads
        if file.name != "student.json":
            (tmp_path / "plain" / file.name).write_bytes(file.read_bytes())
    found = {}
    for name in ("t", "plain"):
        ask = ("evaluate", tmp_path / "s", table, "--samples", "2", "--teacher-model", tmp_path / name)
        code, out, err = distrust(*ask, "--out", tmp_path / f"{name}.json")
        assert code == 0, err
        assert "Sampled at temperature 1, 2 texts an item" in out and "exposure-bias error" in out
        found[name] = json.loads((tmp_path / f"{name}.json").read_text())["sampled"]
        assert found[name]["teacher"].pop("model") == str(tmp_path / name)
    assert found["t"] == found["plain"] and found["t"]["samples"] == 2
    beside = found["t"]["teacher"]
    assert 0 <= beside["given"]["agreement"] <= 1 and beside["own"]["kl"]["least"] <= beside["own"]["kl"]["most"]
    assert found["t"]["rouge_l"]["least"] <= found["t"]["rouge_l"]["value"] <= found["t"]["rouge_l"]["most"]
    writer(vocabulary=265).save(tmp_path / "other")
    code, _, err = distrust("evaluate", tmp_path / "s", table, "--teacher-model", tmp_path / "other")
    assert code == 2 and "The teacher and the student have different tokenizers" in err
    code, _, err = distrust("evaluate", tmp_path / "s", table, "--teacher-model", tmp_path / "nowhere")
    assert code == 2 and "nowhere" in err and "Traceback" not in err


def test_without_a_teacher_only_samples_are_judged(model: CausalStudent) -> None:
    items = flips(3)[0]
    items = Items(items.ids, items.inputs, {"completion": ["yes", "no", "yes"]})
    assert "sampled" not in evaluate(model, items, "label", "t.csv", None)
    found = evaluate(model, items, "label", "t.csv", None, samples=2)["sampled"]
    assert found["teacher"] is None and found["samples"] == 2 and len(sampled_rows({"sampled": found})) == 4


def test_a_student_of_classes_is_no_language_model_to_follow(model: CausalStudent, trained: Path) -> None:
    items = flips(2)[0]
    told = Items(items.ids, items.inputs, {"completion": ["x", "y"]})
    with pytest.raises(RecipeError, match="student chooses between classes and writes no texts; give a language model"):
        evaluate(model, told, "label", "t.csv", None, teacher_model=str(trained / "run" / "student"))


def test_a_text_is_no_confidence_to_defer_by(model: CausalStudent, tmp_path: Path) -> None:
    items = flips(2)[0]
    for ask in (
        lambda: predict(model, items, tmp_path / "p.jsonl", ASKED),
        lambda: evaluate(model, items, "label", "t.csv", ASKED),
    ):
        with pytest.raises(RecipeError, match="--defer-below needs a student's confidence in a class"):
            ask()
    assert not (tmp_path / "p.jsonl").exists()
