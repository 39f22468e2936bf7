"""Students on disk: every file written beside its place and then moved there, so that none is ever half a file.

Knows folders and `student.json`. Knows nothing of models.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from distrust.errors import DataError, RunError
from distrust.files import read_json, refusing, sync_folder

ABOUT = "student.json"  # what a student's folder says of itself: kind, labels, key


@contextmanager
def publishing(folder: Path) -> Iterator[Path]:
    """Hand out an empty folder to write in; afterwards its files replace those of the same name in `folder`.

    Raises:
        RunError: a full disk or a folder that cannot be written.
    """
    folder = folder.absolute()
    draft = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    with refusing(folder):
        shutil.rmtree(draft, ignore_errors=True)  # of a killed process that had this number
        draft.mkdir(parents=True)
        try:
            yield draft
            folder.mkdir(exist_ok=True)
            for file in sorted(draft.iterdir()):
                with file.open("rb") as written:
                    os.fsync(written.fileno())
                os.replace(file, folder / file.name)
            sync_folder(folder)
        except SafetensorError as error:  # its I/O errors are no OSError
            raise RunError(f"{folder} cannot be written: {error}.") from error
        finally:
            shutil.rmtree(draft, ignore_errors=True)


def read_about(folder: Path, kind: str) -> dict[str, Any]:
    """What `student.json` says. Raises DataError where there is none, or it is of another kind of student."""
    file = folder / ABOUT
    if not file.is_file():
        raise DataError(f"{folder} holds no {ABOUT}; name the folder that a student was saved in.")
    about: Any = read_json(file)
    found = about.get("kind") if isinstance(about, dict) else None
    if found != kind:
        raise DataError(f"{folder} holds a student of kind {found!r}, not {kind!r}.")
    return _About(about, folder)


class _About(dict[str, Any]):
    """Refuses in a sentence what a student of another version, or one that was edited, does not say."""

    def __init__(self, about: dict[str, Any], folder: Path) -> None:
        super().__init__(about)
        self._folder = folder

    def __missing__(self, key: str) -> Any:
        raise DataError(f"{self._folder / ABOUT} does not say {key!r}: it is of another version, or was edited.")
