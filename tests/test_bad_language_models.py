"""Language models as teachers through the real command line: what does not fit is a sentence, before anything is done."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import nn

from distrust.files import read_json
from distrust.store import load_tensors
from tests import writers
from tests.cli.world import Call, caller
from tests.methods import tutored

ROWS = 12
LENGTHS = {"max_prompt_length": 48, "max_completion_length": 12}
SHORT = {**writers.LLAMA, "max_position_embeddings": 32}
LITTLE = {**tutored.SMALL, "hidden_size": 8, "intermediate_size": 8}
LARGE = {**writers.LLAMA, "hidden_size": 48}
RECIPE = "The recipe's method.options.alpha: input should be"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of language models with one tokenizer: whole, with a padded head, broken, with little room, and little."""
    folder = tmp_path_factory.mktemp("models")

    def keep(name: str, spoil: Callable[[nn.Module], object] = lambda _: None, **more: object) -> None:
        made = writers.writer(seed=3, **more)
        spoil(made.module)
        made.save(folder / name)

    def padded(module: Any) -> None:
        """The rows that are no tokens are the likeliest of all, if anybody counts them."""
        head = module.get_output_embeddings().weight
        module.resize_token_embeddings(len(head) + 20, mean_resizing=False)
        module.get_output_embeddings().weight.data[len(head) :] = 9.0

    keep("whole")
    keep("padded", padded)
    keep("broken", lambda module: module.get_input_embeddings().weight.data[40].fill_(torch.inf))  # type: ignore[operator]
    keep("short", max_prompt_length=16, config=SHORT)
    keep("little", config=LITTLE)
    return folder


@pytest.fixture
def distrust(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    return caller(monkeypatch, capsys)


def teacher(model: Path, **more: object) -> dict[str, Any]:
    return {"kind": "causal", "name": "big", "model": str(model), **LENGTHS, **more}


def recipe(folder: Path, models: Path, changes: dict[str, Any]) -> Path:
    """A student of the teacher's tokenizer; `changes` may tell the teacher's model, its texts, or whole parts."""
    changes = dict(changes)
    items, answers = writers.flips(ROWS)
    said = changes.pop("said", lambda row: answers[row])
    rows = [{"id": str(row), "prompt": items.text(row), "completion": answers[row], "llm": said(row)} for row in range(ROWS)]
    (folder / "pool.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    data = {"path": str(folder / "pool.jsonl"), "id": "id"}
    own = {"kind": "causal", "config": tutored.SMALL, "tokenizer": str(models / "whole"), **LENGTHS}
    asked = teacher(models / changes.pop("model", "whole"), **changes.pop("teacher", {}))
    texts = [] if changes.pop("alone", False) else [{"kind": "recorded", "name": "texts", "column": "llm"}]
    raw: dict[str, Any] = {
        "task": "generation",
        "answer": {"kind": "yes_no"},
        "data": {"pool": data, "test": data},
        "teachers": [*texts, asked],
        "student": own | changes.pop("student", {}),
        "method": {"name": changes.pop("method", "okd"), "options": changes.pop("options", {})},
        "train": {"num_train_epochs": 1, "per_device_train_batch_size": 8},
        "threads": 1,
        "output_dir": str(folder / "run"),
    }
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(raw | changes))
    return path


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "another tokenizer": (
        {"student": {"tokenizer": None, "vocabulary": 270}},
        "different tokenizers (278 and 270 tokens), so their probabilities are of different things; give the student the "
        "teacher's tokenizer, or learn with the method uld",
    ),
    "no texts": ({"said": lambda _: ""}, "texts gives no answer that can be read in its column 'llm'."),
    "one text to hold out": (
        {"method": "distillm", "said": lambda row: "yes" if row == 3 else None},
        "of 1 it can leave out none; give more texts, or data.validation.",
    ),
    "alpha above": ({"options": {"alpha": 1.5}}, f"{RECIPE} less than or equal to 1."),
    "alpha below": ({"options": {"alpha": -0.1}}, f"{RECIPE} greater than or equal to 0."),
    "alpha nowhere": ({"options": {"alpha": float("nan")}}, f"{RECIPE} a finite number."),
    "no such target": (
        {"options": {"targets": ["v_prj"]}, "alone": True},
        "The teacher has no layer 'v_prj' to adapt; did you mean 'v_proj'? legal are down_proj, gate_proj",
    ),
    "too many layers": ({"options": {"layers": 3}, "alone": True}, "`layers` is 3; legal is 1 to 2."),
    "broken weights": ({"model": "broken"}, "big's weights model.embed_tokens.weight are not all finite: "),
    "no room in the teacher": (
        {"model": "short"},
        "big reads at most 32 tokens; max_prompt_length 48 and max_completion_length 12 together are more.",
    ),
    "no room for the student's": (
        {"model": "short", "teacher": {"max_prompt_length": 24, "max_completion_length": 8}},
        "big reads at most 32 tokens, and its max_prompt_length with the student's max_completion_length makes 36;",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_fit_is_a_sentence_before_anything_is_done(
    name: str, models: Path, distrust: Call, tmp_path: Path
) -> None:
    changes, words = REFUSED[name]
    code, out, err = distrust("run", recipe(tmp_path, models, changes))
    *before, sentence = err.rstrip("\n").split("\n")
    assert code == 2 and not out.strip() and all(line.startswith("Note: ") for line in before), err
    assert sentence.startswith("distrust: ") and words in sentence
    assert not list(tmp_path.glob("run/stages/*")), "no text was written, and nobody trained"


def test_a_padded_head_is_one_without_its_padding(models: Path, distrust: Call, tmp_path: Path) -> None:
    found = []
    for name in ("whole", "padded"):
        (folder := tmp_path / name).mkdir()
        code, _, err = distrust("run", recipe(folder, models, {"model": name}))
        assert code == 0, err
        found.append(load_tensors(folder / "run" / "student" / "model.safetensors"))
    for key, value in found[0].items():
        torch.testing.assert_close(found[1][key], value)


def test_a_smaller_teacher_is_warned_of_and_empty_texts_are_left_out(models: Path, distrust: Call, tmp_path: Path) -> None:
    changes = {"model": "little", "student": {"config": LARGE}, "said": lambda row: "yes" if row % 2 else " "}
    code, _, err = distrust("run", recipe(tmp_path, models, changes))
    assert code == 0, err
    figures = read_json(tmp_path / "run" / "metrics.json")
    assert any(
        re.search("big has .* parameters and its student .* the larger of the two", one) for one in figures["warnings"]
    )
    assert figures["targets"]["items"] == ROWS / 2
