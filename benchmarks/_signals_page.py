"""`python -m benchmarks._signals_page`: writes docs/signals.md's tables from the result files: no number is typed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks._pages import fill
from benchmarks._signals_data import ASSISTANTS
from benchmarks.harness import RESULTS
from benchmarks.signals import GOLD
from distrust.files import read_json

PAGE = Path(__file__).parent.parent / "docs" / "signals.md"
ROWS = {
    "cqa": "CommonsenseQA, PaLM's answer; another model's one answer agrees",
    "cqa_test": "the same, its other split",
    "strategyqa": "StrategyQA, the teacher's answer; four prompts of its model agree",
    "strategyqa.all_prompts": "the same, with the fifth prompt, which is right about as often as a coin",
    "strategyqa.self_consistency": "StrategyQA, the majority of the four; their self-consistency",
    "strategyqa.self_consistency.entropy": "the same, entropy variant",
    "strategyqa.both": "the same, mean of self-consistency and text-davinci-003's agreement",
    "gsm8k": "GSM8K, the teacher's answer; nine prompts of its model agree",
    "gsm8k.self_consistency": "GSM8K, the majority of the nine; their self-consistency",
    "gsm8k.self_consistency.entropy": "the same, entropy variant",
    "gsm8k.both": "the same, mean of self-consistency and text-davinci-003's agreement",
}


def tables() -> str:
    """All tables as markdown, from `results/signals.json` and `results/stopping.json`."""
    of: dict[str, Any] = read_json(RESULTS / "signals.json")["figures"]
    lines = [
        "| claims, and the signal | right | AUROC | right of the top 50 % | 60 % | 63 % | 80 % "
        "| ECE raw → isotonic, Platt |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, what in ROWS.items():
        kinds = [of.get(f"{name}.ece.{kind}100") for kind in ("isotonic", "platt")]
        after = "" if kinds[0] is None else " → " + ", ".join(f"{one:.3f}" for one in kinds)
        top = " | ".join(_share(of, f"{name}.precision_at_{share}") for share in (50, 60, 63, 80))
        lines.append(
            f"| {what} | {100 * of[f'{name}.right']:.1f} | {_figure(of, f'{name}.auroc')} | {top} "
            f"| {of[f'{name}.ece']:.3f}{after} |"
        )
    lines += [
        "",
        "| assistant, three prompts, agrees with the teacher | StrategyQA: AUROC | right of the top 60 % "
        "| GSM8K: AUROC | right of the top 60 % |",
        "|---|---|---|---|---|",
    ]
    for model in ASSISTANTS:
        cells = [
            f"{_figure(of, f'{name}.assistant.{model}.auroc')} | {_share(of, f'{name}.assistant.{model}.precision_at_60')}"
            for name in ("strategyqa", "gsm8k")
        ]
        lines.append(f"| {model} | {' | '.join(cells)} |")
    lines += [
        "",
        "| whose samples, ECE raw → by agreement, without gold; Platt on 100 gold | StrategyQA | GSM8K |",
        "|---|---|---|",
    ]
    for model in ("", *ASSISTANTS):
        name = f".assistant.{model}" if model else ""
        cells = [
            f"{of[f'{of_what}{name}.ece']:.3f} → {of[f'{of_what}{name}.ece.agreement']:.3f}; "
            f"{of[f'{of_what}{name}.ece.platt{GOLD}']:.3f}"
            for of_what in ("strategyqa", "gsm8k")
        ]
        lines.append(f"| {model or 'the teacher itself, four or nine prompts'} | {' | '.join(cells)} |")
    lines += ["", "| of four prompts on StrategyQA agree | items | the teacher is right |", "|---|---|---|"]
    for level in (1, 2, 3, 4):
        at = f"strategyqa.agree{level}"
        lines.append(f"| {level} | {of[f'{at}.items']:,.0f} | {100 * of[f'{at}.right']:.1f} % |")
    return "\n".join([*lines, "", *_stopping(), "", *_sampling()]) + "\n"


def _stopping() -> list[str]:
    of: dict[str, Any] = read_json(RESULTS / "stopping.json")["figures"]
    lines = [
        "| the next block's gain | forecasts | intervals that held it | width, points | mean gain, forecast | error, points "
        "| error of expecting the last gain again |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, what in {"r52.": "R52", "trec.": "TREC", "sst2.": "SST-2", "clinc150.": "CLINC150", "": "together"}.items():
        wanted = ("held", "held.low", "held.high", "width", "mean_gain", "mean_forecast", "error", "error_of_last_gain")
        held, low, high, width, gain, forecast, error, other = (100 * of[f"{name}{one}"] for one in wanted)
        lines.append(
            f"| {what} | {of[f'{name}forecasts']:.0f} | {held:.0f} % [{low:.0f}, {high:.0f}] | {width:.1f} "
            f"| {gain:+.2f}, {forecast:+.2f} | {error:.2f} | {other:.2f} |"
        )
    return lines


def _sampling() -> list[str]:
    found: dict[str, Any] = read_json(RESULTS / "sampling.json")
    of, how = found["figures"], found["settings"]
    speed, low, high = (of[one] for one in ("speedup", "speedup.low", "speedup.high"))
    slowest = max(value for name, value in of.items() if name.startswith("selection_seconds."))
    return [
        f"| {how['samples']} samples of {how['prompts']:,} prompts | |",
        "|---|---|",
        f"| one prefill for all of a prompt's | {of['seconds.shared']:.1f} s |",
        f"| {how['samples']} calls of transformers' `generate` | {of['seconds.separate']:.1f} s: "
        f"{speed:.2f} [{low:.2f}, {high:.2f}] times as long |",
        f"| mean self-consistency, the one and the other | {of['self_consistency.shared']:.3f}, "
        f"{of['self_consistency.separate']:.3f} |",
        f"| chance of answers that differ so much, were both alike | {of['same_answers.p']:.2f} |",
        f"| choosing of a million scores | {slowest:.2f} s at most, {of['selection_mb']:.0f} MB |",
    ]


def _share(of: dict[str, Any], name: str) -> str:
    value, low, high = (100 * of[one] for one in (name, f"{name}.low", f"{name}.high"))
    return f"{value:.1f} [{low:.1f}, {high:.1f}]"


def _figure(of: dict[str, Any], name: str) -> str:
    value, low, high = (of[one] for one in (name, f"{name}.low", f"{name}.high"))
    return f"{value:.3f} [{low:.3f}, {high:.3f}]"


def main() -> None:
    """Replace what stands between the page's two marks."""
    fill(PAGE, tables)


if __name__ == "__main__":
    main()
