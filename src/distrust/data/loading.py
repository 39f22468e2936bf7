"""Items of a table: which column is read, which is the id, and what stands in their way.

Knows texts, pairs, images, prompts and conversations as columns. Knows nothing of formats of files, or of labels' meaning.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from distrust.conversations import conversations, hold_turns
from distrust.data.items import Items, content_id, joined
from distrust.data.table_files import column, load_table
from distrust.errors import DataError, nearest
from distrust.images import Image, find_images

TEXT, PROMPT, MESSAGES, COMPLETION = "text", "prompt", "messages", "completion"  # names of columns that people use


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
        ids = _number([one.digest if isinstance(one, Image) else content_id(joined(one)) for one in inputs])
        keep = list(range(len(ids)))
    else:
        ids = _texts(table, id, path)
        if "" in ids:
            raise DataError(f"{path}, row {ids.index('') + 1} has no id in {id!r}; give each item one, or leave out `id`.")
        keep = _once(ids, table, path)
    columns = {name: [values[row] for row in keep] for name, values in table.items()}
    return Items(tuple(ids[row] for row in keep), tuple(inputs[row] for row in keep), columns)


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
