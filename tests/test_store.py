"""Evidence and tensors on disk: what comes back is what went in, and damage is seen and named."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from distrust import store
from distrust.errors import DataError, RunError
from distrust.evidence import Cost, Dense, Evidence, Hidden, TopK
from distrust.files import write_json
from distrust.labels import Candidates, LabelSpace
from distrust.store import load_evidence, load_tensors, load_with_metadata, save_evidence, save_tensors

IDS = ("a", "ü\u2028", "c", "")
SPACE = LabelSpace(("x", "y", "z"), {"Ypsilon": "y"})
NAN, INF = float("nan"), float("inf")
LOGITS = {
    "none": None,
    "dense": Dense(torch.tensor([[0.1, -INF, 3.0], [1e-30, 0.0, -7.0], [-INF, -INF, -INF], [2.0, 2.0, 2.0]])),
    "half": Dense(torch.randn(4, 3, generator=torch.Generator().manual_seed(0)).half()),
    "top k": TopK(torch.tensor([[2, 0]] * 4), torch.log(torch.tensor([[0.5, 0.25]] * 4)), torch.full((4,), 0.25), 3),
    "hidden": Hidden(torch.randn(4, 5), torch.randn(3, 5)),
}


def evidence(**changes: Any) -> Evidence:
    given: dict[str, Any] = {
        "source": "LLM ü",
        "ids": IDS,
        "space": SPACE,
        "claims": torch.tensor([[0, 1, -1, 2], [2, -1, -1, 0]]),
        "features": {"hidden": torch.randn(4, 2, 3), "confidence": torch.tensor([0.5, NAN, 1.0, 0.0])},
        "texts": [["x", "z"], ["\x1b[31m \ud800 \U0001f600"], [], ["z", "x"]],
        "cost": Cost(*(torch.tensor([1.0, NAN, 0.0, 2.5], dtype=torch.float64) for _ in range(4))),
        "notes": {"could not parse": 2},
    }
    return Evidence(**(given | changes))


def same(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Bit for bit: NaN equals NaN here, and -0 is not 0."""
    return one.dtype == other.dtype and one.shape == other.shape and one.numpy().tobytes() == other.numpy().tobytes()


@pytest.mark.parametrize("kind", LOGITS)
def test_evidence_comes_back_bit_for_bit(tmp_path: Path, kind: str) -> None:
    before = evidence(logits=LOGITS[kind])
    save_evidence(before, tmp_path)
    after = load_evidence(tmp_path)
    assert (after.source, after.ids, after.space, after.notes) == ("LLM ü", IDS, SPACE, {"could not parse": 2})
    assert isinstance(after.space, LabelSpace) and after.space.find("Ypsilon") == 1
    assert [list(one) for one in after.texts or []] == before.texts
    assert same(before.claims, after.claims)
    assert all(same(before.features[name], after.features[name]) for name in ("hidden", "confidence"))
    assert before.cost and after.cost
    assert all(same(value, getattr(after.cost, name)) for name, value in vars(before.cost).items())
    assert type(after.logits) is type(before.logits)
    for name, value in vars(before.logits).items() if before.logits else ():
        kept = getattr(after.logits, name)
        assert same(value, kept) if isinstance(value, torch.Tensor) else value == kept


def test_evidence_without_anything_but_claims(tmp_path: Path) -> None:
    save_evidence(evidence(features={}, texts=None, cost=None, notes={}), tmp_path)
    after = load_evidence(tmp_path)
    assert (after.texts, after.cost, after.logits, dict(after.features), dict(after.notes)) == (None, None, None, {}, {})


def test_evidence_about_nothing(tmp_path: Path) -> None:
    save_evidence(Evidence("t", (), SPACE, torch.zeros(1, 0, dtype=torch.long)), tmp_path)
    assert load_evidence(tmp_path).claims.shape == (1, 0)


def test_open_answers_keep_their_lists_and_width(tmp_path: Path) -> None:
    open_ = Candidates((("7", "8"), ("9",), (), ("1", "2", "3")))
    before = evidence(space=open_, claims=torch.tensor([[1, 0, 3, -1]]))
    save_evidence(before, tmp_path)
    assert load_evidence(tmp_path).space == open_


def test_several_samples_of_tokens(tmp_path: Path) -> None:
    tokens = evidence(claims=torch.randint(-1, 3, (2, 4, 6)), logits=Dense(torch.randn(4, 6, 3)))
    save_evidence(tokens, tmp_path)
    after = load_evidence(tmp_path)
    assert same(tokens.claims, after.claims) and after.logits and same(tokens.logits.dense(), after.logits.dense())  # type: ignore[union-attr]


