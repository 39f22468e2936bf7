"""predict and evaluate for students that write texts. Knows what is asked of one on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from distrust import predictions
from distrust.claimed import final
from distrust.cli.deferring import Deferral
from distrust.conversations import spoken
from distrust.data import COMPLETION, Items, column
from distrust.errors import DataError, RecipeError
from distrust.evaluate.texts import likeness, mean
from distrust.students.causal import CausalStudent
from distrust.students.sampling import Sampling, answer_texts

LABEL = "label"  # the command line's default, which people who write completions do not use


def predict(model: CausalStudent, items: Items, out: Path, asked: Deferral | None) -> None:
    """Complete prompts greedily, and keep the texts with the answers read from them."""
    _refuse(asked)
    predictions.write(out, predictions.text_rows(answer_texts(model, items, Sampling())))


def evaluate(model: CausalStudent, items: Items, label: str, data: str, asked: Deferral | None) -> dict[str, Any]:
    """Accuracy of the answers, token F1 and Rouge-L of the texts, over the rows that have a reference.

    Raises:
        DataError: no such column, or no row with a reference.
    """
    _refuse(asked)
    name = COMPLETION if label == LABEL and LABEL not in items.columns else label
    values = column(items.columns, name, data)
    kept = [row for row, value in enumerate(values) if value is not None and str(value).strip()]
    if not kept:
        raise DataError(f"{data} has no reference in {name!r}, so there is nothing to score.")
    wanted = [str(spoken(values[row])) for row in kept]
    said = final(answer_texts(model, items.select(kept), Sampling()), items.select(kept))
    right = [one is not None and one.answer == model.answers.reference(text) for one, text in zip(said, wanted, strict=True)]
    texts = [None if one is None else one.text for one in said]
    scores = {"accuracy": torch.tensor(right, dtype=torch.float64)}
    scores |= {name: likeness(texts, [[one] for one in wanted], name) for name in ("token_f1", "rouge_l")}
    return {"items": len(kept), "student": {name: vars(mean(values)) for name, values in scores.items()}}


def _refuse(asked: Deferral | None) -> None:
    if asked is not None:
        raise RecipeError("--defer-below needs a student's confidence in a class, and this student writes texts.")
