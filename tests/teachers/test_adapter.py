"""Adapters: entirely or not at all, whatever is wrong with their files. How they answer is in test_classifier."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from distrust.errors import DataError
from distrust.files import fingerprint
from distrust.pretrained import load_classifier
from distrust.teachers.adapter import INCIDENTAL, adapt, settings
from tests.models import save_adapter, save_classifier

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A base and an adapter of it."""
    here = tmp_path_factory.mktemp("adapters")
    base = save_classifier(here / "base")
    return base, save_adapter(here / "lora", base)


@pytest.fixture
def base(folders: tuple[Path, Path]) -> Any:
    return load_classifier(str(folders[0]))[0]


def copy(folders: tuple[Path, Path], to: Path) -> Path:
    return Path(shutil.copytree(folders[1], to))


def half(folder: Path) -> None:
    data = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(data[: len(data) // 2])


def change(folder: Path, **more: Any) -> None:
    known = json.loads((folder / CONFIG).read_text())
    (folder / CONFIG).write_text(json.dumps({name: value for name, value in (known | more).items() if value is not None}))


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (half, "cannot be put on base"),
        (lambda folder: (folder / WEIGHTS).write_bytes(b""), "cannot be put on base"),
        (lambda folder: (folder / WEIGHTS).write_bytes(b"\x80\x04pickle."), "cannot be put on base"),
        (lambda folder: (folder / WEIGHTS).unlink(), "pickled adapters can run code and are refused"),
        (lambda folder: (folder / CONFIG).write_text('{"peft_type": "LO'), "cannot be put on base"),
        (lambda folder: (folder / CONFIG).write_text("[]"), "cannot be put on base"),
        (lambda folder: (folder / CONFIG).unlink(), "cannot be put on base"),
        (lambda folder: change(folder, peft_type="\x1b[31mNOPE"), "cannot be put on base"),
        (lambda folder: change(folder, target_modules=["nobody"]), "cannot be put on base"),
        (lambda folder: change(folder, target_modules=["query"]), "is only in one of both"),
        (lambda folder: change(folder, r=3), "cannot be put on base"),
    ],
)
def test_a_folder_that_is_half_an_adapter_is_refused(
    folders: tuple[Path, Path], base: Any, tmp_path: Path, damage: Callable[[Path], object], sentence: str
) -> None:
    folder = copy(folders, tmp_path / "lora")
    damage(folder)
    with pytest.raises(DataError, match=sentence) as caught:
        adapt(base, str(folder), "base", [])
    assert str(folder) in str(caught.value) and "\x1b" not in str(caught.value) and "\n" not in str(caught.value)


def test_a_name_that_is_no_folder_is_asked_of_nobody_offline(base: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for where, sentence in ((str(tmp_path / "none"), "There is no folder"), (str(tmp_path / "file"), "is a file")):
        with pytest.raises(DataError, match=sentence):
            adapt(base, where, "base", [])
    with pytest.raises(DataError, match="nobody/such-an-adapter"):
        adapt(base, "nobody/such-an-adapter", "base", [])


def test_what_the_base_lacks_the_adapter_has_to_bring(folders: tuple[Path, Path], base: Any) -> None:
    before = torch.get_rng_state()
    adapted = adapt(base, str(folders[1]), "base", ["classifier.weight"])  # which every adapter of a classifier holds
    assert adapted.peft_config.keys() == {"default"} and torch.equal(before, torch.get_rng_state())
    with pytest.raises(DataError, match=r"Neither base nor the adapter .* has trained weights for pooler\.dense\.weight"):
        adapt(load_classifier(str(folders[0]))[0], str(folders[1]), "base", ["pooler.dense.weight"])


def test_settings_are_of_answers_and_not_of_places(folders: tuple[Path, Path], tmp_path: Path) -> None:
    def described(folder: Path, model: Path = folders[0]) -> dict[str, Any]:
        found = settings(adapt(load_classifier(str(model))[0], str(folder), "base", []))
        assert fingerprint(found), "plain values"
        assert not INCIDENTAL & (found["config"].keys() | found["adapters"]["default"].keys())
        return found

    moved = copy(folders, tmp_path / "moved")
    change(moved, base_model_name_or_path="/somewhere/else", peft_version="0.1.0")
    first = described(folders[1])
    assert first["adapters"]["default"]["target_modules"] == ["query", "value"], "a set has no order of its own"
    assert described(moved, Path(shutil.copytree(folders[0], tmp_path / "base"))) == first
    change(moved, lora_alpha=99)
    assert described(moved) != first
    assert settings(load_classifier(str(folders[0]))[0])["adapters"] == {}
