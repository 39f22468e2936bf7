"""Predictions as rows, and rows as a file.

Knows what a row says and the three kinds of file. Does not know who predicted.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from distrust.defer import STUDENT, Deferred
from distrust.errors import DataError, nearest
from distrust.evidence import Evidence
from distrust.files import write_atomically
from distrust.labels import Candidates, LabelSpace

TOP = 5  # classes whose probability a row says
KINDS = (".jsonl", ".csv", ".parquet")
FORMULA = (*"=+-@\t\r\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")  # and the wide forms of the first four
NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?", re.ASCII)


def rows(ids: Sequence[str], space: LabelSpace, probabilities: Tensor, deferred: Deferred | None) -> list[dict[str, Any]]:
    """One row an item: (N,) ids and (N, C) the student's probabilities to N rows.

    `confidence` and `probabilities` are always the student's own; `label` is the teacher's where `by` says so. With
    deferral, `deferred` says whether the teacher was asked: deferred and by the student, it had no usable answer.
    """
    top = probabilities.topk(min(TOP, len(space)), -1)
    claims = (top.indices[:, 0] if deferred is None else deferred.claims).tolist()
    by = [STUDENT] * len(ids) if deferred is None else deferred.by
    found: list[dict[str, Any]] = [
        {
            "id": item,
            "label": space.names[claim],
            "confidence": values[0],
            "probabilities": {space.names[index]: value for index, value in zip(indices, values, strict=True)},
            "by": who,
        }
        for item, claim, who, indices, values in zip(
            ids, claims, by, top.indices.tolist(), top.values.double().tolist(), strict=True
        )
    ]
    if deferred is not None:
        for row, asked in zip(found, deferred.asked.tolist(), strict=True):
            row["deferred"] = asked
    return found


def text_rows(written: Evidence) -> list[dict[str, Any]]:
    """One row an item of what a student wrote: its text, and the answer read from it, None where there is none."""
    assert isinstance(written.space, Candidates) and written.texts is not None, "a student of classes has other rows"
    answers = [
        listed[claim] if claim >= 0 else None
        for listed, claim in zip(written.space.answers, written.claims[0].tolist(), strict=True)
    ]
    return [
        {"id": item, "text": texts[0], "answer": answer, "by": STUDENT}
        for item, texts, answer in zip(written.ids, written.texts, answers, strict=True)
    ]


def check_kind(path: Path) -> None:
    """Refuse a kind of file that cannot be written, before anything is predicted or paid."""
    if path.suffix.lower() not in KINDS:
        raise DataError(
            f"{path} cannot be written: {path.suffix or 'no ending'} is no known kind; {nearest(path.suffix, KINDS)}."
        )
    if path.is_dir():
        raise DataError(f"{path} is a folder; name a file in it.")


def write(path: Path, found: Sequence[dict[str, Any]]) -> None:
    """Replace `path` by the rows, whole or not at all. In .csv and .parquet, `probabilities` is JSON text."""
    kind = path.suffix.lower()
    if kind == ".jsonl":
        write_atomically(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in found))
        return
    flat = [
        {name: json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else value for name, value in row.items()}
        for row in found
    ]
    write_atomically(path, csv_text(flat) if kind == ".csv" else _parquet(flat))


def csv_text(flat: Sequence[dict[str, Any]]) -> str:
    """Rows as CSV. What a spreadsheet would take for a formula is written behind an apostrophe; plain numbers are not."""
    import csv

    text = io.StringIO(newline="")  # every text quoted: the writer would leave a lone carriage return bare
    table = csv.DictWriter(text, list(flat[0]), lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    table.writeheader()
    table.writerows({name: _no_formula(value) for name, value in row.items()} for row in flat)
    return text.getvalue()


def _no_formula(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) and not NUMBER.fullmatch(value) else value


def _parquet(flat: list[dict[str, Any]]) -> bytes:
    import pyarrow
    import pyarrow.parquet

    content = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(flat), content)
    return content.getvalue()
