"""`python -m benchmarks NAME [--quick]`: run one benchmark, print its figures, keep them in `benchmarks/results`."""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import sys
from pathlib import Path

from benchmarks.harness import LEFT_OUT, Absent, Result, keep, table

OWN = {"__main__", "harness"}


def main() -> None:
    """Run the benchmark that the command line names."""
    names = [one.name for one in pkgutil.iter_modules([str(Path(__file__).parent)]) if one.name not in OWN]
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("name", choices=sorted(name for name in names if not name.startswith("_")))
    parser.add_argument("--quick", action="store_true", help="minutes on 2 cores; kept apart as NAME.quick.json")
    options = parser.parse_args()
    try:
        result: Result = importlib.import_module(f"benchmarks.{options.name}").run(options.quick)
    except Absent as error:
        print(error, file=sys.stderr)
        raise SystemExit(LEFT_OUT) from None
    path = keep(options.name, options.quick, result)
    print(table(options.name, result))
    print(f"\nKept in {path}")


if __name__ == "__main__":
    main()
