"""The ten cells of the panel benchmark: recorded answers of (model, prompt) teachers to five sets of questions.

Knows the columns of `faithful_cot_teachers`. Weighs nobody.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
from torch import Tensor

from distrust.evidence import Evidence
from distrust.trust.panel_answers import gold_claims, read_answers

SETS = {"GSM8K": "number", "AQUA": "choice", "date": "date", "StrategyQA": "yes-no", "SVAMP": "number"}


@dataclass(frozen=True)
class Cell:
    """One set with one panel: M teachers, B items."""

    name: str
    evidence: list[Evidence]
    gold: Tensor  # (B,) claims
    groups: dict[str, list[str]]  # each teacher's model, and its prompt without the variant's number


def read_cells(folder: Path) -> Iterator[Cell]:
    """All ten, one at a time: each set with all teachers and without the GPT-4 ones."""
    outputs, questions = pq.read_table(folder / "outputs.parquet"), pq.read_table(folder / "questions.parquet")
    for name, kind in SETS.items():
        said = outputs.filter(pc.equal(outputs["dataset"], name)).to_pylist()
        asked = questions.filter(pc.equal(questions["dataset"], name)).to_pylist()
        gold = {str(row["id"]): row["gold"] for row in sorted(asked, key=lambda row: row["id"])}
        answers: dict[str, dict[str, tuple[str | None, str]]] = {}
        for row in said:
            answers.setdefault(row["config"], {})[str(row["id"])] = (row["pred"] or None, row["completion"] or "")
        kinds = {row["config"]: (row["lm"], row["prompt"].split("_")[0]) for row in said}
        for which in ("all", "without_gpt4"):
            teachers = [one for one in sorted(answers) if which == "all" or kinds[one][0] != "gpt-4"]
            nothing = (None, "")
            evidence = read_answers(
                list(gold),
                {one: [answers[one].get(item, nothing)[0] for item in gold] for one in teachers},
                kind,
                {one: [answers[one].get(item, nothing)[1] for item in gold] for one in teachers},
            )
            groups = {"model": [kinds[one][0] for one in teachers], "prompt": [kinds[one][1] for one in teachers]}
            yield Cell(f"{name}.{which}", evidence, gold_claims(evidence, gold, kind), groups)
