"""Products of matrices in single precision on a CPU: torch's own, or through oneDNN where a recipe asks and they stay exact.

Knows torch's switch, how exact a product is and how long it takes. Knows nothing of models. The switch's name speaks of
bf16, and where a processor has units for that it may round: so products are compared with double precision first. It is
nobody's default: wide products took less time, but no student's step did, and a small one's took two to four times as long
(benchmarks/onednn.py).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from statistics import median
from typing import Any

import torch

from distrust.errors import RecipeError

EXACT = 1e-5  # of the largest number; single precision errs by less than 1e-6 here, bf16 by 2e-3
SIZES = ((64, 256, 512), (256, 512, 1024))
NARROW, WIDE = (64, 64, 64), (256, 256, 8192)  # rows, inner, columns: of a small student's layer, of a vocabulary


@contextmanager
def routed(onednn: bool) -> Iterator[None]:
    """Inside, products go through oneDNN, in the whole process; as they were, where `onednn` is false.

    Whoever has several open closes them in reverse order.

    Raises:
        RecipeError: this torch cannot, or products would be rounded.
    """
    if not onednn:
        yield
        return
    refused = _refused()
    if refused is not None:
        raise RecipeError(f"`onednn: true` is not possible here: {refused}; leave it out.")
    with _through():
        yield


def is_on() -> bool:
    """Whether products go through oneDNN in this process."""
    return getattr(_switch(), "fp32_precision", None) == "bf16"


def error() -> float:
    """How far single-precision products and their gradients' are from double precision, over the largest number."""
    draw = torch.Generator().manual_seed(0)
    worst = 0.0
    for rows, inner, columns in SIZES:
        left, right = torch.randn(rows, inner, generator=draw), torch.randn(columns, inner, generator=draw)
        out = torch.randn(rows, columns, generator=draw)
        for one, other in ((left, right.T), (out, right), (out.T, left)):
            exact = one.double() @ other.double()
            worst = max(worst, float(((one @ other).double() - exact).abs().max() / exact.abs().max()))
    return worst


def said() -> str:
    """What doctor says of them, measured on the spot."""
    refused = _refused()
    if refused is not None:
        return f"torch's own; `onednn: true` is not possible here: {refused}"
    ratios = [_seconds(size, through=True) / _seconds(size, through=False) for size in (NARROW, WIDE)]
    narrow, wide = (f"{one:.1f}" for one in ratios)
    takes = f"narrow products take {narrow} times as long, wide ones {wide} times"
    return f"torch's own; with `onednn: true`, as exact here, {takes}"


def _refused() -> str | None:
    """Why oneDNN cannot be used, if so."""
    if _switch() is None:
        return "torch has the switch from 2.9 on, where it was built with oneDNN"
    with _through():
        far = error()
    return None if far <= EXACT else f"this processor rounds them ({far:.0e} of the largest number)"


def _switch() -> Any:
    """None before torch 2.9, or without oneDNN."""
    known = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return getattr(torch.backends.mkldnn, "matmul", None) if known else None


@contextmanager
def _through() -> Iterator[None]:
    switch = _switch()
    before, switch.fp32_precision = switch.fp32_precision, "bf16"
    try:
        yield
    finally:
        switch.fp32_precision = before


def _seconds(size: tuple[int, int, int], *, through: bool) -> float:
    """Of one product, the median of a few rounds of some milliseconds."""
    rows, inner, columns = size
    left, right = torch.ones(rows, inner), torch.ones(columns, inner)
    count, took = max(1, 10**8 // (rows * inner * columns)), []
    with _through() if through else nullcontext():
        for _ in range(5):
            began = time.perf_counter()
            for _ in range(count):
                left @ right.T
            took.append((time.perf_counter() - began) / count)
    return median(took)
