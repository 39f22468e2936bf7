"""A first recipe for a stranger's prompts: a table of conversations, or of prompts and completions.

Knows the names that people give such columns. Knows nothing of files, or of tables of classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from distrust.column import CONFIDENCE, RATIONALE, TEACHER, Column
from distrust.columns import look_for_id
from distrust.conversations import ASSISTANT, hold_turns, turns
from distrust.data import COMPLETION, MESSAGES, PROMPT
from distrust.initial import folder_of, heading, scalar
from distrust.secrets import show

STUDENT = """\
student:
  kind: causal
  # model: models/small  # a folder or hub id of pretrained weights learns faster than this small one from scratch
  config: {model_type: llama, hidden_size: 128, intermediate_size: 256, num_hidden_layers: 4, num_attention_heads: 4}
  max_prompt_length: 256
  max_completion_length: 128
"""
ENDPOINT = """\
# No column looked like a teacher's texts. Any OpenAI-compatible server can be the teacher: take the first # from these
# lines, fill them in, and set method.name to distill below. `distrust plan` says what it would cost.
# teachers:
#   - kind: endpoint
#     name: llm
#     base_url: https://api.openai.com/v1
#     model: the-model
#     api_key: ${OPENAI_API_KEY}  # the name of an environment variable, never the key itself
#     prompt: "{text}"
#     max_tokens: 256
#     price: {per_million_prompt_tokens: 1.0, per_million_completion_tokens: 4.0}  # what your server asks
# budget: {money: 5.0}  # in the currency of the price; buying ends there, which is no error
"""


@dataclass(frozen=True)
class Prompts:
    """A table's columns by what they seem to be for, where answers are open."""

    rows: int
    text: str
    id: str | None
    references: int  # rows with a text that somebody seems to vouch for
    teachers: tuple[str, ...]
    reasons: Mapping[str, tuple[str, str]]  # column: what it was taken for, and why; in the table's order


def look_for_prompts(table: Mapping[str, Sequence[Any]]) -> Prompts | None:
    """Guess what each column is for; None where nothing says that the table is one of prompts."""
    talks = next((name for name in (MESSAGES, PROMPT) if hold_turns(table.get(name, ()))), None)
    text = talks or (PROMPT if PROMPT in table and COMPLETION in table else None)
    if text is None:
        return None
    columns = {name: Column(name, values) for name, values in table.items()}
    reasons = {text: ("prompt", "its name" + ("; it holds conversations" if talks else ""))}
    if COMPLETION in table:
        filled = len(columns[COMPLETION].cells)
        reasons[COMPLETION] = ("gold", f"its name; {filled} of {len(table[COMPLETION])} rows have one")
    else:
        filled = sum(told is not None and told[-1][0] == ASSISTANT for told in map(turns, table[text]))
    teachers = [
        name
        for name, one in columns.items()
        if name not in reasons and one.words & TEACHER and one.cells and not one.words & (CONFIDENCE | RATIONALE)
    ]
    reasons |= {name: (f"teacher {name}", "its name") for name in teachers}
    rows = len(table[text])
    key = look_for_id({name: one for name, one in columns.items() if name not in reasons}, rows, reasons)
    told = {name: reasons.get(name, ("not used", "nothing tells what it is for")) for name in columns}
    return Prompts(rows, text, key, filled, tuple(teachers), told)


def open_recipe_text(found: Prompts, path: str) -> str:
    """A commented recipe for a table of prompts. Raises DataError as `initial.recipe_text` does."""

    def why(column: str) -> str:
        return f"  # {show(found.reasons[column][1])}"

    lines = [
        *heading(found.rows, path),
        "task: generation",
        "answer: {kind: text}  # what makes two texts the same answer: text, short, number, choice, yes_no or regex",
        "data:",
        "  pool:",
        f"    path: {scalar(path)}",
        f"    text: {scalar(found.text)}{why(found.text)}",
        *([] if found.id is None else [f"    id: {scalar(found.id)}{why(found.id)}"]),
        "  # Prompts and references of their own, which only the final evaluation sees; without them no figure says how",
        "  # good the student is.",
        "  # test:",
        "  #   path: test.jsonl",
        f"  #   label: {COMPLETION}",
        "",
    ]
    if found.references:
        lines += [
            "gold:",
            f"  label: {COMPLETION}  # {found.references} of {found.rows} rows have one, by column or last message",
            "  # size: 50  # use only so many, drawn at random",
            "",
        ]
    teachers = [f"  - {{kind: recorded, name: {scalar(one)}, column: {scalar(one)}}}{why(one)}" for one in found.teachers]
    method = "distill" if found.teachers or not found.references else "gold-only  # there is no teacher yet"
    tail = f"method:  # `distrust methods` lists them\n  name: {method}\nseed: 0\noutput_dir: {folder_of(path)}\n"
    asked = "\n".join(["teachers:", *teachers, ""]) if teachers else ENDPOINT
    return "\n".join(["\n".join(lines), asked, STUDENT + tail])
