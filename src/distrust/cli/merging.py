"""The command that makes one classifier of several: merge."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from distrust.cli.running import SET

RECIPE = "merge.yaml"


def merge(
    teachers: Annotated[list[str], typer.Argument(help="folders or hub ids of classifiers", metavar="TEACHER...")],
    data: Annotated[list[str], typer.Option(help="table of unlabelled items, or a hub data set id; may be given again")],
    output: Annotated[Path, typer.Option(help="the run's folder; the student is in `student` there")],
    text: Annotated[str, typer.Option(help="column of the texts, in every table")] = "text",
    image: Annotated[
        str | None, typer.Option(help="column of image files in every table, from its folder on, for classifiers of images")
    ] = None,
    same: Annotated[
        list[str] | None, typer.Option(metavar="NAME=CLASS", help="a label that is another's class, under another name")
    ] = None,
    gold: Annotated[str | None, typer.Option(help="table of labelled items: who knows what is learned from them")] = None,
    test: Annotated[str | None, typer.Option(help="table of labelled items that only the final evaluation sees")] = None,
    label: Annotated[str, typer.Option(help="column of the labels of --gold and --test")] = "label",
    student: Annotated[
        str | None, typer.Option(help="folder or hub id that the student starts from; default: the first teacher")
    ] = None,
    features: Annotated[
        bool,
        typer.Option("--features", help="keep teachers' features: what is known of an item then tells of those near it"),
    ] = False,
    set_: SET = None,
) -> None:
    """Merge classifiers that know different classes into one that knows them all, on items that nobody labelled.

    Writes `merge.yaml` in the output folder and runs it: `distrust run` goes on from there, and everything that a recipe can
    say can be changed in it. Label sets may overlap; equal names are one class.

    Examples:

      distrust merge models/banking models/travel --data unlabelled.jsonl --output runs/merged

      distrust merge banking travel --data all.csv --text body --same "credit_card=credit card" --gold few.csv --output m

      distrust merge news mails --data news.jsonl --data mails.jsonl --output m   (models of two data sets: give both)

      distrust merge birds/model fish/model --data photos.csv --image file --output m
    """
    from distrust.files import refusing, write_atomically
    from distrust.merge import Merging, merge_recipe, write_pool

    asked = Merging(teachers, data, str(output), text, same or (), gold, test, label, student, image, features)
    recipe = merge_recipe(asked)
    import yaml

    from distrust.cli.running import carry, load
    from distrust.recipe_file import parse_recipe

    parse_recipe(recipe)
    path = output / RECIPE
    with refusing(output):
        output.mkdir(parents=True, exist_ok=True)
    write_pool(asked)
    write_atomically(path, yaml.safe_dump(recipe, sort_keys=False, allow_unicode=True))
    carry(load(path, set_), merging=True)
    from distrust.secrets import show

    typer.echo(f"Student: {show(str(output / 'student'), limit=1000)}")


def register(app: typer.Typer) -> None:
    """Add this file's command."""
    app.command()(merge)
