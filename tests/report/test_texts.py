"""Figures of texts: means and paired differences over the items that both answered."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from distrust.data import Items
from distrust.labels import LabelSpace
from distrust.report.facts import Facts, Texts
from distrust.report.metrics import metrics
from distrust.report.page import render
from distrust.report.saved import load_facts, save_facts
from distrust.report.texts import text_differences, text_scores

WANTED = ["one two", "three four", "five six", "seven", "eight", "nine", "ten", "eleven"]
SAID = {
    "student": ["one two", "three", None, "seven", "eight", "nine", "ten", "eleven"],
    "gold-only": [None, "four", "five six", "x", "y", "z", "x", "y"],
    "llm": ["one", None, None, "no", "nor", "not", "none", "x"],
    "mute": [None] * 8,
}


def facts() -> Facts:
    items = Items(tuple(f"t{row}" for row in range(8)), tuple("abcdefgh"))
    right = torch.eye(4)[torch.tensor([0, 1, 3, 0, 0, 0, 0, 0])]
    return Facts(
        **dict.fromkeys(("gold", "targets", "target_weight")),
        **dict.fromkeys(("evidence", "test_evidence", "history", "spending"), ()),
        **{name: {} for name in ("options", "recipe", "kinds")},
        title="texts",
        method="distill",
        space=LabelSpace(("reference", "answer 1", "answer 2", "no answer")),
        pool=items,
        test=items,
        test_labels=torch.zeros(8, dtype=torch.long),
        predictions={"student": right, "gold-only": torch.eye(4)[torch.tensor([3, 1, 0, 1, 1, 1, 1, 1])]},
        open_answers=True,
        texts=Texts(WANTED, SAID),
    )


def test_scores_are_means_over_all_items_silence_being_nothing() -> None:
    found = text_scores(facts(), "student")
    assert found["accuracy"].value == 6 / 8
    assert found["token_f1"].value == found["rouge_l"].value == pytest.approx((6 + 2 / 3) / 8)
    assert found["token_f1"].low < found["token_f1"].value < found["token_f1"].high


def test_differences_are_paired_on_what_a_teacher_answered() -> None:
    found = text_differences(facts())
    assert found is not None and set(found) == {"gold-only", "llm"}, "who says nothing is no rival"
    llm = found["llm"]["token_f1"]
    assert llm["items"] == 6 and llm["value"].value == pytest.approx((2 / 3) / 6)
    assert llm["difference"].value == pytest.approx((6 - 2 / 3) / 6) and llm["verdict"] == "above"
    assert found["gold-only"]["rouge_l"]["items"] == 8, "a student's silence is a mistake"
    assert text_differences(replace(facts(), texts=None)) is None


def test_metrics_and_saved_facts_carry_them(tmp_path: object) -> None:
    folder = Path(str(tmp_path))
    found = metrics(facts())
    assert found["labels"] is None and found["test"]["student"]["bins"] == []
    assert found["texts"]["llm"]["token_f1"]["items"] == 6
    save_facts(facts(), folder)
    assert metrics(load_facts(folder)) == found


def test_the_page_shows_what_the_student_samples_and_whom_it_follows(tmp_path: Path) -> None:
    spread = {"value": 0.25, "least": 0.125, "most": 0.5}
    nothing = dict.fromkeys(spread)
    big = {"given": {"kl": 0.75, "agreement": 0.5}, "own": {"kl": spread, "agreement": spread}, "excess_error": nothing}
    sampled = {
        **{"items": 64, "of": 200, "samples": 3, "temperature": 1.0, "distinct_1": nothing},
        **dict.fromkeys(("exact_match", "rouge_l", "distinct_2"), spread),
        "teachers": {"<b>big": big, "other": {"left_out": "another tokenizer"}},
    }
    texts = facts().texts
    assert texts is not None
    shown = replace(facts(), texts=replace(texts, sampled=sampled))
    found = metrics(shown)
    page = render(shown, found)
    assert "0.250 (0.125 to 0.500)" in page and "0.750" in page and "another tokenizer" in page
    assert "first 64 of 200 test items" in page and "&lt;b&gt;big" in page and "<b>big" not in page
    save_facts(shown, tmp_path)
    assert metrics(load_facts(tmp_path)) == found and found["sampled"]["teachers"]["<b>big"]["own"]["kl"] == spread
    assert "the student, sampled" not in render(facts(), metrics(facts()))
