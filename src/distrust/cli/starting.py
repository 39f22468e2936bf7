"""The command that starts a task of one's own: init."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def init(
    data: Annotated[
        str, typer.Argument(help="a .csv, .tsv, .json, .jsonl or .parquet file, or a hub data set id", metavar="DATA")
    ],
    out: Annotated[Path, typer.Option(help="where the recipe goes")] = Path("recipe.yaml"),
    force: Annotated[bool, typer.Option("--force", help="replace a recipe that is there already")] = False,
) -> None:
    """Look at a table and write a commented recipe for it.

    Guesses which columns are texts, ids, gold labels and teachers' answers, says why, and writes each guess with its
    reason; nothing is asked, trained or paid. With a teacher's column among them the recipe runs as it is. A table of
    conversations (`messages`), or of prompts and completions, gets a recipe for generation.

    Examples:

      distrust init news.csv

      distrust init news.parquet --out news.yaml && distrust run news.yaml
    """
    from distrust.errors import RecipeError

    if out.exists() and out.resolve() == Path(data).resolve():
        raise RecipeError(f"{out} is the data itself; give --out another name, such as recipe.yaml.")
    if out.exists() and not force:
        raise RecipeError(f"{out} is there already; give --out another name, or --force to replace it.")
    from distrust.columns import Columns, look
    from distrust.data import load_table
    from distrust.files import write_atomically
    from distrust.initial import recipe_text
    from distrust.initial_open import look_for_prompts, open_recipe_text
    from distrust.secrets import show

    table = load_table(data)
    prompts = look_for_prompts(table)
    found = look(table, data) if prompts is None else prompts
    write_atomically(out, recipe_text(found, data) if isinstance(found, Columns) else open_recipe_text(found, data))
    typer.echo(f"{show(data)}: {found.rows} rows")
    names = [show(name, limit=40) for name in found.reasons]
    roles = [show(role, limit=40) for role, _ in found.reasons.values()]
    for name, role, (_, why) in zip(names, roles, found.reasons.values(), strict=True):
        typer.echo(f"  {name:<{max(map(len, names))}}  {role:<{max(map(len, roles))}}  {show(why)}")
    if not found.teachers:
        typer.echo("No teacher was found; the recipe has one to fill in.")
    typer.echo(f"Wrote {show(str(out))}. Next: distrust doctor {show(str(out))}, then plan, then run.")


def register(app: typer.Typer) -> None:
    """Add this file's command."""
    app.command()(init)
