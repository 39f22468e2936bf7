"""Forward KL from hidden states, value and both gradients: ours, whole logits, TRL's and Liger's, over bare matrix products.

One process, one thread, process time, contenders in random order, medians of ratios within a round. The floor: the four
products nobody can leave out (two of logits, two of gradients), chunk by chunk, into buffers that are there. Peak memory is
of a fresh process each; so are times with huge pages, which torch reads from its environment once. TRL and Liger are
timed where they are installed (on PYTHONPATH, say), else left out with a line that says so. Knows random numbers of the
right size; nothing here is a model.
"""

from __future__ import annotations

import gc
import importlib.util
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor

from benchmarks.harness import Result
from distrust.losses import forward_kl, linear
from distrust.losses.linear import Projected

Made = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]  # student's hidden, head; teacher's hidden, head; labels
SIZES = {"w256.v32768": (256, 512, 32768), "w256.v50304": (256, 512, 50304), "w768.v32768": (768, 1024, 32768)}
MEMORY = (256, 512, 50304, 2048)
PEERS = {"trl": ("trl", "trl.kernels.chunked_divergence"), "liger": ("liger_kernel", "liger_kernel.chunked_loss")}


def run(quick: bool) -> Result:
    """Times at three sizes, memory at one, and the error against double precision."""
    torch.set_num_threads(1)
    tokens, rounds = (256, 3) if quick else (512, 11)
    peers = [name for name, (package, _) in PEERS.items() if importlib.util.find_spec(package)]
    for name in PEERS.keys() - set(peers):
        print(f"{name} is not installed here: x_{name} is left out")
    figures: dict[str, float | bool] = {}
    for size, (width, other, classes) in SIZES.items():
        if quick and size == "w768.v32768":
            continue
        times = _interleaved(_made(width, other, classes, tokens), rounds, ["naive", "two_sided", *peers])
        over = {name: [one / floor for one, floor in zip(took, times["floor"], strict=True)] for name, took in times.items()}
        figures[f"{size}.x_floor"] = median(over["ours"])
        figures[f"{size}.x_floor.low"], figures[f"{size}.x_floor.high"] = min(over["ours"]), max(over["ours"])
        ratio = {name: median(o / u for o, u in zip(took, times["ours"], strict=True)) for name, took in times.items()}
        figures[f"{size}.naive_over_floor"] = median(over["naive"])
        figures[f"{size}.two_sided"] = ratio["two_sided"]
        figures |= {f"{size}.x_{name}": ratio[name] for name in peers}
        figures[f"{size}.floor_ms"] = median(times["floor"]) * 1e3
        huge = _fresh(f"over_floor({size!r}, {tokens}, {rounds})", THP_MEM_ALLOC_ENABLE="1")
        figures |= {f"{size}.x_floor.huge_pages{end}": one for end, one in zip(("", ".low", ".high"), huge, strict=True)}
    main = "w256.v50304"
    figures["two_sided"] = figures[f"{main}.two_sided"]
    figures |= {f"x_{name}": figures[f"{main}.x_{name}"] for name in peers}
    figures["max_error"] = _error()
    for name in ["ours", "naive", *peers]:
        place = "memory_mb.v50304.n2048" if name == "ours" else f"memory_mb.v50304.n2048.{name}"
        if not quick or name in ("ours", "naive"):
            figures[place] = _memory(name)
    settings = {"tokens": tokens, "rounds": rounds, "chunk": linear.CHUNK, "precision": "fp32", "interval": "least and most"}
    return Result(figures, settings | {"student/teacher/vocabulary": list(SIZES.values())}, seeds=[0])


def _made(width: int, other: int, classes: int, tokens: int) -> Made:
    draw = torch.Generator().manual_seed(0)
    sizes = ((tokens, width), (classes, width), (tokens, other), (classes, other))
    made = [torch.randn(*size, generator=draw) for size in sizes]
    for one in made[1::2]:
        one.mul_(2 / one.shape[1] ** 0.5)  # logits of spread 2; in place, or making them would be the peak of memory
    hidden, head, theirs, frozen = made
    return hidden.requires_grad_(), head.requires_grad_(), theirs, frozen, torch.randint(classes, (tokens,), generator=draw)


def _interleaved(made: Made, rounds: int, others: list[str]) -> dict[str, list[float]]:
    """Seconds of process time a round, by contender; a first round warms up."""
    contenders = {name: CONTENDERS[name](made) for name in ["ours", *others]}
    contenders["floor"] = _floor(made)
    times: dict[str, list[float]] = {name: [] for name in contenders}
    order = random.Random(0)
    for number in range(rounds + 1):
        for name in order.sample(sorted(contenders), len(contenders)):
            made[0].grad = made[1].grad = None
            gc.collect()
            start = time.process_time()
            contenders[name]()
            if number:
                times[name].append(time.process_time() - start)
    return times


