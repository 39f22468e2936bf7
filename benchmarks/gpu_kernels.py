"""`losses.linear` on a GPU: how exact, how fast and how small, by size, precision and chunk. Waits for a device.

Times are between device events, contenders in random order, medians of ratios within a round. The floor is the four
products nobody can leave out. Memory is torch's own peak above what was there. Without a device this ends in a sentence;
`--quick` carries all of it out at toy sizes, on the CPU if need be, which shows that it works and says nothing of speed.
"""

from __future__ import annotations

import importlib.util
import random
import time
from collections.abc import Callable
from statistics import median

import torch

from benchmarks._kernel_numbers import Made, errors, numbers, on
from benchmarks.harness import Absent, Result
from benchmarks.kernels import CONTENDERS, PEERS, _floor
from distrust.losses import linear
from distrust.losses.linear import Projected

SIZES = {  # width of the student, of the teacher, vocabulary, tokens
    "w768.v50304": (768, 2048, 50304, 8192),
    "w1024.v128256": (1024, 4096, 128256, 8192),
    "w2048.v151936": (2048, 4096, 151936, 4096),
}
TOY = {"w32.v512": (32, 48, 512, 96)}
CHUNKS = (256, 1024, 4096)
PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}
LARGEST = 40e9  # bytes of a pair of whole logits and what comes of them; above it the naive way is left out
Call = Callable[[], object]


def run(quick: bool) -> Result:
    """All sizes in both precisions; errors against double precision."""
    if not quick and not torch.cuda.is_available():
        raise Absent("The benchmark gpu_kernels needs a CUDA device, and torch sees none; --quick tries toy sizes.")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    peers = [name for name, (package, _) in PEERS.items() if not quick and importlib.util.find_spec(package)]
    chunks, rounds = ((32, 64), 2) if quick else (CHUNKS, 15)
    figures: dict[str, float | bool] = {}
    for precision, dtype in PRECISIONS.items():
        figures |= {
            f"{precision}.max_error{end}": one for end, one in zip(("", ".naive"), errors(device, dtype), strict=True)
        }
        for size, (width, other, classes, tokens) in (TOY if quick else SIZES).items():
            made = on(numbers(width, other, classes, tokens), device, dtype)
            contenders = {f"chunk{one}": _ours(made, one) for one in chunks} | {"two_sided": CONTENDERS["two_sided"](made)}
            if 6 * tokens * classes * dtype.itemsize < LARGEST:
                contenders["naive"] = CONTENDERS["naive"](made)
            contenders |= {name: CONTENDERS[name](made) for name in peers} | {"floor": _floor(made, max(chunks))}
            took, memory = _interleaved(made, contenders, rounds, device)
            place = f"{precision}.{size}"
            figures[f"{place}.floor_ms"] = 1e3 * median(took["floor"])
            for name in contenders.keys() - {"floor"}:
                over = [one / floor for one, floor in zip(took[name], took["floor"], strict=True)]
                figures[f"{place}.{name}.x_floor"] = median(over)
                if device.type == "cuda":
                    figures[f"{place}.{name}.mb"] = memory[name] / 2**20
            del made, contenders
    name = torch.cuda.get_device_name() if device.type == "cuda" else "none: on the CPU"
    return Result(figures, {"device": name, "rounds": rounds, "peers": peers or "none installed", "quick": quick}, [0])


def _ours(made: Made, chunk: int) -> Call:
    student, teacher = Projected(made[0], made[1]), Projected(made[2], made[3])
    return lambda: linear.divergence(student, teacher, chunk=chunk)[0].backward()


def _interleaved(
    made: Made, contenders: dict[str, Call], rounds: int, device: torch.device
) -> tuple[dict[str, list[float]], dict[str, float]]:
    """Seconds a round, and the most bytes above what was there, by contender; a first round warms up."""
    took: dict[str, list[float]] = {name: [] for name in contenders}
    memory = dict.fromkeys(contenders, 0.0)
    order = random.Random(0)
    for number in range(rounds + 1):
        for name in order.sample(sorted(contenders), len(contenders)):
            made[0].grad = made[1].grad = None
            seconds, held = _measured(contenders[name], device)
            if number:
                took[name].append(seconds)
                memory[name] = max(memory[name], held)
    return took, memory


def _measured(call: Call, device: torch.device) -> tuple[float, float]:
    if device.type == "cpu":
        start = time.process_time()
        call()
        return max(time.process_time() - start, 1e-9), 0.0
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    start_event, end_event = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize()
    start_event.record()
    call()
    end_event.record()
    torch.cuda.synchronize()
    return start_event.elapsed_time(end_event) / 1e3, float(torch.cuda.max_memory_allocated() - before)
