"""Single precision through oneDNN, torch's switch for it: how exact, and what it saves or costs, in products and in steps.

One thread, process time, both ways in turn, medians of a round's ratios: above 1, oneDNN is faster. Errors are from double
precision, over the largest number.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

import torch
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM

from benchmarks.harness import Absent, Result
from distrust.errors import RecipeError
from distrust.products import routed

CHUNKS = ((256, 64, 2048), (256, 256, 32768), (256, 768, 32768))  # tokens, width, classes
WIDTHS = (16, 64, 256)  # of language models of four layers, 16 texts of 64 tokens a step
ROUNDS = {True: 3, False: 9}


def run(quick: bool) -> Result:
    """Raises Absent where torch cannot, or the processor rounds."""
    try:
        with routed(onednn=True):
            pass
    except RecipeError as error:
        raise Absent(f"The benchmark onednn has nothing to measure. {error}") from None
    torch.set_num_threads(1)
    torch.manual_seed(0)
    figures: dict[str, float | bool] = {}
    for tokens, width, classes in CHUNKS:
        left, right, up = torch.randn(tokens, width), torch.randn(classes, width), torch.randn(tokens, classes)
        kinds: dict[str, Callable[[], Tensor]] = {
            "logits": lambda left=left, right=right: left @ right.T,  # type: ignore[misc]
            "of_hidden": lambda up=up, right=right: up @ right,  # type: ignore[misc]
            "of_weight": lambda up=up, left=left: up.T @ left,  # type: ignore[misc]
        }
        for kind, product in kinds.items():
            figures |= _ratio(f"product.{tokens}x{width}x{classes}.{kind}", product, ROUNDS[quick])
        with routed(onednn=True):
            found, exact = left @ right.T, left.double() @ right.double().T
        figures[f"product.{tokens}x{width}x{classes}.error"] = float(
            (found.double() - exact).abs().max() / exact.abs().max()
        )
    for width in WIDTHS:
        figures |= _ratio(f"step.width{width}", _step(width), ROUNDS[quick])
    return Result(figures, {"rounds": ROUNDS[quick], "threads": 1, "intervals": "least and most of the rounds"}, [0])


def _ratio(name: str, work: Callable[[], object], rounds: int) -> dict[str, float]:
    """torch's own time over oneDNN's: the median of the rounds, the least and the most."""
    ratios = []
    for turn in range(rounds + 1):
        plain = _timed(work)
        with routed(onednn=True):
            other = _timed(work)
        if turn:  # the first round warms up
            ratios.append(plain / other)
    return {name: median(ratios), f"{name}.low": min(ratios), f"{name}.high": max(ratios)}


def _timed(work: Callable[[], object]) -> float:
    """Process seconds of one piece of work, repeated until it can be measured."""
    began, count = time.process_time(), 0
    while time.process_time() - began < 0.1:
        work()
        count += 1
    return (time.process_time() - began) / count


def _step(width: int) -> Callable[[], None]:
    """A forward and backward of a small language model."""
    sizes = {"hidden_size": width, "intermediate_size": 3 * width, "num_hidden_layers": 4, "num_attention_heads": 4}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=512, **sizes))
    tokens = torch.randint(0, 512, (16, 64))

    def step() -> None:
        model.zero_grad()
        model(input_ids=tokens, labels=tokens).loss.backward()

    return step
