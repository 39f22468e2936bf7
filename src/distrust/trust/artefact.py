"""`trust.json`: fitted trust as a file that another pool can be judged by, and refuses another teacher's claims.

Knows plain JSON, names and fingerprints; holds no date, so that the same fit gives the same bytes. Knows nothing of how
trust is fitted, or of items.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from distrust.errors import DataError, TeacherError
from distrust.files import fingerprint, read_json, write_json
from distrust.trust.auto import Blend
from distrust.trust.confusions import ErrorModel
from distrust.trust.ebcc import Subtypes
from distrust.trust.table import Fitted
from distrust.trust.voting import Linear, Shares

FORMAT = 1
KINDS: dict[str, type[Any]] = {
    "shares": Shares,
    "error-model": ErrorModel,
    "subtypes": Subtypes,
    "linear": Linear,
    "blend": Blend,
}
DTYPES = {"float32": torch.float32, "float64": torch.float64, "int64": torch.long, "bool": torch.bool}


@dataclass(frozen=True)
class Trust:
    """Fitted trust, and whom and what it is about.

    Args:
        estimator: its name.
        fitted: what it found.
        teachers: (name, fingerprint) of each, in the order of the claims.
        labels: class names, in order.
        gold_count, gold_fingerprint: of the gold items it was fitted on: how many, and their ids (`gold_key`).
    """

    estimator: str
    fitted: Fitted
    teachers: tuple[tuple[str, str], ...]
    labels: tuple[str, ...]
    gold_count: int
    gold_fingerprint: str

    def posterior(
        self,
        claims: Tensor,
        teachers: Sequence[tuple[str, str]],
        labels: Sequence[str],
        probabilities: Tensor | None = None,
    ) -> Tensor:
        """P(class | claims) on any pool: (M, B) long to (B, C).

        Raises:
            TeacherError: a teacher is missing, new, out of order, or not the one that trust was fitted on.
            DataError: another label space, or claims that are not (M, B).
        """
        self.check(teachers, labels)
        return self.fitted.posterior(claims, probabilities)

    def check(self, teachers: Sequence[tuple[str, str]], labels: Sequence[str]) -> None:
        """Refuse other teachers, another order or another label space, in a sentence that names the first."""
        names, given = [name for name, _ in self.teachers], [name for name, _ in teachers]
        for name in names:
            if name not in given:
                raise TeacherError(f"This trust was fitted on the teacher {name}, who is missing; fit it anew without.")
        for name in given:
            if name not in names:
                raise TeacherError(f"This trust was not fitted on the teacher {name}; fit it anew, or leave {name} out.")
        for place, (mine, theirs) in enumerate(zip(self.teachers, teachers, strict=False)):
            if mine[0] != theirs[0]:
                raise TeacherError(
                    f"Teacher {place + 1} is {theirs[0]}, but this trust has {mine[0]} there; "
                    f"keep the order {', '.join(names)}."
                )
            if mine[1] != theirs[1]:
                raise TeacherError(
                    f"The teacher {mine[0]} has changed since this trust was fitted (its model, prompt, labels or "
                    "answers): its fingerprint is another; fit trust anew."
                )
        if len(names) != len(given):
            raise TeacherError(f"There are {len(given)} teachers, one of them twice; this trust was fitted on {len(names)}.")
        if tuple(labels) != self.labels:
            raise DataError(
                f"This trust was fitted on the classes {', '.join(self.labels[:8])}, in that order, and not on "
                f"{', '.join(list(labels)[:8])}; use it on the same classes, or fit it anew."
            )


def gold_key(ids: Sequence[str]) -> str:
    """Fingerprint of the ids of gold items, in any order."""
    return fingerprint(sorted(ids))


def save_trust(trust: Trust, path: Path) -> None:
    """Write `trust.json`, whole or not at all; the same trust gives the same bytes."""
    write_json(
        path,
        {
            "format": FORMAT,
            "estimator": trust.estimator,
            "labels": list(trust.labels),
            "teachers": [{"name": name, "fingerprint": key} for name, key in trust.teachers],
            "gold": {"count": trust.gold_count, "fingerprint": trust.gold_fingerprint},
            "fitted": _plain(trust.fitted),
        },
    )


def load_trust(path: Path) -> Trust:
    """Read `trust.json`. Raises DataError where the file is missing or is no trust, RunError where it is damaged."""
    if not path.is_file():
        raise DataError(f"There is no trust file {path}; a run of distill with a trust estimator writes one.")
    known = read_json(path)
    if not isinstance(known, dict) or known.get("format") != FORMAT:
        raise DataError(f"{path} is no trust file of format {FORMAT}; fit trust anew with this version.")
    try:
        return Trust(
            estimator=str(known["estimator"]),
            fitted=_fitted(known["fitted"]),
            teachers=tuple((str(one["name"]), str(one["fingerprint"])) for one in known["teachers"]),
            labels=tuple(str(one) for one in known["labels"]),
            gold_count=int(known["gold"]["count"]),
            gold_fingerprint=str(known["gold"]["fingerprint"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise DataError(f"{path} is no whole trust file ({type(error).__name__}: {error}); fit trust anew.") from None


def _plain(value: Any) -> Any:
    """A fitted trust, or a part of one, as JSON; NaN, which JSON lacks, is null."""
    if isinstance(value, Tensor):
        flat = [None if isinstance(one, float) and math.isnan(one) else one for one in value.flatten().tolist()]
        return {"dtype": str(value.dtype).removeprefix("torch."), "shape": list(value.shape), "values": flat}
    if dataclasses.is_dataclass(value):
        kind = next(name for name, one in KINDS.items() if one is type(value))
        return {"kind": kind, **{one.name: _plain(getattr(value, one.name)) for one in dataclasses.fields(value)}}
    return [_plain(one) for one in value] if isinstance(value, tuple) else value


def _fitted(value: dict[str, Any]) -> Any:
    rest = {name: _read(one) for name, one in value.items() if name != "kind"}
    return KINDS[value["kind"]](**rest)


def _read(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_read(one) for one in value)
    if not isinstance(value, dict):
        return value
    if "kind" in value:
        return _fitted(value)
    flat = [math.nan if one is None else one for one in value["values"]]
    return torch.tensor(flat, dtype=DTYPES[value["dtype"]]).reshape(value["shape"])
