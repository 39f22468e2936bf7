"""Commands that look at what is there: report, why, methods."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from distrust.report.facts import Facts

FOLDER = Annotated[Path, typer.Argument(help="a run's folder", metavar="RUN")]


def report(folder: FOLDER) -> None:
    """Write a finished run's report again, asking and training nothing.

    Example: distrust report runs/mine
    """
    from distrust.report.page import write_report

    typer.echo(f"Report: {write_report(_facts(folder), folder)}")


def why(
    item: Annotated[str, typer.Argument(help="an item's id, or the beginning of one")],
    run: Annotated[Path, typer.Option(help="the run's folder")] = Path("runs/default"),
) -> None:
    """One item's whole trace: each claim, its price and trust, what the student was told, what it says now.

    Example: distrust why 3f2a --run runs/mine
    """
    from distrust.report.trace import trace

    for line in trace(_facts(run), item, run):
        typer.echo(line)


def methods() -> None:
    """The methods and their options.

    Use one with `method: {name: distill, options: {trust: confusions}}` in a recipe.
    """
    from distrust.methods import METHODS

    for name, method in METHODS.items():
        typer.echo(f"{name}: {method.about}")
        for option, about in method.options.model_fields.items():
            typer.echo(f"    {option} (default {about.default}): {about.description}")


def _facts(folder: Path) -> Facts:
    from distrust.report.saved import load_facts

    return load_facts(folder / "facts")


def register(app: typer.Typer) -> None:
    """Add this file's commands."""
    for command in (report, why, methods):
        app.command()(command)
