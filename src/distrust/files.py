"""Durable files: written whole or not at all, and fingerprints of what is in them.

Knows bytes, JSON and content hashes. Knows nothing of what they mean.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from distrust.errors import RunError

_NOT_WRITABLE = {
    *(errno.EACCES, errno.EROFS, errno.EPERM, errno.EEXIST, errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG),
    *(errno.EFBIG, errno.EIO),
}


@contextmanager
def refusing(path: Path) -> Iterator[None]:
    """Turn a full disk and a read-only folder into a sentence that names the path."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise RunError(
                f"The disk is full while writing {path}; what was finished is kept, so free some space and start again."
            ) from error
        if error.errno in _NOT_WRITABLE:
            raise RunError(f"{path} cannot be written: {error.strerror}; choose another output_dir.") from error
        raise


def write_atomically(path: Path, content: str | bytes) -> None:
    """Replace `path` by `content`, durably: a crash leaves the old file or the new one, never half of one."""
    data = content.encode() if isinstance(content, str) else content
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.part")
    with refusing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make a rename inside `folder` survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def file_name(name: str) -> str:
    """Anybody's name as one short part of a path; a key beside it tells apart what becomes alike."""
    return re.sub(r"[^\w.-]+", "-", name)[:40]


def write_json(path: Path, value: Any) -> None:
    """Write JSON that any reader accepts: NaN and infinity are refused, since JSON has no word for them."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    try:
        content = text.encode()
    except UnicodeEncodeError:  # half a surrogate pair, which a stranger's text may hold: only an escape can say it
        content = json.dumps(value, indent=2, allow_nan=False).encode() + b"\n"
    write_atomically(path, content)


def read_json(path: Path) -> Any:
    """Read JSON. Raises RunError naming the file where it is damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:  # no JSON, or no UTF-8
        raise RunError(f"{path} is damaged ({error}); delete it and run again.") from error


def fingerprint(*parts: Any) -> str:
    """A stable 64-digit key of plain values, strings, bytes and tensors; order matters, dict order does not.

    Raises:
        TypeError: a value inside a list or dict that is not plain (a set, a tensor, an object): what it prints is not
            what it is, and may differ in the next process.
    """
    digest = hashlib.sha256()
    for part in parts:
        for chunk in _chunks(part):
            digest.update(len(chunk).to_bytes(8, "big"))
            digest.update(chunk)
    return digest.hexdigest()


def _chunks(part: Any) -> Iterator[bytes]:
    if isinstance(part, bytes):
        yield part
    elif hasattr(part, "detach"):  # a tensor, told without importing torch
        flat = part.detach().cpu().contiguous()
        yield f"{flat.dtype}{tuple(flat.shape)}".encode()
        yield flat.flatten().view(dtype=_bytes_dtype()).numpy().tobytes() if flat.numel() else b""
    elif isinstance(part, (list, tuple)) and all(isinstance(one, str) for one in part):
        yield f"strings{len(part)}".encode()
        yield from (one.encode(errors="surrogatepass") for one in part)
    else:
        yield json.dumps(part, sort_keys=True, default=_plain).encode()


def _plain(value: Any) -> str:
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"a {type(value).__name__} has no stable fingerprint; give plain values")


def _bytes_dtype() -> Any:
    import torch

    return torch.uint8
