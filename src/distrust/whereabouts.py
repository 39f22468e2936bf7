"""Where a model is: a folder here, or an id on the hub; and what is said where it is neither.

Knows paths, ids, and how the hub refuses. Knows nothing of what is loaded.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from distrust.errors import DataError, nearest

ID = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?", re.ASCII)  # what the hub takes for an id: NAME or OWNER/NAME


def check_folder(where: str) -> Path | None:
    """The folder, or None where the name may be a hub id.

    Raises:
        DataError: a file, or a path that is no folder: what cannot be an id, or has a parent here that lacks it.
    """
    try:
        folder = Path(where).expanduser()
        if folder.is_dir():
            return folder
        if folder.is_file():
            raise DataError(f"{where} is a file; name the folder that `save_pretrained` wrote.")
        if ID.fullmatch(where) and not ("/" in where and folder.parent.is_dir()):
            return None
        gone, beside = _gone(folder)
    except (OSError, RuntimeError) as error:  # no permission, too long a name, nobody's home
        raise DataError(f"{where} cannot be read as a folder: {getattr(error, 'strerror', None) or error}.") from error
    nor = "" if gone == folder else f", nor {gone}"
    hides = f"; the hub is not asked while there is a folder {folder.parent} here" if ID.fullmatch(where) else ""
    raise DataError(f"There is no folder {where}{nor}; {nearest(gone.name, beside, say='beside it are')}{hides}.")


def neither(where: str, error: BaseException) -> str | None:
    """The sentence for an id that is no folder and that the hub did not give; None where `error` is another."""
    why = _refusal(error)
    if why is None:
        return None
    gone, beside = _gone(Path(where))
    here = f" ({nearest(gone.name, beside, say='here are')})" if beside else ""
    return f"There is no folder {where}{here}, and as a hub id it could not be loaded: {why}."


@contextmanager
def quiet_hub() -> Iterator[None]:
    """Keep what the hub's library logs, such as each try, off the terminal; its level is as before afterwards."""
    from huggingface_hub.utils.logging import get_verbosity, set_verbosity

    level = get_verbosity()
    set_verbosity(logging.CRITICAL)
    try:
        yield
    finally:
        set_verbosity(level)


def _gone(folder: Path) -> tuple[Path, list[str]]:
    """The first part of a path that is not there, and the folders beside it."""
    gone = next((one for one in (folder, *folder.parents) if one.parent.is_dir()), folder)
    beside: list[str] = []
    with suppress(OSError):  # a folder that may not be listed gives no hint
        beside = sorted(one.name for one in gone.parent.iterdir() if one.is_dir() and not one.name.startswith("."))
    return gone, beside


def _refusal(error: BaseException | None) -> str | None:
    """Why the hub gave nothing, from an error and its causes."""
    from huggingface_hub import constants, errors

    while error is not None:
        if isinstance(error, errors.GatedRepoError):
            return "its owner gives it to some only; ask for access on its page, and log in by `hf auth login`"
        if isinstance(error, errors.RepositoryNotFoundError):
            return "the hub has none of that name, or a private one, which wants `hf auth login`"
        if isinstance(error, errors.RevisionNotFoundError):
            return "the hub has it, but not that revision"
        if isinstance(error, errors.LocalEntryNotFoundError | errors.OfflineModeIsEnabled):
            return (
                "HF_HUB_OFFLINE is set, and it was not fetched before"
                if constants.HF_HUB_OFFLINE
                else "the hub could not be reached"
            )
        error = error.__cause__ or error.__context__
    return None