def test_some_of_the_open_answers(tmp_path: Path) -> None:
    """Selected items stay as wide as all were, so that a claim keeps its number."""
    whole = evidence(space=Candidates((("7", "8"), ("9",), (), ("1", "2", "3"))), claims=torch.tensor([[1, 0, 3, -1]]))
    save_evidence(whole.select([1, 2]), tmp_path)
    after = load_evidence(tmp_path)
    assert isinstance(after.space, Candidates) and len(after.space) == 4
    assert after.claims.tolist() == [[0, 3]] and after.space.none_of_these == 3


@pytest.mark.parametrize("part", ["claims", "logits.values", "cost.money", "features.confidence", "features.hidden"])
def test_a_disk_that_does_not_hold_what_was_written_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    """The last bit of one number flips on its way to the disk."""
    real = store._write

    def flip(tensors: dict[str, torch.Tensor], path: Path, metadata: Any) -> None:
        damaged = tensors[part].clone()
        damaged.view(torch.uint8).view(-1)[0] ^= 1
        real(tensors | {part: damaged}, path, metadata)

    monkeypatch.setattr(store, "_write", flip)
    with pytest.raises((RunError, DataError)):  # a flipped claim may leave the label space
        save_evidence(evidence(logits=LOGITS["dense"]), tmp_path)


@pytest.mark.parametrize("part", ["cost", "features", "features.hidden"])
def test_a_part_that_is_missing_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str) -> None:
    real = store._write

    def drop(tensors: dict[str, torch.Tensor], path: Path, metadata: Any) -> None:
        real({name: value for name, value in tensors.items() if not name.startswith(part)}, path, metadata)

    monkeypatch.setattr(store, "_write", drop)
    with pytest.raises(RunError, match="does not hold what was written"):
        save_evidence(evidence(), tmp_path)


@pytest.mark.parametrize("change", [{"source": "other"}, {"notes": {}}, {"texts": None}, {"ids": ("a", "b", "c", "d")}])
def test_words_that_changed_on_their_way_are_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any]
) -> None:
    monkeypatch.setattr(store, "write_json", lambda path, _: write_json(path, store._plain(evidence(**change))))
    with pytest.raises(RunError, match="does not hold what was written"):
        save_evidence(evidence(), tmp_path)


@pytest.mark.parametrize("name", ["evidence.json", "evidence.safetensors"])
@pytest.mark.parametrize("keep", [0.0, 0.5, 0.99])
def test_a_damaged_file_is_named(tmp_path: Path, name: str, keep: float) -> None:
    save_evidence(evidence(logits=LOGITS["dense"]), tmp_path)
    file = tmp_path / name
    file.write_bytes(file.read_bytes()[: int(keep * file.stat().st_size)])
    with pytest.raises(RunError, match=rf"{name} is damaged .*; delete it and run again"):
        load_evidence(tmp_path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    save_evidence(evidence(), tmp_path)
    (tmp_path / "evidence.safetensors").unlink()
    with pytest.raises((RunError, FileNotFoundError), match=r"evidence\.safetensors"):
        load_evidence(tmp_path)


def test_tensors_that_share_memory_are_written_apart(tmp_path: Path) -> None:
    table = nn.Embedding(4, 3)
    tied = nn.Linear(3, 4, bias=False)
    tied.weight = table.weight
    path = tmp_path / "deep" / "down" / "tied.safetensors"
    save_tensors(path, {"a": table.weight, "b": tied.weight, "c": table.weight[1:3].T}, {"said": "ü"})
    tensors, metadata = load_with_metadata(path)
    assert metadata == {"said": "ü"}
    assert torch.equal(tensors["a"], tensors["b"]) and torch.equal(tensors["c"], table.weight[1:3].T)
    tensors["a"][0] = 9
    assert not torch.equal(load_tensors(path)["a"], tensors["a"])
    assert [one.name for one in path.parent.iterdir()] == ["tied.safetensors"], "no half file stays beside it"


def test_no_tensor_and_an_empty_one(tmp_path: Path) -> None:
    save_tensors(tmp_path / "none", {})
    save_tensors(tmp_path / "empty", {"e": torch.zeros(0, 3)})
    assert load_tensors(tmp_path / "none") == {} and load_tensors(tmp_path / "empty")["e"].shape == (0, 3)


def test_a_failed_write_keeps_the_old_file(tmp_path: Path) -> None:
    """In a process whose files may not grow: safetensors' own error becomes a sentence, and the old file stays."""
    path = tmp_path / "kept.safetensors"
    save_tensors(path, {"x": torch.arange(3)})
    script = """
import resource, signal, sys, torch
from pathlib import Path
from distrust.errors import RunError
from distrust.store import save_tensors
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    save_tensors(Path(sys.argv[1]), {"x": torch.zeros(10_000)})
except RunError as error:
    print(error)
"""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, text=True, timeout=60, env=environment
    )
    assert done.stdout.strip() == f"{path} cannot be written: File too large; choose another output_dir.", done.stderr
    assert torch.equal(load_tensors(path)["x"], torch.arange(3))
    assert [one.name for one in tmp_path.iterdir()] == ["kept.safetensors"]
