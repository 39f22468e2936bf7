"""Images in tables: found, told apart by content, read batch by batch by a model's own processor."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from distrust.data import Items, load_items
from distrust.errors import DataError, DistrustError, TeacherError
from distrust.evidence_store import item_keys
from distrust.images import Image
from distrust.recipe import Classifier
from distrust.recipe_file import parse_recipe
from distrust.teachers.classifier import ClassifierTeacher
from tests.models import save_classifier, save_image_classifier, save_images, texts


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("images")
    save_images(made, 12)
    save_image_classifier(made / "vit", ("red", "green"))
    return made


def teacher(model: Path) -> ClassifierTeacher:
    return ClassifierTeacher(Classifier(kind="classifier", name="eye", model=str(model), batch_size=5))


def test_an_image_goes_by_its_content(folder: Path, tmp_path: Path) -> None:
    items = load_items(str(folder / "images.csv"), image="file")
    assert len(items) == 12 and isinstance(items.inputs[0], Image) and items.inputs[0].path == folder / "0.png"
    assert items.ids[3] == items.inputs[3].digest and items.columns["label"][:2] == ["red", "green"]
    (tmp_path / "moved.png").write_bytes((folder / "3.png").read_bytes())
    (tmp_path / "one.csv").write_text("file\nmoved.png\n")
    assert load_items(str(tmp_path / "one.csv"), image="file").ids == (items.ids[3],)
    assert len(set(item_keys(items))) == 12 and items.select([2, 1]).key != items.select([1, 2]).key


def test_a_teacher_sees_each_image_by_itself(folder: Path) -> None:
    items = load_items(str(folder / "images.csv"), image="file")
    eye = teacher(folder / "vit")
    said = eye.ask(items)
    assert said.logits is not None and eye.space.names == ("red", "green")
    alone = eye.ask(items.select([7]))
    torch.testing.assert_close(alone.distribution(), said.distribution()[[7]], rtol=1e-4, atol=1e-5)
    assert eye.passes(items, 2).features["expected_entropy"].shape == (12,), "it has dropout"
    assert said.distribution()[::2].sub(said.distribution()[1::2]).abs().max() > 0.01, "red and green differ"


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("file\nno.png\n", "row 1: there is no image no.png"),
        ("file\nbad.png\n", "bad.png cannot be read as an image"),
        ('file,n\n"",1\n', "row 1 names no image in 'file'"),
        ("path\n0.png\n", "has no column 'file'"),
    ],
)
def test_what_is_no_image_is_refused(folder: Path, table: str, words: str) -> None:
    (folder / "bad.png").write_bytes(b"\x89PNG nothing")
    (folder / "table.csv").write_text(table)
    with pytest.raises(DataError, match=words):
        load_items(str(folder / "table.csv"), image="file")


def test_an_image_that_changed_is_refused(folder: Path, tmp_path: Path) -> None:
    save_images(tmp_path, 2)
    items = load_items(str(tmp_path / "images.csv"), image="file")
    (tmp_path / "0.png").write_bytes((tmp_path / "1.png").read_bytes())
    with pytest.raises(DistrustError, match=r"0\.png has changed since its table was read"):
        teacher(folder / "vit").ask(items)


def test_images_and_texts_are_not_mixed(folder: Path, tmp_path: Path) -> None:
    images = load_items(str(folder / "images.csv"), image="file")
    with pytest.raises((DataError, TeacherError), match="eye reads images and the items are none"):
        teacher(folder / "vit").ask(texts(3))
    with pytest.raises((DataError, TeacherError), match="eye reads texts and the items are images"):
        teacher(save_classifier(tmp_path / "bert")).ask(images)
    with pytest.raises(DataError, match="leave them out"):
        load_items(str(folder / "images.csv"), image="file", text="label")
    base = {"data": {"pool": {"path": "p.csv", "image": "file"}}, "student": {"kind": "transformer", "model": "m"}}
    parse_recipe(base)
    for change, words in (
        ({"student": {"kind": "ngram"}}, "the student reads no images"),
        ({"data": {**base["data"], "test": {"path": "t.csv", "label": "l"}}}, "images and texts cannot be mixed"),
        (
            {"teachers": [{"kind": "endpoint", "name": "llm", "base_url": "http://x/v1", "model": "m"}]},
            "llm reads no images",
        ),
    ):
        with pytest.raises(DistrustError, match=words):
            parse_recipe({**base, **change})


def test_no_images_is_no_mistake(folder: Path) -> None:
    assert len(teacher(folder / "vit").ask(Items((), ()))) == 0
