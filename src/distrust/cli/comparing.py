"""The command that tells methods apart: compare."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from distrust.cli.running import RECIPE, SET


def compare(
    recipe: RECIPE,
    methods: Annotated[
        str | None, typer.Option(help="names with commas between them, in place of the recipe's `compare.methods`")
    ] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="how many seeds; default: the recipe's, or 5")] = None,
    set_: SET = None,
) -> None:
    """Carry out several methods, settings and seeds side by side, and say which differences are more than chance.

    Paid answers are bought once and shared. What is done is never done twice: started again, it goes on where it was.

    Examples:

      distrust compare recipe.yaml --methods distill,peer-advised,gold-only --seeds 5

      distrust compare recipe.yaml                  (with a `compare` block: options, grids over any key)
    """
    from distrust.cli.board import Board
    from distrust.comparison.cells import cells, chosen
    from distrust.comparison.figures import compared
    from distrust.comparison.work import outcomes, paid
    from distrust.recipe_file import load_recipe
    from distrust.report.comparison import priced, sentence, write_comparison
    from distrust.secrets import expand

    names = [one.strip() for one in methods.split(",")] if methods is not None else []
    loaded = chosen(load_recipe(recipe, set_), names, seeds)
    every = cells(loaded)
    folder = Path(expand(loaded.output_dir))
    with Board(every) as board:
        found, failed = outcomes(every, folder, board.finished, board.buying, board.going)
    known = {**compared(found, failed, {cell.setting: cell.values for cell in every}), "paid": paid(folder)}
    page = write_comparison(folder, known, folder.resolve().name, loaded.model_dump(mode="json"))
    _table(known)
    bought = f"\nPaid for all of it together: {priced(known['paid'])}." if known["paid"] else ""
    typer.echo(f"\n{sentence(known)}{bought}\nReport: {page}")


def _table(known: dict[str, Any]) -> None:
    from distrust.cli.tables import table

    for one in known["settings"]:
        rows = [
            (
                row["method"],
                f"{row['accuracy'].value:.1%} [{row['accuracy'].low:.1%}, {row['accuracy'].high:.1%}]",
                "best or tied" if row["best_or_tied"] else f"p {row['p']:.3f}",
                f"{row['seconds']:.1f}",
                "unknown" if row["money"] is None else f"{row['money']:.4f}",
            )
            for row in one["rows"]
        ]
        table(one["name"] or "Methods", ("method", "accuracy on test", "against the best", "seconds", "money"), rows)


def register(app: typer.Typer) -> None:
    """Add this file's command."""
    app.command()(compare)
