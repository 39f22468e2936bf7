"""predict and evaluate for students that write texts. Knows what is asked of one on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from distrust import predictions, recipe
from distrust.build import load_student
from distrust.claimed import final
from distrust.cli.deferring import Deferral
from distrust.cli.tables import intervals, table
from distrust.conversations import spoken
from distrust.data import COMPLETION, Items, column
from distrust.errors import DataError, RecipeError
from distrust.evaluate.following import read_alike, sampled
from distrust.evaluate.texts import SCORES, likeness, mean
from distrust.report.text import plain
from distrust.students.causal import CausalStudent, build
from distrust.students.sampling import Sampling, answer_texts
from distrust.students.saving import ABOUT

SAMPLES = 3  # of each text, where a language model is to be followed and nothing else is said
TEACHER = "The teacher"
LABEL = "label"  # the command line's default, which people who write completions do not use


def predict(model: CausalStudent, items: Items, out: Path, asked: Deferral | None) -> None:
    """Complete prompts greedily, and keep the texts with the answers read from them."""
    _refuse(asked)
    predictions.write(out, predictions.text_rows(answer_texts(model, items, Sampling())))


def evaluate(
    model: CausalStudent,
    items: Items,
    label: str,
    data: str,
    asked: Deferral | None,
    samples: int | None = None,
    teacher_model: str | None = None,
) -> dict[str, Any]:
    """Accuracy of the answers, exact match, token F1 and Rouge-L of the texts, over the rows that have a reference.

    Args:
        samples: with how many seeds it samples besides, at temperature 1; default with a teacher: `SAMPLES`.
        teacher_model: folder or hub id of the language model that it is compared with, on the references and on its texts.

    Returns:
        Plain values: `items`, `student`, and where it sampled `sampled`, as `evaluate.following.sampled`.

    Raises:
        DataError: no such column, no row with a reference, or no language model there.
        RecipeError: a teacher that is a student of classes.
        RunError: a language model of another tokenizer, or one whose probabilities cannot be compared.
    """
    _refuse(asked)
    original = None if teacher_model is None else read_alike(TEACHER, _teacher(teacher_model, model), model)
    name = COMPLETION if label == LABEL and LABEL not in items.columns else label
    values = column(items.columns, name, data)
    kept = [row for row, value in enumerate(values) if value is not None and str(value).strip()]
    if not kept:
        raise DataError(f"{data} has no reference in {name!r}, so there is nothing to score.")
    wanted = [str(spoken(values[row])) for row in kept]
    items = items.select(kept)
    said = final(answer_texts(model, items, Sampling()), items)
    right = [one is not None and one.answer == model.answers.reference(text) for one, text in zip(said, wanted, strict=True)]
    texts = [None if one is None else one.text for one in said]
    scores = {"accuracy": torch.tensor(right, dtype=torch.float64)}
    scores |= {name: likeness(texts, [[one] for one in wanted], name) for name in SCORES}
    found: dict[str, Any] = {"items": len(kept), "student": {name: vars(mean(values)) for name, values in scores.items()}}
    if samples is not None or original is not None:
        count = samples or SAMPLES
        own = plain(sampled(model, items, wanted, count, {} if original is None else {"": original}))
        beside = own.pop("teachers").get("")
        found["sampled"] = {
            "samples": count,
            "temperature": 1.0,
            **own,
            "teacher": beside and {"model": teacher_model, **beside},
        }
    return found


def show(found: dict[str, Any]) -> None:
    """What `evaluate` found, as tables."""
    table(f"The student on {found['items']} items", ("", "value", "low", "high"), intervals(found["student"]))
    if "sampled" in found:
        how = f"Sampled at temperature 1, {found['sampled']['samples']} texts an item"
        table(f"\n{how}", ("", "mean", "least", "most"), sampled_rows(found))


def sampled_rows(found: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    """What `evaluate` sampled as a table's rows: name, mean, least and most over seeds; one number where texts are given."""
    own, beside = found["sampled"], found["sampled"]["teacher"]
    rows = [(name, *_three(own[name])) for name in ("exact_match", "rouge_l", "distinct_1", "distinct_2")]
    if beside is not None:
        given = beside["given"]
        for name, what in (("kl", "KL from the teacher, nats a token"), ("agreement", "same likeliest token")):
            rows.append((f"{what}: references", "unknown" if given[name] is None else f"{given[name]:.4f}", "", ""))
            rows.append((f"{what}: its own texts", *_three(beside["own"][name])))
        rows.append(("exposure-bias error, %", *_three(beside["excess_error"], 1)))
    return rows


def _three(one: dict[str, float | None], digits: int = 4) -> tuple[str, str, str]:
    value, least, most = (
        "unknown" if (own := one[name]) is None else f"{own:.{digits}f}" for name in ("value", "least", "most")
    )
    return value, least, most


def _teacher(where: str, student: CausalStudent) -> CausalStudent:
    """A language model: a student's folder, which says how it reads, or any other, which then reads as the student does."""
    if (Path(where) / ABOUT).is_file():
        kept = load_student(Path(where))
        if not isinstance(kept, CausalStudent):
            raise RecipeError(f"--teacher-model {where} chooses between classes and writes no texts; give a language model.")
        return kept
    read = student.reader
    lengths = {"max_prompt_length": read.max_prompt_length, "max_completion_length": read.max_completion_length}
    options = recipe.CausalStudent(kind="causal", model=where, template=read.template, **lengths)
    return build(options, student.answers, 0, Items((), ()), TEACHER)


def _refuse(asked: Deferral | None) -> None:
    if asked is not None:
        raise RecipeError("--defer-below needs a student's confidence in a class, and this student writes texts.")
