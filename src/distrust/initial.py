"""A first recipe for a stranger's table: it runs as it is where the table holds a teacher, and says each guess beside it.

Knows how guesses become YAML that means nothing but itself, whatever a column is called. Knows nothing of files.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import PurePath

import yaml

from distrust.columns import Columns, Guessed
from distrust.errors import DataError
from distrust.labels import ABSTAIN, LabelSpace
from distrust.secrets import show

EXPECTED = 5  # a teacher's answer this common would have met that many gold labels, were it a class
REFUSAL = re.compile(r"(?i)i\b.*|sorry\b.*|unknown|n/?a|nan|null|error|\?+|abstain|unclear|not sure|-1")
ENOUGH = 20  # gold labels from which a teacher's confusions can be judged at all
ENDPOINT = """\
# No column looked like a teacher's answers. Any OpenAI-compatible server can be the teacher: take the first # from
# these lines, fill them in, and set method.name to distill below. `distrust plan` says what it would cost.
# teachers:
#   - kind: endpoint
#     name: llm
#     base_url: https://api.openai.com/v1
#     model: the-model
#     api_key: ${OPENAI_API_KEY}  # the name of an environment variable, never the key itself
#     prompt: "Classify the text as one of: {labels}.\\n\\nText: {text}PAIR\\nLabel:"
#     max_tokens: 16
#     price: {per_million_prompt_tokens: 1.0, per_million_completion_tokens: 4.0}  # what your server asks
# budget: {money: 5.0}  # in the currency of the price; buying ends there, which is no error
"""


def recipe_text(found: Columns, path: str) -> str:
    """A commented recipe for a table.

    Raises:
        DataError: a path that a recipe would read as an environment variable.
    """
    parts = [
        *heading(found.rows, path),
        _data(found, path),
        _labels(found),
        _gold(found),
        "".join(["teachers:\n", *(_teacher(one, found) for one in found.teachers)]) if found.teachers else _endpoint(found),
        _rest(found, path),
    ]
    return "\n".join(part for part in parts if part)


def heading(rows: int, path: str) -> list[str]:
    """The first lines of any recipe for a table. Raises DataError for a path that means an environment variable."""
    if re.search(r"\$\{\w+\}", path):
        raise DataError(f"{path} holds ${{...}}, which a recipe reads as an environment variable; rename it.")
    return [
        f"# Written by `distrust init` from {rows} rows. Each guess has its reason beside it: change what is wrong.",
        "# Check it with `distrust doctor`, see what it would cost with `distrust plan`, start it with `distrust run`.",
    ]


def folder_of(path: str) -> str:
    """The run's folder, named after the table."""
    return "runs/" + (re.sub(r"[^A-Za-z0-9_-]+", "-", PurePath(path).stem).strip("-") or "first")


def scalar(value: str) -> str:
    """A text as YAML that reads back as exactly that text, on one line."""
    if re.fullmatch(r"[A-Za-z./][\w./-]*", value, re.ASCII) and yaml.safe_load(value) == value:
        return value
    written: str = yaml.safe_dump(value, default_style='"', width=float("inf"), allow_unicode=True)
    return written.removesuffix("\n")


def _data(found: Columns, path: str) -> str:
    lines = ["data:", "  pool:", f"    path: {scalar(path)}"]
    for key, column in (("text", found.text), ("text_pair", found.text_pair), ("id", found.id)):
        if column is not None:
            lines.append(f"    {key}: {scalar(column)}{_why(found, column)}")
    lines += [
        "  # Gold-labelled items of their own, which only the final evaluation sees; without them no figure says how good",
        "  # the student is.",
        "  # test:",
        "  #   path: test.csv",
        f"  #   text: {scalar(found.text)}",
        f"  #   label: {scalar(found.gold or 'label')}",
        "",
    ]
    return "\n".join(lines)


def _labels(found: Columns) -> str:
    kept, doubted = _classes(found)
    if not kept:
        return "# labels: [first, second]  # the classes, which nothing here tells\n"
    lines = ["labels:  # the classes; an answer that is none of them abstains"]
    lines += [f"  - {scalar(name)}" + (f"  # {note}" if note else "") for name, note in kept.items()]
    if doubted:
        lines.append("  # Answers that look like no class; take the # away from one that is:")
        lines += [f"  # - {scalar(name)}  # {note}" for name, note in doubted.items()]
    return "\n".join([*lines, ""])


def _classes(found: Columns) -> tuple[dict[str, str], dict[str, str]]:
    """The classes, and the answers that are probably none, each with what is odd about it."""
    gold: Counter[str] = found.counts[found.gold] if found.gold is not None else Counter()
    kept, doubted = dict.fromkeys(sorted(gold), ""), dict[str, str]()
    for teacher in found.teachers:
        said = found.counts[teacher.column]
        for name, times in sorted(said.items()):
            if name in teacher.spellings or (kept and LabelSpace(tuple(kept)).find(name) != ABSTAIN):
                continue
            note = f"said {times} times by {show(teacher.name)}" + (", never in gold" if gold else "")
            met = times / said.total() * gold.total()
            odd = REFUSAL.fullmatch(name) or (gold and (times < 2 or met >= EXPECTED))
            (doubted if odd else kept).setdefault(name, note if gold or odd else "")
    return kept, {name: note for name, note in doubted.items() if name not in kept}


def _gold(found: Columns) -> str:
    if found.gold is None:
        return (
            "# No column looked like gold. The few labels that a person vouches for judge the teachers: label some rows in\n"
            "# a new column, or in a file of their own (`path`), and name it here.\n# gold:\n#   label: label\n"
        )
    lines = ["gold:", f"  label: {scalar(found.gold)}{_why(found, found.gold)}"]
    if found.teachers and found.counts[found.gold].total() == found.rows:
        lines.append("  # size: 50  # use only so many, drawn at random: with gold everywhere no teacher is needed")
    return "\n".join([*lines, ""])


def _teacher(one: Guessed, found: Columns) -> str:
    lines = [
        "  - kind: recorded",
        f"    name: {scalar(one.name)}",
        f"    column: {scalar(one.column)}{_why(found, one.column)}",
    ]
    for key, column in (("confidence", one.confidence), ("rationale", one.rationale)):
        if column is not None:
            lines.append(f"    {key}: {scalar(column)}{_why(found, column)}")
    if one.spellings:
        lines.append("    labels:  # its spelling of a label: the task's label")
        lines += [f"      {scalar(said)}: {scalar(meant)}" for said, meant in one.spellings.items()]
    lines.append("    # price: {per_call: 0.001}  # what an answer cost; unknown until it is said\n")
    return "\n".join(lines)


def _endpoint(found: Columns) -> str:
    return ENDPOINT.replace("PAIR", "" if found.text_pair is None else "\\nSecond text: {text_pair}")


def _why(found: Columns, column: str) -> str:
    """The comment on a guess, on one line: a reason may quote a column's name."""
    return f"  # {show(found.reasons[column][1])}"


def _rest(found: Columns, path: str) -> str:
    gold = found.counts[found.gold].total() if found.gold is not None else 0
    method = "  name: distill\n"
    if not found.teachers and gold:
        method = "  name: gold-only  # there is no teacher yet\n"
    elif found.teachers and gold >= ENOUGH:
        method += "  options:\n    trust: confusions  # believe an answer as far as gold says this teacher is right then\n"
    return (
        "student:\n  kind: ngram  # hashed n-grams, no download; `kind: transformer` takes any checkpoint\n"
        f"method:  # `distrust methods` lists them\n{method}"
        f"seed: 0\noutput_dir: {folder_of(path)}\n"
    )
