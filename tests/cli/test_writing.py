"""predict and evaluate of students that write: what stands in files, what is scored against what, what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from distrust.claimed import final
from distrust.cli.deferring import Deferral
from distrust.cli.writing import evaluate, predict
from distrust.data import Items
from distrust.errors import DataError, RecipeError
from distrust.evaluate.texts import token_f1
from distrust.students.causal import CausalStudent
from distrust.students.sampling import Sampling, answer_texts
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


def test_a_text_is_no_confidence_to_defer_by(model: CausalStudent, tmp_path: Path) -> None:
    items = flips(2)[0]
    for ask in (
        lambda: predict(model, items, tmp_path / "p.jsonl", ASKED),
        lambda: evaluate(model, items, "label", "t.csv", ASKED),
    ):
        with pytest.raises(RecipeError, match="--defer-below needs a student's confidence in a class"):
            ask()
    assert not (tmp_path / "p.jsonl").exists()
