"""A process that buys answers until it is done or killed: `annotating.py LEDGER RECIPE_JSON COUNT [CAPS_JSON]`.

After every answer that the ledger has confirmed it prints how many are there.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from distrust.data import Items
from distrust.errors import DistrustError
from distrust.labels import LabelSpace
from distrust.ledger import Ledger
from distrust.recipe import Budget, Endpoint
from distrust.teachers import endpoint

LABELS = LabelSpace(("alpha", "beta", "gamma"))


def numbered(count: int) -> Items:
    """Items 0 to count - 1, whose texts name a colour."""
    colours = ("red", "green", "blue")
    ids = tuple(str(number) for number in range(count))
    return Items(ids, tuple(f"a {colours[number % 3]} thing {number}" for number in range(count)))


def main() -> None:
    path, recipe, count, *caps = sys.argv[1:]
    total = Budget.model_validate(json.loads(caps[0])) if caps else Budget()
    endpoint.TICK = 0.0

    def tell(progress: Any) -> None:
        print(progress.done, flush=True)

    try:
        with Ledger(Path(path)) as ledger:
            teacher = endpoint.EndpointTeacher(
                Endpoint.model_validate(json.loads(recipe)), LABELS, ledger, total, progress=tell
            )
            teacher.buy(numbered(int(count)))
            print("ended", teacher.spending().ended, flush=True)
    except (DistrustError, KeyboardInterrupt) as error:
        print("error", type(error).__name__, error, flush=True)


if __name__ == "__main__":
    main()
