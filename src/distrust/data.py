"""Items: what is asked about, with an id each, read from the files people have.

Knows CSV, JSON lines, JSON, parquet and hub data sets, columns, ids and their mistakes. Knows nothing of labels'
meaning, teachers or students.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from torch import Tensor

from distrust.conversations import conversations, hold_turns
from distrust.errors import DataError, nearest
from distrust.files import fingerprint
from distrust.images import Image, find_images

Inputs = tuple[Any, ...] | Tensor  # texts, pairs of texts, conversations, or a tensor (B, ...)
TEXT, PROMPT, MESSAGES, COMPLETION = "text", "prompt", "messages", "completion"  # names of columns that people use
REFERENCE = "reference"  # column of the texts that a person vouches for, where answers are open
READERS = {".csv": "csv", ".tsv": "csv", ".jsonl": "json", ".json": "json", ".ndjson": "json", ".parquet": "parquet"}


@dataclass(frozen=True)
class Items:
    """Some items: ids, what a model reads of them, and every other column as it was.

    Args:
        ids: (B,) unique.
        inputs: B texts, B text pairs, B conversations (`Turns`), or a tensor (B, ...) for any torch module.
        columns: other columns by name, B values each.

    Raises:
        DataError: ids that are not unique, or lengths that differ.
    """

    ids: tuple[str, ...]
    inputs: Inputs
    columns: dict[str, list[Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.inputs) != len(self.ids):
            raise DataError(f"There are {len(self.ids)} ids but {len(self.inputs)} inputs; each item has one of both.")
        for name, values in self.columns.items():
            if len(values) != len(self.ids):
                raise DataError(f"The column {name!r} has {len(values)} values for {len(self.ids)} items.")
        if len(set(self.ids)) < len(self.ids):
            twice = next(item for item, count in Counter(self.ids).items() if count > 1)
            raise DataError(f"The id {twice!r} stands for two items; ids are unique.")

    def __len__(self) -> int:
        return len(self.ids)

    def select(self, rows: Sequence[int] | Tensor) -> Items:
        """Some items by row, in the order given. Raises DataError for a mask, which would be read as rows 0 and 1."""
        index = row_numbers(rows)
        inputs: Inputs = self.inputs[index] if isinstance(self.inputs, Tensor) else tuple(self.inputs[row] for row in index)
        columns = {name: [values[row] for row in index] for name, values in self.columns.items()}
        return Items(tuple(self.ids[row] for row in index), inputs, columns)

    def rows(self, ids: Sequence[str]) -> list[int]:
        """Rows of these ids. Raises DataError naming the first id that is no item here."""
        row_of = {item: row for row, item in enumerate(self.ids)}
        missing = next((item for item in ids if item not in row_of), None)
        if missing is not None:
            raise DataError(f"The id {missing!r} is none of the {len(self)} items.")
        return [row_of[item] for item in ids]

    @cached_property
    def key(self) -> str:
        """Fingerprint of ids and inputs: what a stage that read these items depends on."""
        inputs = self.inputs if isinstance(self.inputs, Tensor) else [_join(one) for one in self.inputs]
        return fingerprint(list(self.ids), inputs)

    def text(self, row: int) -> str:
        """What a person may read of an item: its text, or a note of its shape."""
        if isinstance(self.inputs, Tensor):
            return f"tensor of shape {tuple(self.inputs[row].shape)}"
        return _join(self.inputs[row])


def row_numbers(rows: Sequence[int] | Tensor) -> list[int]:
    """Rows as plain numbers. Raises DataError for a mask: True and False are no rows."""
    numbers: list[int] = rows.tolist() if isinstance(rows, Tensor) else list(rows)
    if any(isinstance(row, bool) for row in numbers[:1]) or "bool" in str(getattr(rows, "dtype", "")):
        raise DataError("Items are selected by their rows, not by a mask; give mask.nonzero().squeeze(-1).")
    return [int(row) for row in numbers]


def concatenate(first: Items, second: Items) -> Items:
    """Both, in order; columns that only one of them has are left out."""
    if isinstance(first.inputs, Tensor) and isinstance(second.inputs, Tensor):
        import torch

        inputs: Inputs = torch.cat([first.inputs, second.inputs])
    elif isinstance(first.inputs, tuple) and isinstance(second.inputs, tuple):
        inputs = (*first.inputs, *second.inputs)
    else:
        raise DataError("Texts and tensors cannot be mixed in one set of items.")
    shared = [name for name in first.columns if name in second.columns]
    return Items((*first.ids, *second.ids), inputs, {name: first.columns[name] + second.columns[name] for name in shared})


def content_id(text: str) -> str:
    """The id of an item that was given none: sixteen digits of its content's hash."""
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:16]


