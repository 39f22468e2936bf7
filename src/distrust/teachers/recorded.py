"""A teacher whose answers are past: a column of the pool, or a file joined by item id.

Knows how a recorded answer becomes a claim, and counts what does not. Does not know where the answers came from.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from distrust.answers import Answers
from distrust.conversations import spoken
from distrust.data import Items, column, content_id, load_table
from distrust.errors import DataError, nearest
from distrust.evidence import Cost, Evidence
from distrust.files import fingerprint
from distrust.labels import ABSTAIN, LabelSpace
from distrust.recipe import Recorded
from distrust.secrets import expand


class RecordedTeacher:
    """Past answers. A cell may hold one answer, or a list of sampled ones; an empty cell abstains.

    Args:
        options: where the answers are.
        space: the task's classes; `options.labels` adds spellings.
        pool: the items whose columns hold the answers, unless `options.path` names a file.
        answers: how texts are read, where answers are open.

    Raises:
        DataError: a missing file or column, a file of which no row belongs to any item, or not one answer that is a
            label of the task.
    """

    keeps_answers = True

    def __init__(self, options: Recorded, space: LabelSpace, pool: Items, answers: Answers | None = None) -> None:
        self.name, self.options, self.open = options.name, options, answers
        self.space = LabelSpace(space.names, {**space.aliases, **options.labels})
        if options.path is None:
            self.table = pool.columns
            self.answers = column(pool.columns, options.column, f"The pool, which {self.name} is recorded in,")
            self.row_of = {item: row for row, item in enumerate(pool.ids)}
        else:
            self.table = load_table(expand(options.path))
            self.answers = column(self.table, options.column, options.path)
            self.row_of = self._rows(options)
            if all(row is None for row in self._find(pool)):
                raise DataError(f"No row of {options.path} belongs to an item of the pool; join by `id`, or by `text`.")
        for name in (options.confidence, options.rationale):
            if name is not None and name not in self.table:
                raise DataError(f"{self.name} has no column {name!r}; {nearest(name, self.table, say='it has')}.")
        self._check_answers()
        reading = [] if answers is None else [answers.how.model_dump()]
        self.fingerprint = fingerprint("recorded", [str(answer) for answer in self.answers], dict(options.labels), *reading)

    def ask(self, items: Items) -> Evidence:
        """Look the items up in the record; those without a recorded answer abstain. Costs nothing new.

        A column of the same name in another table is never read: it may hold gold.
        """
        rows = self._find(items)
        cells = [None if row is None else self.answers[row] for row in rows]
        samples = [_samples(cell) for cell in cells]
        if self.open is not None:
            said = self.open.evidence(self.name, items.ids, samples, Cost.free(len(items)))
            return replace(said, features=self._confidence(rows))
        claims = torch.full((max((len(one) for one in samples), default=1) or 1, len(items)), ABSTAIN)
        counts: Counter[str] = Counter()
        for row, answers in enumerate(samples):
            counts["no answer"] += not answers
            for sample, answer in enumerate(answers):
                claims[sample, row] = self.space.find(answer)
                counts["outside the label space"] += self.space.find(answer) == ABSTAIN
        rationales = None if self.options.rationale is None else self.table[self.options.rationale]
        texts = samples if rationales is None else [[] if row is None else _samples(rationales[row]) for row in rows]
        return Evidence(
            source=self.name,
            ids=items.ids,
            space=self.space,
            claims=claims,
            features=self._confidence(rows),
            texts=texts,
            cost=Cost.free(len(items)),
            notes={name: count for name, count in counts.items() if count},
        )

    def _confidence(self, rows: Sequence[int | None]) -> dict[str, torch.Tensor]:
        """What the teacher said of its own sureness: a feature, not a trust, until gold has judged it."""
        if self.options.confidence is None:
            return {}
        cells = [None if row is None else self.table[self.options.confidence][row] for row in rows]
        try:
            values = [float("nan") if cell in (None, "") else float(cell) for cell in cells]
        except (TypeError, ValueError) as error:
            raise DataError(f"{self.name}'s column {self.options.confidence!r} holds no numbers ({error}).") from error
        return {"confidence": torch.tensor(values)}

    def _check_answers(self) -> None:
        """Refuse a teacher that would abstain from everything: a wrong column, or labels in other words."""
        said = {answer for cell in self.answers for answer in _samples(cell)}
        if self.open is not None:
            if not any(self.open.read(text) is not None for text in said):
                raise DataError(f"{self.name} gives no answer that can be read in its column {self.options.column!r}.")
            return
        if not any(self.space.find(answer) != ABSTAIN for answer in said):
            shown = ", ".join(sorted(said)[:5]) or "nothing"
            raise DataError(
                f"{self.name} has no label in common with the task: its column {self.options.column!r} says {shown}, the "
                f"task has {', '.join(self.space.names[:12])}; map its labels by name in the recipe."
            )

    def _find(self, items: Items) -> list[int | None]:
        """Rows of the record by item: by id, or by text where the record has texts alone."""
        by_text = self.options.path is not None and self.options.id is None
        keys = [content_id(items.text(row)) for row in range(len(items))] if by_text else items.ids
        return [self.row_of.get(key) for key in keys]

    def _rows(self, options: Recorded) -> dict[str, int]:
        """First row of each id (or text) of the file. Raises DataError where one has two answers."""
        if options.id is not None:
            keys = [str(value) for value in column(self.table, options.id, str(options.path))]
        else:
            keys = [content_id(str(text)) for text in column(self.table, options.text, str(options.path))]
        rows: dict[str, int] = {}
        for row, key in enumerate(keys):
            first = rows.setdefault(key, row)
            if self.answers[first] != self.answers[row]:
                raise DataError(f"{options.path} answers the item {key!r} twice, differently; each item has one answer.")
        return rows


def _samples(cell: Any) -> list[str]:
    cell = spoken(cell)
    cells = map(spoken, cell) if isinstance(cell, (list, tuple)) else [cell]
    return [str(one) for one in cells if one is not None and str(one).strip()]