def _floor(made: Made, chunk: int = linear.CHUNK) -> Callable[[], None]:
    """The four products, a chunk's logits in buffers that are written again and again."""
    hidden, head, theirs, frozen = (one.detach() for one in made[:4])
    s, t = (hidden.new_empty(chunk, len(head)) for _ in range(2))
    to_hidden, to_head = torch.empty_like(hidden), torch.zeros_like(head)

    def products() -> None:
        for rows in torch.arange(len(hidden)).split(chunk):
            here = slice(int(rows[0]), int(rows[-1]) + 1)
            torch.mm(hidden[here], head.T, out=s[: len(rows)])
            torch.mm(theirs[here], frozen.T, out=t[: len(rows)])
            torch.mm(s[: len(rows)], head, out=to_hidden[here])
            torch.addmm(to_head, s[: len(rows)].T, hidden[here], out=to_head, beta=0.0)

    return products


def _ours(made: Made) -> Callable[[], None]:
    student, teacher = Projected(made[0], made[1]), Projected(made[2], made[3])
    return lambda: linear.divergence(student, teacher)[0].backward()


def _two_sided(made: Made) -> Callable[[], None]:
    student, teacher = Projected(made[0], made[1]), Projected(made[2].clone().requires_grad_(), made[3])

    def both() -> None:
        teacher.hidden.grad = None
        found = linear.two_sided(student, teacher, made[4], alpha=0.25)
        (found.student + found.teacher).backward()

    return both


def _naive(made: Made) -> Callable[[], None]:
    hidden, head, theirs, frozen, _ = made
    return lambda: _whole(hidden, head, theirs, frozen).backward()


def _whole(hidden: Tensor, head: Tensor, theirs: Tensor, frozen: Tensor) -> Tensor:
    """The forward KL as anybody would write it, on whole logits."""
    said, heard = (theirs @ frozen.T).log_softmax(-1), (hidden @ head.T).log_softmax(-1)
    return torch.nn.functional.kl_div(heard, said, reduction="batchmean", log_target=True)


def _trl(made: Made) -> Callable[[], None]:
    from trl.kernels.chunked_divergence import ChunkedDivergenceFunction  # type: ignore[import-not-found,unused-ignore]

    hidden, head, theirs, frozen, _ = made
    apply: Any = ChunkedDivergenceFunction.apply
    return lambda: apply(hidden, head, None, theirs, frozen, None, 0.0)[0].mean().backward()


def _liger(made: Made) -> Callable[[], None]:
    from liger_kernel.chunked_loss import LigerFusedLinearJSDLoss  # type: ignore[import-not-found,unused-ignore]

    fused = LigerFusedLinearJSDLoss(0.0, 1.0, beta=0.0, compiled=False)
    return lambda: fused(*made).backward()


CONTENDERS = {"ours": _ours, "two_sided": _two_sided, "naive": _naive, "trl": _trl, "liger": _liger}


def _error() -> float:
    """The largest difference from double precision over the largest number there: the value, both gradients."""
    made = _made(256, 512, 8192, 300)
    _ours(made)()
    value = linear.divergence(Projected(made[0], made[1]), Projected(made[2], made[3]))[0].detach()
    exact = [one.detach().double().requires_grad_() for one in made[:4]]
    plain = forward_kl(exact[0] @ exact[1].T, (exact[2] @ exact[3].T).detach()).mean()
    plain.backward()
    pairs = [(value, plain.detach()), (made[0].grad, exact[0].grad), (made[1].grad, exact[1].grad)]
    return max(float((one - other).abs().max() / other.abs().max()) for one, other in pairs)  # type: ignore[operator, union-attr]


def over_floor(size: str, tokens: int, rounds: int) -> list[float]:
    """Ours over the floor: the median of rounds, the least and the most."""
    torch.set_num_threads(1)
    times = _interleaved(_made(*SIZES[size], tokens), rounds, [])
    over = [one / floor for one, floor in zip(times["ours"], times["floor"], strict=True)]
    return [median(over), min(over), max(over)]


def _memory(name: str) -> float:
    """Megabytes that a contender adds to the peak of a fresh process, its gradients included."""
    return float(_fresh(f"peak({name!r})"))


def _fresh(call: str, **environment: str) -> Any:
    """What a function of this module says in a fresh process."""
    script = f"import json; from benchmarks import kernels; print(json.dumps(kernels.{call}))"
    told = {**os.environ, **environment}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=told)
    return json.loads(done.stdout.splitlines()[-1])


def peak(name: str) -> float:
    """What `_memory` runs: one pass over few tokens, so that what libraries keep is not counted, and then over all."""
    torch.set_num_threads(1)
    width, other, classes, tokens = MEMORY
    CONTENDERS[name](_made(width, other, 64, 300))()
    made = _made(width, other, classes, tokens)
    before = _highest()
    CONTENDERS[name](made)()
    return (_highest() - before) / 1024


def _highest() -> int:
    """The most kilobytes this process ever held. Not `ru_maxrss`: a child inherits its parent's."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0])