def load_items(
    path: str,
    *,
    text: str = "text",
    text_pair: str | None = None,
    image: str | None = None,
    id: str | None = None,
    split: str | None = None,
    limit: int | None = None,
    open_answers: bool = False,
) -> Items:
    """Read items from a file or a hub data set.

    Args:
        path: a .csv, .tsv, .jsonl, .json or .parquet file, or a data set id such as ``ag_news``.
        text: column that the model reads; text_pair: a second one, for sentence pairs.
        image: column of image files, from the table's folder on, that the model reads instead of a text.
        id: column of ids; without it an item's id is the hash of its text, numbered from the second copy on.
        split: split of a hub data set (default ``train``).
        limit: read only the first so many rows.
        open_answers: the items are prompts: without a column `text`, `prompt` or `messages` is read. Lists of
            ``{"role": ..., "content": ...}``, or JSON of such lists in every row, are conversations, and `messages` holds
            nothing else. What the assistant says last is then no part of the item but its `completion`, unless there is a
            column of that name.

    Raises:
        DataError: a missing file or column, a damaged file, no rows, ids that contradict each other.
    """
    table = load_table(path, split=split)
    if limit is not None:
        table = {name: values[:limit] for name, values in table.items()}
    if not any(table.values()):
        raise DataError(f"{path} has no rows.")
    if open_answers and text == TEXT:
        text = _prompts(table, path)
    inputs: list[Any]
    if image is not None:
        if text_pair is not None or text != TEXT or open_answers:
            raise DataError(
                f"{path} is read by its images in {image!r}, so `text` and `text_pair` say nothing; leave them out."
            )
        inputs = list(find_images(column(table, image, path), path, image))
    elif open_answers and (text == MESSAGES or hold_turns(table.get(text, ()))):
        inputs, completions = conversations(column(table, text, path), text, path)
        table.setdefault(COMPLETION, completions)
    else:
        inputs = _texts(table, text, path)
    if text_pair is not None:
        inputs = list(zip(inputs, _texts(table, text_pair, path), strict=True))
    if id is None:
        ids = _number([one.digest if isinstance(one, Image) else content_id(_join(one)) for one in inputs])
        keep = list(range(len(ids)))
    else:
        ids = _texts(table, id, path)
        if "" in ids:
            raise DataError(f"{path}, row {ids.index('') + 1} has no id in {id!r}; give each item one, or leave out `id`.")
        keep = _once(ids, table, path)
    columns = {name: [values[row] for row in keep] for name, values in table.items()}
    return Items(tuple(ids[row] for row in keep), tuple(inputs[row] for row in keep), columns)


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


def _once(ids: list[str], table: dict[str, list[Any]], path: str) -> list[int]:
    """Rows to keep: the first of identical copies. Raises DataError where one id has two contents."""
    first: dict[str, int] = {}
    for row, item in enumerate(ids):
        seen = first.setdefault(item, row)
        differing = next((name for name, values in table.items() if values[seen] != values[row]), None)
        if differing is not None:
            raise DataError(
                f"{path}: the id {item!r} stands in rows {seen + 1} and {row + 1} with different {differing!r}; "
                "give each item its own id, or leave out `id`."
            )
    return list(first.values())


def _number(ids: list[str]) -> list[str]:
    seen: Counter[str] = Counter()
    numbered = []
    for item in ids:
        seen[item] += 1
        numbered.append(item if seen[item] == 1 else f"{item}-{seen[item]}")
    return numbered


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and value != value  # a missing number; as a label it would become a class "nan"


def _texts(table: dict[str, list[Any]], name: str, path: str) -> list[str]:
    """A column as texts, a missing value as an empty one. Raises DataError for what no tokenizer or file can take."""
    texts = ["" if value is None else str(value) for value in column(table, name, path)]
    for row, text in enumerate(texts, start=1):
        if not text.isascii():
            try:
                text.encode()
            except UnicodeEncodeError:
                raise DataError(f"{path}, row {row}: {name!r} holds half a surrogate pair, which is no text.") from None
    return texts


def _prompts(table: dict[str, list[Any]], path: str) -> str:
    """The column of prompts where nobody names one."""
    for name in (TEXT, PROMPT, MESSAGES):
        if name in table:
            return name
    near = nearest(PROMPT, table, say="it has")
    raise DataError(f"{path} has no column of prompts, `text`, `prompt` or `messages`; name it in `text`; {near}.")


def _join(one: Any) -> str:
    return one if isinstance(one, str) else "\n".join(part if isinstance(part, str) else ": ".join(part) for part in one)
