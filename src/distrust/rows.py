"""A training set as the sides of a fit read it, cut into batches by row.

Knows what is told of a row and how much it counts. Knows nothing of losses, steps or how a student reads.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from distrust.labelled import Labelled
from distrust.mapped import Column
from distrust.objective import Batch
from distrust.students import Encoded, Student
from distrust.students.causal import writer
from distrust.students.completions import IGNORED, Prompts, Ragged


class Rows:
    """A training set as the sides read it: encoded once for each, then cut into batches by row.

    What tells nothing is not carried: targets or labels that no item has, and weights that are all alike.
    """

    def __init__(self, encoded: Sequence[Encoded], labelled: Labelled) -> None:
        self.encoded = encoded
        self.weight = labelled.weight
        self.told: dict[str, Column] = dict(labelled.extra)
        if labelled.has_targets:
            self.told["targets"] = labelled.targets
        if labelled.has_labels:
            self.told["labels"] = labelled.labels
        if not bool((labelled.weight == labelled.weight[0]).all()):
            self.told["weight"] = labelled.weight

    def __len__(self) -> int:
        return len(self.weight)

    def take(self, rows: Tensor) -> tuple[list[dict[str, Tensor]], Batch]:
        """Rows (n,) long to each side's inputs and what is told: targets (n, C), labels (n,), weight (n,), row (n,)."""
        told = {name: value[rows] for name, value in self.told.items()}
        return [one.batch(rows) for one in self.encoded], told | {"row": rows}

    def count(self, rows: Tensor) -> Tensor:
        """What rows (n,) count together, in the measure of `take`'s weights."""
        return self.weight[rows].sum() if "weight" in self.told else torch.tensor(float(len(rows)))


class Completions:
    """A training set of open answers as the sides read it: a row for each completion that an item is told.

    A row counts, at every token of its completion, the item's weight times what the completion weighs in the item's target.
    Prompts and padding count nothing, so that a step is divided by all tokens it learns from. What is told of a token is of
    the first side's tokens, and of all sides' where they share one tokenizer.
    """

    def __init__(self, students: Sequence[Student], labelled: Labelled) -> None:
        assert labelled.texts is not None, "a training set of classes has other rows"
        self.whose, places = labelled.targets.nonzero().unbind(-1)  # (R,) twice: item and completion
        self.weight = labelled.targets[self.whose, places] * labelled.weight[self.whose]  # (R,)
        answers = labelled.texts.answers
        said = [answers[item][place] for item, place in zip(self.whose.tolist(), places.tolist(), strict=True)]
        self.encoded = [writer(student).encode_told(labelled.items, said, self.whose) for student in students]

    def __len__(self) -> int:
        return len(self.weight)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know of how they were read: what was cut."""
        return self.encoded[0].notes

    def take(self, rows: Tensor) -> tuple[list[dict[str, Tensor]], Batch]:
        """Rows (n,) long to each side's inputs and what is told: labels (n, T), weight (n, T), the item's row (n,).

        And `lengths` (n, S): of how many tokens each side reads the completion.
        """
        inputs = [one.batch(rows) for one in self.encoded]
        labels = inputs[0]["labels"]
        weight = self.weight[rows].unsqueeze(-1) * (labels != IGNORED)
        lengths = torch.stack([(own["labels"] != IGNORED).sum(-1) for own in inputs], -1)
        return inputs, {"labels": labels, "weight": weight, "row": self.whose[rows], "lengths": lengths}

    def asked(self, rows: Tensor, side: int = 0) -> dict[str, Tensor]:
        """The prompts of rows (n,) as a side reads them: inputs (n, P), padded on the left."""
        read = self.encoded[side]
        return Prompts(read.prompts, read.fill, ()).batch(self.whose[rows])

    def select(self, rows: Tensor, written: Sequence[Sequence[int]] | None = None) -> Completions:
        """Some rows (n,) as a training set; `written`: token ids of another completion for each, by the sides' tokenizer."""
        some = copy.copy(self)
        some.whose, some.weight = self.whose[rows], self.weight[rows]
        new = None if written is None else Ragged.of(written)
        some.encoded = [
            replace(one, whose=one.whose[rows], completions=new or one.completions.select(rows)) for one in self.encoded
        ]
        return some

    def count(self, rows: Tensor) -> Tensor:
        """What rows (n,) count together: the weight of all their tokens."""
        return (self.weight[rows] * self.encoded[0].completions.lengths[rows]).sum()
