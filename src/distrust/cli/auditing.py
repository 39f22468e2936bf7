"""The command that asks how noisy a teacher's labels are: audit."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from distrust.noise.question import Question

SHOWN = 8  # rows of each table on the terminal


def audit(
    data: Annotated[str, typer.Argument(help="table of labelled items, or a hub data set id", metavar="DATA")],
    labels: Annotated[str | None, typer.Option(help="column of the teacher's labels; default: guessed")] = None,
    text: Annotated[str | None, typer.Option(help="column of the texts; default: guessed")] = None,
    text_pair: Annotated[str | None, typer.Option(help="second column, for sentence pairs")] = None,
    id: Annotated[str | None, typer.Option(help="column of ids; default: guessed, else a hash of the text")] = None,
    split: Annotated[str | None, typer.Option(help="split of a hub data set")] = None,
    gold: Annotated[str | None, typer.Option(help="table of gold labels, joined by id or text")] = None,
    gold_column: Annotated[
        str | None, typer.Option(help="column of the gold labels, in --gold (default `label`) or in DATA")
    ] = None,
    label_next: Annotated[int, typer.Option("--next", min=0, help="how many items to name for labelling next")] = 20,
    out: Annotated[Path, typer.Option(help="folder of what was found; the same command goes on there")] = Path("audit"),
    seed: Annotated[int, typer.Option(help="of the folds and of the students' initial weights")] = 0,
) -> None:
    """How noisy are these labels: how many are wrong, which, as what, and which items to label next.

    Small students learn all labels but one fold's, and are asked about that fold. Without gold only mistakes that a student
    contradicts are seen; with 50 gold labels of randomly drawn items systematic ones are too, and the rate has an interval.

    Examples:

      distrust audit data.jsonl --labels teacher_label

      distrust audit data.csv --labels gpt --gold checked.csv --gold-column label --out audits/gpt
    """
    from contextlib import closing

    import torch

    from distrust.cli.progress import Progress
    from distrust.errors import RunError
    from distrust.noise import audit_run, estimate, next_to_label, out_of_fold
    from distrust.noise.question import Asked, read
    from distrust.report.audit import findings, write

    question = read(Asked(data, labels, text, text_pair, id, split, gold, gold_column))
    torch.set_num_threads(1)  # so small a student gains nothing from a second one, and one thread repeats bit for bit
    try:
        with Progress() as progress, closing(audit_run(out, question.space, question.items, seed, progress.fitting)) as run:
            chances = out_of_fold(run, question.items, question.claims)
        noise = estimate(chances, question.claims, question.gold_rows, question.gold_labels, question.texts)
        following = next_to_label(noise, question.claims, label_next, question.gold_rows, question.texts)
        found = findings(question, noise, chances, following)
        paths = write(out, question, noise, found)
    except RunError as error:  # its folder has another name here
        raise RunError(str(error).replace("another output_dir", "another --out")) from error
    _show(question, found)
    from distrust.secrets import show

    typer.echo(f"Written: {show(', '.join(map(str, paths)), limit=1000)}")


def _show(question: Question, found: dict[str, Any]) -> None:
    """The audit on the terminal: the rate, the worst confusions, what weakens it."""
    from distrust.cli.tables import table
    from distrust.secrets import show

    for note in found["notes"]:
        typer.echo(show(note, limit=600), err=True)
    rate = found["rate"]
    with_gold = f"with {found['gold']} gold labels, 95 % interval" if found["gold"] else "as far as a student can see"
    rows = [
        (f"wrong ({with_gold})", f"{_percent(rate['value'])} [{_percent(rate['low'])}, {_percent(rate['high'])}]"),
        (
            "more likely wrong than right" + (", of those without gold" if found["gold"] else ""),
            f"{found['suspects']} of {found['unchecked']}",
        ),
    ]
    table(f"{question.column}: {found['items']} claims, {len(found['classes'])} classes", ("", ""), rows, header=False)
    mistakes = [one for one in found["matrix"] if one["claimed"] != one["true"]]
    mistakes.sort(key=lambda one: -one["share"] * one["claims"])
    cells = [
        (one["claimed"], one["true"], _percent(one["share"]), f"{_percent(one['low'])} to {_percent(one['high'])}")
        for one in mistakes[:SHOWN]
    ]
    if cells:
        table("\nThe most frequent mistakes", ("claimed", "true", "share of the claims", "95 %"), cells)
    if found["next"]:
        chosen = [(one["id"], one["text"][:40], one["claimed"], one["suggested"]) for one in found["next"][:SHOWN]]
        table("\nLabel these next", ("id", "text", "claimed", "suggested"), chosen)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def register(app: typer.Typer) -> None:
    """Add this file's command."""
    app.command()(audit)
