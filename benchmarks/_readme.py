"""`python -m benchmarks._readme`: writes README's table of figures from the result files, so that no number is typed.

Knows which figures the README shows and in what words. Measures nothing, and leaves out what has no result file yet.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks._pages import fill, points
from benchmarks.harness import RESULTS
from distrust.files import read_json

README = Path(__file__).parent.parent / "README.md"
Figures = dict[str, Any]
EQUAL_COST = "gain_over_forward_kl.equal_cost"


def _percent(name: str) -> Callable[[Figures], str]:
    def written(figures: Figures) -> str:
        value, low, high = (100 * figures[one] for one in (name, f"{name}.low", f"{name}.high"))
        return f"{value:.1f} % [{low:.1f}, {high:.1f}]"

    return written


def _count(name: str) -> Callable[[Figures], str]:
    def written(figures: Figures) -> str:
        value, low, high = (figures[one] for one in (name, f"{name}.low", f"{name}.high"))
        return f"{value:.0f} [{low:.0f}, {high:.0f}]"

    return written


def _accuracies(world: str) -> Callable[[Figures], str]:
    def written(figures: Figures) -> str:
        ours, *others = (100 * figures[f"{world}.{name}"] for name in ("auto", "dawid-skene", "majority"))
        return f"{ours:.1f} % ({', '.join(f'{one:.1f}' for one in others)})"

    return written


ROWS: dict[str, dict[str, Callable[[Figures], str]]] = {
    "r52": {
        "R52 news, 50 gold labels, a real LLM's recorded labels: the LLM is right on": _percent("teacher"),
        "the student on gold alone": _percent("gold_only"),
        "the student on the LLM's labels alone": _percent("labels_only"),
        "the student of `benchmarks/r52.yaml`, on both": _percent("student"),
    },
    "peer_advised": {
        "R52 again, `peer-advised` with its gate, 50 gold labels": _percent("r52.llm.peer_advised"),
        "what that student is worth in human labels, by the curve of gold alone": _count("r52.worth_in_labels"),
        "worlds in which it is the best of all methods or within noise of it": (
            lambda of: f"{of['rows_best_or_tied']:.0f} of {of['rows']:.0f}"
        ),
        "worlds in which it is below plain distillation": lambda of: f"{of['rows_below_distill']:.0f} of {of['rows']:.0f}",
    },
    "audit": {
        "R52, 50 gold labels: average precision of the items named as mislabelled; cleanlab without gold": (
            lambda of: f"{of['r52.auprc.gold50']:.2f}; {of['r52.auprc.cleanlab']:.2f}"
        ),
    },
    "tables": {
        "label tables, one structured adversary, 200 gold: `trust: auto` (Dawid-Skene, majority)": _accuracies("adversary"),
        "label tables, three near-clones, 200 gold: `trust: auto` (Dawid-Skene, majority)": _accuracies("clones"),
    },
    "panel": {
        "a panel of LLMs, open answers, 100 gold: above a conditional logit, points": (
            lambda of: points(of, "gold100.mean_gain_over_logit", 2)
        ),
    },
    "signals": {
        "CommonsenseQA, an LLM's answers judged by a second model's: right of the 60 % that it trusts most": (
            _percent("cqa.precision_at_60")
        ),
        "StrategyQA: an LLM is right where one of its four prompts says so, and where all do": (
            lambda of: f"{100 * of['strategyqa.agree1.right']:.1f} %, {100 * of['strategyqa.agree4.right']:.1f} %"
        ),
    },
    "annotate": {
        "durable answers a second, of a loopback server that takes 20 ms, 64 at once (median, worst and best round)": (
            lambda of: f"{of['calls_per_s']:,.0f} [{of['calls_per_s.low']:,.0f}, {of['calls_per_s.high']:,.0f}]"
        ),
        "the same by a bare aiohttp client that keeps nothing": lambda of: f"{of['bare_client_calls_per_s']:,.0f}",
        "answers lost": lambda of: f"{of['lost_after_kills']:.0f} in {of['kills']:.0f} kills",
        "spent above small caps on calls, tokens and money": lambda of: f"{of['over_budget']:g}",
        "memory grown over recorded calls": lambda of: f"{of['memory_growth_mib']:.1f} MiB in {of['memory_calls']:,.0f}",
    },
    "step": {
        "a training step above a hand-written torch loop (median, quartiles)": (
            lambda of: f"{of['overhead_us']:.0f} µs [{of['overhead_us.low']:.0f}, {of['overhead_us.high']:.0f}]"
        ),
        "the same weights at the end, bit for bit": lambda of: "yes" if of["bit_equal"] else "no",
    },
    "store": {
        "an epoch from the evidence store, three teachers of four times the student's size: times as fast as asking them": (
            lambda of: f"{of['cached_speedup']:.1f} [{of['cached_speedup.low']:.1f}, {of['cached_speedup.high']:.1f}]"
        ),
        "share of a step that waits for the store": lambda of: f"{100 * of['data_wait_share']:.1f} %",
    },
    "textbrewer": {
        "averaged logits of three teachers: a step above a hand-written loop, of `distrust` and of TextBrewer's cache": (
            lambda of: f"{of['distrust.overhead_us']:.0f} µs, {of['cached.overhead_us']:.0f} µs"
        ),
        "the largest difference of their students' weights on one batch order": lambda of: f"{of['weights_apart']:.1g}",
    },
    "worlds": {
        "worlds of several teachers in which `ca-mkd` with `weights: auto` is best or tied": (
            lambda of: f"{of['worlds_best_or_tied']:.0f} of {of['worlds']:.0f}"
        ),
    },
    "muka": {
        "specialists of different classes in 10 divisions: `muka` with `score: auto` above vanilla KD, points, both with 10 "
        "gold labels a class, and with none": (
            lambda of: (
                f"{of['mean_gain_over_vanilla_kd_with_gold.gold10']:+.1f}, {of['mean_gain_over_vanilla_kd.no_gold']:+.1f}"
            )
        ),
    },
    "okd": {
        "`okd` above the plain forward divergence at equal cost (below 0: behind it), nats a token (range of seeds)": (
            lambda of: "{:+.2f} [{:+.2f}, {:+.2f}]".format(*(of[f"{EQUAL_COST}{end}"] for end in ("", ".low", ".high")))
        ),
    },
    "kernels": {
        "exact forward KL from hidden states, width 256, vocabulary 32,768: times the bare matrix products": (
            lambda of: f"{of['w256.v32768.x_floor']:.2f}"
        ),
        "TRL's and Liger's of the same, times as long as ours": (
            lambda of: f"{of['w256.v32768.x_trl']:.1f}, {of['w256.v32768.x_liger']:.1f}"
        ),
        "extra memory at 2,048 tokens and 50,304 words; of whole logits": (
            lambda of: f"{of['memory_mb.v50304.n2048']:,.0f} MB; {of['memory_mb.v50304.n2048.naive']:,.0f} MB"
        ),
    },
    "trainer_step": {
        "a whole off-policy step, times as fast as TRL's GKD trainer's: student width 64, width 256": (
            lambda of: f"{of['w64.batch4.x_trl']:.1f}, {of['w256.batch4.x_trl']:.1f}"
        ),
    },
    "auto": {
        "worlds in which `auto` is above plain distillation beyond noise, and below": (
            lambda of: f"{of['rows_above_distill']:.0f}, {of['rows_below_distill']:.0f} of {of['rows']:.0f}"
        ),
        "of them those of sets that no choice of ours was made on": (
            lambda of: (
                f"{of['closing.rows_above_distill']:.0f}, {of['closing.rows_below_distill']:.0f} of {of['closing.rows']:.0f}"
            )
        ),
    },
}


def figures() -> str:
    """The table as markdown, a row a figure, from the results that are there."""
    lines = ["| what | figure | command |", "|---|---|---|"]
    for name, rows in ROWS.items():
        path = RESULTS / f"{name}.json"
        if path.is_file():
            found = read_json(path)["figures"]
            lines += [f"| {what} | {written(found)} | `python -m benchmarks {name}` |" for what, written in rows.items()]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Replace what stands between README's two marks."""
    fill(README, figures)


if __name__ == "__main__":
    main()
