"""The command that looks whether all is well: doctor."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import Annotated

import typer

from distrust.cli.running import SET


def doctor(
    recipe: Annotated[Path | None, typer.Argument(help="also look at what this recipe needs", metavar="RECIPE")] = None,
    set_: SET = None,
) -> None:
    """Say what is installed, which devices there are, and whether a recipe's data and teachers can be reached.

    Buys nothing, trains nothing, shows no secret. Exit code 0 where all is well, 2 where something needs mending.

    Examples:

      distrust doctor

      distrust doctor recipe.yaml --set output_dir=runs/other
    """
    from distrust import checks
    from distrust.secrets import show

    problems = 0
    for check in chain(checks.installation(), checks.recipe(recipe, set_) if recipe is not None else ()):
        problems += not check.ok
        typer.echo(f"{'ok' if check.ok else 'PROBLEM':<8} {show(check.what, limit=40):<16} {show(check.said, limit=600)}")
    if problems:
        typer.echo(f"{problems} to mend." if problems > 1 else "One to mend.")
        raise typer.Exit(2)


def register(app: typer.Typer) -> None:
    """Add this file's command."""
    app.command()(doctor)
