"""trust.json: the same trust comes back, byte for byte, and refuses whom it does not know."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from distrust.errors import DataError, DistrustError, RunError, TeacherError
from distrust.trust import ESTIMATORS, Trust, find, gold_key, load_trust, save_trust
from tests.trust.tables import table

TEACHERS = tuple((f"t{one}", f"key {one}") for one in range(4))
LABELS = ("a", "b", "c")


def trust(name: str = "auto", gold: int = 20) -> Trust:
    given, _ = table(gold=gold)
    return Trust(name, find(name).fit(given), TEACHERS, LABELS, gold, gold_key(["g1", "g2"]))


@pytest.mark.parametrize("name", sorted(ESTIMATORS))
def test_saved_and_loaded_it_says_the_same_of_another_pool(tmp_path: Path, name: str) -> None:
    made = trust(name)
    save_trust(made, tmp_path / "trust.json")
    back = load_trust(tmp_path / "trust.json")
    assert (back.estimator, back.teachers, back.labels, back.gold_count) == (name, TEACHERS, LABELS, 20)
    assert type(back.fitted) is type(made.fitted) and back.gold_fingerprint == made.gold_fingerprint
    other, _ = table(seed=5)
    assert torch.equal(back.posterior(other.claims, TEACHERS, LABELS), made.posterior(other.claims, TEACHERS, LABELS)), (
        "bit for bit"
    )
    save_trust(back, tmp_path / "again.json")
    save_trust(trust(name), tmp_path / "anew.json")
    first = (tmp_path / "trust.json").read_bytes()
    assert first == (tmp_path / "again.json").read_bytes() == (tmp_path / "anew.json").read_bytes()


def test_without_gold_auto_has_no_losses_and_is_still_json(tmp_path: Path) -> None:
    save_trust(trust(gold=0), tmp_path / "trust.json")
    back: Any = load_trust(tmp_path / "trust.json").fitted
    assert back.losses.isnan().all() and "null" in (tmp_path / "trust.json").read_text()


@pytest.mark.parametrize(
    ("teachers", "labels", "kind", "sentence"),
    [
        ((*TEACHERS[:3], ("t3", "other key")), LABELS, TeacherError, "The teacher t3 has changed since"),
        (TEACHERS[:3], LABELS, TeacherError, "fitted on the teacher t3, who is missing"),
        ((*TEACHERS, ("t9", "x")), LABELS, TeacherError, "not fitted on the teacher t9"),
        ((TEACHERS[1], TEACHERS[0], *TEACHERS[2:]), LABELS, TeacherError, "Teacher 1 is t1, but this trust has t0 there"),
        ((*TEACHERS, TEACHERS[0]), LABELS, TeacherError, "5 teachers, one of them twice"),
        (TEACHERS, ("a", "c", "b"), DataError, "fitted on the classes a, b, c, in that order, and not on a, c, b"),
        (TEACHERS, (*LABELS, "d"), DataError, "not on a, b, c, d"),
    ],
)
def test_other_teachers_orders_and_labels_are_refused(teachers: Any, labels: Any, kind: type, sentence: str) -> None:
    with pytest.raises(kind, match=sentence):
        trust("majority").posterior(table()[0].claims, teachers, labels)


def test_gold_is_known_by_its_ids_in_any_order() -> None:
    assert gold_key(["a", "b"]) == gold_key(["b", "a"]) != gold_key(["a"])


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},
        {"fitted": {"kind": "pickle"}},
        {"fitted": {"kind": "shares"}},
        {"fitted": {"kind": "shares", "known": {"dtype": "bool", "shape": [9, 9], "values": [True]}}},
        {"fitted": {"kind": "shares", "known": {"dtype": "object", "shape": [1], "values": [True]}}},
        {"fitted": 3},
        {"teachers": ["t0"]},
        {"gold": None},
    ],
)
def test_a_file_that_is_no_trust_is_refused_in_a_sentence(tmp_path: Path, change: dict[str, Any]) -> None:
    path = tmp_path / "trust.json"
    save_trust(trust("majority"), path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(DistrustError, match=r"trust\.json"):
        load_trust(path)


def test_no_file_and_half_a_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="There is no trust file"):
        load_trust(tmp_path / "trust.json")
    save_trust(trust("majority"), tmp_path / "trust.json")
    half = (tmp_path / "trust.json").read_text()[:40]
    (tmp_path / "trust.json").write_text(half)
    with pytest.raises(RunError, match="is damaged"):
        load_trust(tmp_path / "trust.json")
    (tmp_path / "list.json").write_text("[]")
    with pytest.raises(DataError, match="no trust file of format 1"):
        load_trust(tmp_path / "list.json")
