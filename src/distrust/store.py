"""Tensors and evidence on disk: safetensors and JSON, written whole, verified on write.

Knows formats. Does not know what is worth keeping: stages decide that.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from distrust.errors import RunError
from distrust.evidence import Cost, Dense, Evidence, Hidden, TopK
from distrust.files import read_json, refusing, sync_folder, write_json
from distrust.labels import Candidates, LabelSpace
from distrust.mapped import in_memory


def save_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> None:
    """Replace a safetensors file durably. Tensors that share memory are written apart."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    with refusing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            _write({name: _apart(value) for name, value in tensors.items()}, temporary, metadata)
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            os.replace(temporary, path)
            sync_folder(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


def load_tensors(path: Path) -> dict[str, Tensor]:
    """Tensors of a safetensors file. Raises RunError naming a damaged one."""
    return load_with_metadata(path)[0]


def load_with_metadata(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of a safetensors file. Raises RunError naming a damaged or missing one."""
    if not path.is_file():
        raise RunError(f"There is no {path}, which belongs to what was saved there; run again.")
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118
    except SafetensorError as error:
        raise RunError(f"{path} is damaged ({error}); delete it and run again.") from error


def save_evidence(evidence: Evidence, folder: Path) -> None:
    """Write evidence and read it back: what is kept is what will be returned, or RunError is raised."""
    save_tensors(folder / "evidence.safetensors", _tensors(evidence))
    write_json(folder / "evidence.json", _plain(evidence))
    if not _same(evidence, load_evidence(folder)):
        raise RunError(f"{folder} does not hold what was written to it; the disk may be failing.")


def load_evidence(folder: Path) -> Evidence:
    """Evidence from `save_evidence`'s folder."""
    known: dict[str, Any] = read_json(folder / "evidence.json")
    tensors = load_tensors(folder / "evidence.safetensors")
    parts: dict[str, dict[str, Tensor]] = {"logits": {}, "cost": {}, "features": {}}
    for name, value in tensors.items():
        room, _, rest = name.partition(".")
        if rest:
            parts[room][rest] = value
    kind = {"Dense": Dense, "TopK": TopK, "Hidden": Hidden}.get(known["logits"] or "")
    extra = {"classes": known["classes"]} if known["logits"] == "TopK" else {}
    space = known["space"]
    return Evidence(
        source=known["source"],
        ids=tuple(known["ids"]),
        space=Candidates(tuple(tuple(one) for one in space["candidates"]), space["width"])
        if "candidates" in space
        else LabelSpace(tuple(space["names"]), space["aliases"]),
        claims=tensors["claims"],
        logits=kind(**parts["logits"], **extra) if kind else None,
        features=parts["features"],
        texts=known["texts"],
        cost=Cost(**parts["cost"]) if parts["cost"] else None,
        notes=known["notes"],
    )


def _plain(evidence: Evidence) -> dict[str, Any]:
    space = evidence.space
    return {
        "source": evidence.source,
        "ids": list(evidence.ids),
        "space": {"candidates": [list(one) for one in space.answers], "width": space.width}
        if isinstance(space, Candidates)
        else {"names": list(space.names), "aliases": dict(space.aliases)},
        "logits": None if evidence.logits is None else type(evidence.logits).__name__,
        "classes": len(space),
        "texts": None if evidence.texts is None else [list(one) for one in evidence.texts],
        "notes": dict(evidence.notes),
    }


def _tensors(evidence: Evidence) -> dict[str, Tensor]:
    """Every tensor of evidence by the room it belongs to: `claims`, `logits.values`, `cost.money`, `features.hidden`."""
    rooms = {"logits": evidence.logits, "cost": evidence.cost}
    named = {f"{room}.{name}": value for room, one in rooms.items() if one is not None for name, value in vars(one).items()}
    tensors = {"claims": evidence.claims} | {name: value for name, value in named.items() if isinstance(value, Tensor)}
    return tensors | {f"features.{name}": in_memory(value) for name, value in evidence.features.items()}


def _same(first: Evidence, second: Evidence) -> bool:
    one, other = _tensors(first), _tensors(second)
    return (
        _plain(first) == _plain(second)
        and one.keys() == other.keys()
        and all(_equal(value, other[name]) for name, value in one.items())
    )


def _equal(one: Tensor, other: Tensor) -> bool:
    """Equal bit for bit: NaN, which is "unknown" in a cost, equals itself."""
    bits = (_apart(value).flatten().view(torch.uint8) for value in (one, other))
    return one.dtype == other.dtype and one.shape == other.shape and torch.equal(*bits)


def _apart(value: Tensor) -> Tensor:
    """A copy of its own: safetensors refuses views of one memory, which a tied model's state is."""
    return value.detach().cpu().clone(memory_format=torch.contiguous_format)


def _write(tensors: dict[str, Tensor], path: Path, metadata: Mapping[str, str] | None) -> None:
    try:
        save_file(tensors, path, metadata=dict(metadata) if metadata else None)  # an empty one cannot be read back
    except SafetensorError as error:  # safetensors wraps the system's own error in text
        number = re.search(r"os error (\d+)", str(error))
        if number is None:
            raise
        raise OSError(int(number[1]), os.strerror(int(number[1]))) from error
