"""Commands that use a trained student: predict, evaluate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from distrust.cli.deferring import BELOW, RECIPE, TEACHER, Cost, Deferral, ask_back, deferral, told, unquoted

if TYPE_CHECKING:
    from torch import Tensor

    from distrust.data import Items
    from distrust.defer import Deferred
    from distrust.labels import LabelSpace
    from distrust.students import Student

STUDENT = Annotated[Path, typer.Argument(help="a student's folder: `student` in a run's folder", metavar="STUDENT")]
TEXT = Annotated[str, typer.Option(help="column of the texts")]
TEXT_PAIR = Annotated[str | None, typer.Option(help="second column, for sentence pairs")]
ID = Annotated[str | None, typer.Option(help="column of ids; default: a hash of the text")]
SPLIT = Annotated[str | None, typer.Option(help="split of a hub data set")]

SAMPLES = Annotated[int | None, typer.Option(help="sample each text of a student that writes with so many seeds", min=1)]
TEACHER_MODEL = Annotated[
    str | None, typer.Option(help="folder or hub id of the language model that a student that writes is to follow")
]


def predict(
    student: STUDENT,
    data: Annotated[str, typer.Argument(help="table of new items, or a hub data set id", metavar="DATA")],
    text: TEXT = "text",
    text_pair: TEXT_PAIR = None,
    id: ID = None,
    split: SPLIT = None,
    out: Annotated[Path, typer.Option(help=".jsonl, .csv or .parquet")] = Path("predictions.jsonl"),
    defer_below: BELOW = None,
    recipe: RECIPE = None,
    teacher: TEACHER = None,
) -> None:
    """Label new items with a student, and ask its teacher only where the student is unsure.

    A row holds id, label, the student's confidence and its five largest probabilities, and `by`: who gave the label. Of a
    student that writes it holds id, text, the answer read from it, and `by`.

    Examples:

      distrust predict runs/mine/student new.csv

      distrust predict runs/mine/student new.csv --text body --id key --out labels.parquet

      distrust predict runs/mine/student new.csv --defer-below 0.8 --recipe recipe.yaml
    """
    asked = deferral(defer_below, recipe, teacher)
    from distrust import predictions
    from distrust.build import load_student
    from distrust.cli import writing
    from distrust.data import load_items
    from distrust.students import answer
    from distrust.students.causal import CausalStudent

    predictions.check_kind(out)
    _keep(out, data)
    model = load_student(student)
    if isinstance(model, CausalStudent):
        writing.predict(model, load_items(data, text=text, id=id, split=split, open_answers=True), out, asked)
        typer.echo(f"Texts: {_shown(out)}")
        return
    items = load_items(data, text=text, text_pair=text_pair, id=id, split=split)
    chances = answer(model, items).distribution()  # (N, C)
    deferred = None
    if asked is not None:
        deferred, cost = ask_back(asked, items, model.space, chances)
    predictions.write(out, predictions.rows(items.ids, model.space, chances, deferred))
    if deferred is not None:
        typer.echo(told(deferred, cost))
    typer.echo(f"{len(items)} items labelled: {_shown(out)}")


def evaluate(
    student: STUDENT,
    data: Annotated[str, typer.Argument(help="table of gold-labelled items, or a hub data set id", metavar="DATA")],
    label: Annotated[str, typer.Option(help="column of the gold labels or texts; rows without one are left out")] = "label",
    text: TEXT = "text",
    text_pair: TEXT_PAIR = None,
    id: ID = None,
    split: SPLIT = None,
    out: Annotated[Path | None, typer.Option(help="write the figures as JSON too")] = None,
    defer_below: BELOW = None,
    recipe: RECIPE = None,
    teacher: TEACHER = None,
    samples: SAMPLES = None,
    teacher_model: TEACHER_MODEL = None,
) -> None:
    """Score a student on gold: accuracy, macro F1, NLL, Brier score and calibration error, each with its 95 % interval.

    Of a student that writes: accuracy of the answers, exact match, token F1 and Rouge-L of the texts. With --samples, the
    same and distinct words of texts that it samples; with --teacher-model, how closely it follows that language model, on
    the references and on its own texts, and the exposure-bias error: how much further it is from it on its own.

    With --defer-below, also how good student and teacher are together, how often the teacher is asked, and its cost.

    Examples:

      distrust evaluate runs/mine/student gold.csv --label label --out metrics.json

      distrust evaluate runs/mine/student gold.csv --defer-below 0.8 --recipe recipe.yaml --teacher llm

      distrust evaluate runs/mine/student test.jsonl --samples 5 --teacher-model models/large
    """
    asked = deferral(defer_below, recipe, teacher)
    from distrust.build import load_student
    from distrust.cli import writing
    from distrust.data import load_items
    from distrust.errors import RecipeError
    from distrust.files import write_json
    from distrust.students.causal import CausalStudent

    if out is not None:
        _keep(out, data)
    model = load_student(student)
    if isinstance(model, CausalStudent):
        items = load_items(data, text=text, id=id, split=split, open_answers=True)
        found = writing.evaluate(model, items, label, data, asked, samples, teacher_model)
        writing.show(found)
    elif samples is not None or teacher_model is not None:
        raise RecipeError(
            "--samples and --teacher-model are of students that write texts; this one chooses between classes."
        )
    else:
        items = load_items(data, text=text, text_pair=text_pair, id=id, split=split)
        found = _scored(model, *_labelled(items, label, model.space, data), asked)
    if out is not None:
        write_json(out, found)
        typer.echo(f"Figures: {_shown(out)}")


def _scored(model: Student, items: Items, gold: Tensor, asked: Deferral | None) -> dict[str, Any]:
    """A student of classes on items with gold (N,), alone and with the teacher that it defers to: shown, and returned."""
    from distrust.cli.tables import intervals, table
    from distrust.evaluate import score
    from distrust.students import answer

    if asked is not None:
        items, gold = _judging(asked, items, gold)
    chances = answer(model, items).distribution()  # (N, C)
    figures = {name: vars(one) for name, one in score(chances, gold).items()}
    found: dict[str, Any] = {"items": len(items), "student": figures}
    table(f"The student on {len(items)} items", ("", "value", "low", "high"), intervals(figures))
    if asked is not None:
        deferred, cost = ask_back(asked, items, model.space, chances)
        found["deferring"] = _deferring(deferred, cost, asked, gold, chances)
        pair, gain = found["deferring"]["accuracy"], found["deferring"]["gain"]
        rows = intervals({"accuracy": pair, "gain over the student": gain})
        table(f"\nStudent and {deferred.teacher} together: {gain['verdict']}", ("", "value", "low", "high"), rows)
        typer.echo(told(deferred, cost))
    return found


def _labelled(items: Items, label: str, space: LabelSpace, data: str) -> tuple[Items, Tensor]:
    """The items that have a gold label, and those (n,) long. Raises DataError for a label the student does not know."""
    import torch

    from distrust.data import column
    from distrust.errors import DataError, nearest
    from distrust.labels import ABSTAIN

    values = column(items.columns, label, data)
    kept = [row for row, value in enumerate(values) if value is not None and str(value).strip()]
    if not kept:
        raise DataError(f"{data} has no label in {label!r}, so there is nothing to score.")
    if len(kept) < len(items):
        typer.echo(f"{len(items) - len(kept)} of {len(items)} rows have no label and are left out.", err=True)
    gold = torch.tensor([space.find(values[row]) for row in kept], dtype=torch.long)
    if bool((gold == ABSTAIN).any()):
        strange = str(values[kept[int((gold == ABSTAIN).nonzero()[0])]])
        raise DataError(f"{data} has the label {strange!r}, no class of this student; {nearest(strange, space.names)}.")
    return items.select(kept), gold


def _judging(asked: Deferral, items: Items, gold: Tensor) -> tuple[Items, Tensor]:
    """The items, and gold (n,), that may judge the teacher: an item quoted in a prompt never does."""
    rows = unquoted(asked, items)
    if len(rows) < len(items):
        typer.echo(f"{len(items) - len(rows)} items are examples in the teacher's prompt and are left out.", err=True)
    return items.select(rows), gold[rows]


def _deferring(deferred: Deferred, cost: Cost, asked: Deferral, gold: Tensor, chances: Tensor) -> dict[str, Any]:
    from distrust.evaluate import paired_difference, wilson

    right, alone = deferred.claims == gold, chances.argmax(-1) == gold  # (N,) twice
    accuracy = wilson(int(right.sum()), len(gold))
    assert accuracy is not None  # there are items
    return {
        "teacher": deferred.teacher,
        "below": asked.below,
        "asked": int(deferred.asked.sum()),
        "share_asked": float(deferred.asked.double().mean()),
        "answered": int(deferred.answered.sum()),
        "accuracy": vars(accuracy),
        "gain": vars(paired_difference(right.double(), alone.double())),
        "cost": vars(cost),
    }


def _keep(out: Path, data: str) -> None:
    from distrust.errors import DataError

    if out.exists() and out.resolve() == Path(data).resolve():
        raise DataError(f"{out} is the table that is read; give --out another name.")


def _shown(path: Path) -> str:
    from distrust.secrets import show

    return show(str(path), limit=1000)


def register(app: typer.Typer) -> None:
    """Add this file's commands."""
    for command in (predict, evaluate):
        app.command()(command)
