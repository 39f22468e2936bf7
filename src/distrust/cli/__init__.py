"""The command line: `distrust COMMAND`. Knows how people speak to the rooms; every command is a few calls to them.

Nothing heavy is imported before a command needs it: `distrust --help` must not wait for torch.
"""

from __future__ import annotations

import sys

import typer

from distrust.cli import auditing as auditing
from distrust.cli import checking as checking
from distrust.cli import comparing as comparing
from distrust.cli import looking as looking
from distrust.cli import merging as merging
from distrust.cli import running as running
from distrust.cli import starting as starting
from distrust.cli import using as using
from distrust.errors import DistrustError

app = typer.Typer(
    name="distrust",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="""Distil a student from teachers you cannot fully trust.

    Start:   distrust demo                         (bundled data, under two minutes)

    Yours:   distrust init data.csv  ->  distrust plan recipe.yaml  ->  distrust run recipe.yaml

    After:   distrust report runs/mine  |  distrust why ITEM --run runs/mine  |  distrust predict runs/mine/student new.csv

    Exit codes: 0 done (also when a budget ended buying), 2 a mistake you can mend (said in one sentence), 130 interrupted
    (what was bought and trained is kept; the same command goes on).""",
)
for room in (running, looking, starting, using, checking, auditing, merging, comparing):
    room.register(app)


def main() -> None:
    """Run the command line; a mistake of the user ends in one sentence, never in a traceback."""
    try:
        code = app(standalone_mode=False)  # typer hands the code of an Exit back, and makes one of Ctrl-C, 130
        if code == 130:
            raise KeyboardInterrupt
        sys.exit(code or 0)
    except DistrustError as error:
        _end(str(error), 2)
    except typer.Exit as done:
        sys.exit(done.exit_code)
    except typer.Abort:
        _end("Interrupted.", 130)
    except KeyboardInterrupt as stop:
        _end(str(stop) or "Interrupted; what was bought and trained is kept, and the same command goes on.", 130)
    except Exception as error:  # click's own usage errors; anything else is a fault of ours and keeps its traceback
        show = getattr(error, "show", None)
        if show is None:
            raise
        show()
        sys.exit(getattr(error, "exit_code", 2))


def _end(sentence: str, code: int) -> None:
    from distrust.secrets import show

    print(f"distrust: {show(sentence, limit=2000)}", file=sys.stderr)
    sys.exit(code)
