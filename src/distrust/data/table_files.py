"""Tables as people have them: CSV, TSV, JSON, JSON lines, parquet and hub data sets, to columns of Python values.

Knows the formats and how they are damaged. Knows nothing of items.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from pathlib import Path
from typing import Any

from distrust.errors import DataError, nearest
from distrust.whereabouts import quiet_hub

READERS = {".csv": "csv", ".tsv": "csv", ".jsonl": "json", ".json": "json", ".ndjson": "json", ".parquet": "parquet"}


def load_table(path: str, split: str | None = None) -> dict[str, list[Any]]:
    """Columns of a file or hub data set, as Python values, NaN as None. Raises DataError as `load_items` does."""
    table = _load(path, split)
    return {name: [None if _is_nan(value) else value for value in values] for name, values in table.items()}


def _load(path: str, split: str | None) -> dict[str, list[Any]]:
    file = Path(path).expanduser()
    kind = READERS.get(file.suffix.lower())
    if kind is None and not file.exists() and re.fullmatch(r"[\w.-]+(/[\w.-]+)?", path):
        return _from_hub(path, split)
    if kind is None:
        raise DataError(f"{path} is no file that can be read; {nearest(file.suffix, READERS)}.")
    if not file.is_file():
        near = [one.name for one in file.parent.iterdir()] if file.parent.is_dir() else []
        raise DataError(f"There is no file {path}; {nearest(file.name, near, say='the folder has')}.")
    return _read_file(file, kind)


def column(table: dict[str, list[Any]], name: str, path: str) -> list[Any]:
    """A column by name. Raises DataError naming the nearest column."""
    if name not in table:
        raise DataError(f"{path} has no column {name!r}; {nearest(name, table, say='it has')}.")
    return table[name]


def _read_file(file: Path, kind: str) -> dict[str, list[Any]]:
    try:
        if kind == "parquet":
            import pyarrow.parquet

            return dict(pyarrow.parquet.read_table(file).to_pydict())
        if kind == "csv":
            return _read_csv(file)
        return _read_json_lines(file)
    except DataError:
        raise
    except UnicodeDecodeError as error:
        raise DataError(f"{file} cannot be read as {kind}: it is no text in UTF-8; save it so, or as parquet.") from error
    except Exception as error:
        reason = " ".join(str(error).split())[:160].rstrip(".")
        raise DataError(f"{file} cannot be read as {kind}: {reason}; it may be truncated or of another kind.") from error


def _read_csv(file: Path) -> dict[str, list[Any]]:
    import csv

    csv.field_size_limit(2**27)
    with file.open(newline="", encoding="utf-8-sig") as lines:
        comma = "\t" if file.suffix.lower() == ".tsv" else ","
        reader = csv.reader(lines, delimiter=comma, strict=True)
        header = next(reader, None)
        if not header:
            raise DataError(f"{file} is empty; its first line names the columns.")
        odd = next((one for one in ";\t," if one != comma and len(header) == 1 and one in header[0]), None)
        if odd is not None:
            raise DataError(f"{file} separates columns by {odd!r}; legal is a comma, and a tab in .tsv.")
        rows = []
        for row in reader:
            if row and len(row) != len(header):
                raise DataError(
                    f"{file}, line {reader.line_num}: {len(row)} fields, but the header names {len(header)} columns."
                )
            if row:
                rows.append(row)
    twice = next((name for name, count in Counter(header).items() if count > 1), None)
    if twice is not None:
        raise DataError(f"{file} names the column {twice!r} twice; column names are unique.")
    return {name: [row[position] for row in rows] for position, name in enumerate(header)}


def _read_json_lines(file: Path) -> dict[str, list[Any]]:
    import json

    text = file.read_text(encoding="utf-8-sig")
    if text.lstrip().startswith("["):
        rows = json.loads(text)
    else:
        rows = []
        for number, line in enumerate(text.split("\n"), start=1):  # splitlines would cut strings at U+2028
            if line.strip():
                try:
                    rows.append(json.loads(line))
                except json.JSONDecodeError as error:
                    raise DataError(f"{file}, line {number} is no JSON ({error.msg}); each line is one object.") from error
    if not all(isinstance(row, dict) for row in rows):
        raise DataError(f"{file} does not hold objects; each line is one JSON object with the columns as keys.")
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}


def _from_hub(path: str, split: str | None) -> dict[str, list[Any]]:
    import datasets

    datasets.disable_progress_bars()
    try:
        with quiet_hub():
            rows = datasets.load_dataset(path, split=split or "train")
    except Exception as error:
        reason = " ".join(str(error).split())[:160]
        offline = " (HF_HUB_OFFLINE is set)" if os.environ.get("HF_HUB_OFFLINE") else ""
        raise DataError(f"{path} is no file here and could not be loaded as a data set{offline}: {reason}.") from error
    columns = {name: list(rows[name]) for name in rows.column_names}
    for name, feature in rows.features.items():
        if isinstance(feature, datasets.ClassLabel):  # the hub stores classes as numbers; people name them
            columns[name] = [None if value is None or value < 0 else feature.int2str(value) for value in columns[name]]
    return columns


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and value != value  # a missing number; as a label it would become a class "nan"
