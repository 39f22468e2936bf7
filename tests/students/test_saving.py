"""Students on disk: a save replaces what it writes and nothing else, and one that failed leaves the earlier one whole."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from safetensors import SafetensorError

from distrust.build import load_student
from distrust.data import Items
from distrust.errors import DataError, RunError
from distrust.files import write_json
from distrust.labels import LabelSpace
from distrust.recipe import NgramStudent
from distrust.students.ngram import build
from distrust.students.saving import ABOUT, publishing, read_about


def content(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def saved(folder: Path, **files: str) -> Path:
    with publishing(folder) as draft:
        for name, text in files.items():
            (draft / name).write_text(text)
    return folder


def test_files_of_the_same_name_are_replaced_and_others_stay(tmp_path: Path) -> None:
    folder = saved(tmp_path / "deep" / "student", model="1", about="1")
    (folder / "README.md").write_text("mine")
    assert content(saved(folder, model="2", card="2")) == {"model": "2", "about": "1", "card": "2", "README.md": "mine"}
    assert content(saved(folder)) == content(folder) and [one.name for one in folder.parent.iterdir()] == ["student"]


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), ValueError("no"), OSError(errno.ENOSPC, "full"), SafetensorError("io")]
)
def test_what_fails_half_way_leaves_the_earlier_student(tmp_path: Path, error: BaseException) -> None:
    folder = saved(tmp_path / "student", model="1")
    kinds = {OSError: RunError, SafetensorError: RunError}
    with pytest.raises(kinds.get(type(error), type(error))) as caught, publishing(folder) as draft:
        (draft / "model").write_text("hal")
        raise error
    assert content(folder) == {"model": "1"} and [one.name for one in tmp_path.iterdir()] == ["student"]
    if isinstance(caught.value, RunError):
        assert str(folder) in str(caught.value) and str(caught.value).endswith(".")


def test_a_first_save_that_fails_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no"), publishing(tmp_path / "student"):
        raise ValueError("no")
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_of_this_number_left_is_not_published(tmp_path: Path) -> None:
    draft = tmp_path / f".student.{os.getpid()}.part"
    draft.mkdir()
    (draft / "half").write_text("x")
    assert content(saved(tmp_path / "student", model="1")) == {"model": "1"} and not draft.exists()


def test_a_folder_may_be_named_from_where_one_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    saved(Path(), model="1")
    saved(Path("student"), model="2")
    assert content(tmp_path / "here" / "student") == {"model": "2"} and (tmp_path / "here" / "model").read_text() == "1"
    assert sorted(one.name for one in (tmp_path / "here").iterdir()) == ["model", "student"]
    assert [one.name for one in tmp_path.iterdir()] == ["here"]


def test_a_place_that_is_none_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for place in (tmp_path / "file", tmp_path / "file" / "student"):
        with pytest.raises(RunError, match=r"file.* cannot be written: .*; choose another output_dir"):
            saved(place, model="1")
    assert (tmp_path / "file").read_text() == "mine" and [one.name for one in tmp_path.iterdir()] == ["file"]


def test_what_a_folder_says_of_itself(tmp_path: Path) -> None:
    write_json(tmp_path / ABOUT, {"kind": "ngram", "key": "k"})
    assert read_about(tmp_path, "ngram") == {"kind": "ngram", "key": "k"}
    with pytest.raises(DataError, match="holds a student of kind 'ngram', not 'causal'"):
        read_about(tmp_path, "causal")
    with pytest.raises(DataError, match=r"holds no student\.json; name the folder that a student was saved in"):
        read_about(tmp_path / "none", "ngram")


@pytest.mark.parametrize("text", ["[]", "null", '"ngram"', "7", "{}", '{"kind": ["ngram"]}'])
def test_json_that_says_something_else_is_no_student(tmp_path: Path, text: str) -> None:
    (tmp_path / ABOUT).write_text(text)
    with pytest.raises(DataError, match=r"holds a student of kind .*, not 'ngram'"):
        read_about(tmp_path, "ngram")
    with pytest.raises(RunError, match=r"holds a student of kind .*; only its own program can load a bare torch module"):
        load_student(tmp_path)
    (tmp_path / ABOUT).write_text(text[:-1] + "\x00")
    with pytest.raises(RunError, match=r"student\.json is damaged"):
        read_about(tmp_path, "ngram")


def test_a_folder_that_does_not_say_all_is_refused_by_what_it_lacks(tmp_path: Path) -> None:
    write_json(tmp_path / ABOUT, {"kind": "module"})
    about = read_about(tmp_path, "module")
    with pytest.raises(DataError, match=r"does not say 'labels': it is of another version, or was edited"):
        about["labels"]


@pytest.mark.parametrize(
    "edit", [{"options": "x"}, {"options": {"later": 1}}, {"labels": None}, {"labels": ["a", "b", "one too many"]}]
)
def test_a_folder_that_says_what_does_not_fit_is_a_sentence(tmp_path: Path, edit: dict[str, object]) -> None:
    pool = Items(("a", "b"), ["one text", "another text"])
    build(NgramStudent(buckets=64, dimension=2, min_items=1), LabelSpace(("a", "b")), 0, pool).save(tmp_path)
    load_student(tmp_path)
    write_json(tmp_path / ABOUT, {**read_about(tmp_path, "ngram"), **edit})
    with pytest.raises(DataError, match=r"does not fit what its student\.json says: of another version, or edited"):
        load_student(tmp_path)
