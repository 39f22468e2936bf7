"""Products of matrices in single precision on a CPU: through oneDNN where that is faster and as exact, else as they are.

Knows processors by their maker, torch's switch, and how exact a product is. Knows nothing of models. On AMD's processors
MKL, which torch takes, was measured at about half of oneDNN's speed. The switch's name speaks of bf16, and where a
processor has units for that it may round: so products are compared with double precision first, and torch is left alone
if they are worse.
"""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

import torch

SLOW = "AuthenticAMD"  # whose products oneDNN makes faster; on Intel's they are as fast or slower
EXACT = 1e-5  # of the largest number; single precision errs by less than 1e-6 here, bf16 by 2e-3
SIZES = ((64, 256, 512), (256, 512, 1024))


def choose(maker: str | None = None) -> bool:
    """Route products for this process; whether they go through oneDNN now. The same on every run on one machine.

    Args:
        maker: of the processor; by default this one's.
    """
    switch = _switch()
    if (_maker() if maker is None else maker) != SLOW or switch is None:
        return False
    before = switch.fp32_precision
    switch.fp32_precision = "bf16"
    if error() <= EXACT:
        return True
    switch.fp32_precision = before
    return False


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
    """What doctor says of them."""
    if getattr(_switch(), "fp32_precision", None) == "bf16":
        return "through oneDNN, which is as exact here, and faster on AMD's processors"
    return "torch's own"


def _switch() -> Any:
    """None before torch 2.9, or without oneDNN."""
    known = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return getattr(torch.backends.mkldnn, "matmul", None) if known else None


def _maker() -> str:
    """Of this processor: its vendor string on x86 under Linux, else what the platform calls it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("vendor_id")), platform.processor())
