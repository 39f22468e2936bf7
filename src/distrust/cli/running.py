"""Commands that do the work: run, plan, annotate, demo."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from distrust.recipe import Recipe

RECIPE = Annotated[Path, typer.Argument(help="the recipe, a YAML file", metavar="RECIPE")]
SET = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="change a key: --set train.num_train_epochs=3")
]


def run(recipe: RECIPE, set_: SET = None) -> None:
    """Ask, judge, train, evaluate, and leave a report.

    A run that was interrupted goes on where it was; what is done or bought is never done or bought twice.

    Examples:

      distrust run recipe.yaml

      distrust run recipe.yaml --set method.options.trust=confusions --set seed=1 --set output_dir=runs/one
    """
    carry(load(recipe, set_))


def carry(loaded: Recipe, merging: bool = False) -> None:
    """Carry a recipe out, from its data to its report.

    Before anything is asked it says who knows which class, where teachers know different ones; `merging`: wherever there are
    classes.
    """
    from distrust.build import opened
    from distrust.cli.progress import Progress
    from distrust.cli.tables import classes_table
    from distrust.finish import carry_out, write
    from distrust.processes import rank

    with Progress() as progress, opened(loaded, progress.fitting, progress.buying) as (work, task):
        if rank() == 0:
            classes_table(work, merging)
        for warning in work.warnings:
            progress.say(f"Note: {warning}")
        facts, student = carry_out(work, task, loaded)
        if rank() != 0:
            return
        page = write(facts, student, work.folder)
        for warning in facts.warnings:
            progress.say(f"Note: {warning}")
    _close(work.folder, page)


def plan(recipe: RECIPE, set_: SET = None) -> None:
    """Say what a recipe would buy, and what it would cost, before anything is spent.

    Example: distrust plan recipe.yaml
    """
    loaded = load(recipe, set_)
    from distrust.cli.tables import plan_table
    from distrust.plan import plan as expected

    if loaded.method.name == "auto":
        from distrust.cli.tables import table
        from distrust.methods.auto_plan import tries

        table("What auto would try", ("method", ""), tries(loaded), header=False)
        print()
    plan_table(expected(loaded))


def annotate(recipe: RECIPE, set_: SET = None) -> None:
    """Only buy: ask every teacher about the pool, keep the answers, train nothing.

    Of a method that chooses what to buy, it is what needs no student: ta-in-the-loop's first stage.

    Stop it when you like; started again, it buys only what is missing. `distrust run` then finds everything bought.

    Example: distrust annotate recipe.yaml --set budget.money=5
    """
    loaded = load(recipe, set_)
    from distrust.build import opened
    from distrust.cli.progress import Progress
    from distrust.cli.tables import spending_table
    from distrust.finish import prices, spending
    from distrust.methods import find

    with Progress() as progress, opened(loaded, progress.fitting, progress.buying) as (work, _):
        first = getattr(find(loaded.method.name, loaded.method.options)[1], "first", None)
        items = work.pool if first is None else first(work)
        evidence = [work.ask(teacher, items) for teacher in work.teachers]
        spent = spending(work, evidence, prices(loaded))
    spending_table(spent, evidence)


def demo(
    output_dir: Annotated[Path, typer.Option(help="where the run goes")] = Path("runs/demo"),
) -> None:
    """Five teachers of handwritten digits, two of them systematically wrong, 50 gold labels: whom to believe?

    Trains the teachers on the spot from scikit-learn's bundled digits; needs no network and under 90 seconds.
    """
    import torch

    from distrust.demo import demo as play

    torch.set_num_threads(1)  # networks this small lose by more
    _close(output_dir, play(output_dir))


def load(path: Path, overrides: list[str] | None) -> Recipe:
    """A recipe file, its method and options checked; libraries get the threads it asks for."""
    from distrust.recipe_file import load_recipe

    recipe = load_recipe(path, overrides)
    from distrust.finish import check_method  # after the recipe: its mistakes are said before torch is loaded

    check_method(recipe)
    threads = recipe.threads or (1 if recipe.student.kind == "ngram" else None)  # its products are too small to share
    if threads is not None:
        from distrust.threads import limit

        limit(threads)
    return recipe


def _close(folder: Path, page: Path) -> None:
    from distrust.cli.tables import summary

    summary(folder / "metrics.json")
    typer.echo(f"\nReport: {page}")


def register(app: typer.Typer) -> None:
    """Add this file's commands."""
    for command in (run, plan, annotate, demo):
        app.command()(command)
