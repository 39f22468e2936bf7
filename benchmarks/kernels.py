"""Forward KL from hidden states, value and both gradients: ours, whole logits, TRL's and Liger's, over bare matrix products.

One process, one thread, process time, contenders in random order, medians of ratios within a round. The floor: the four
products nobody can leave out (two of logits, two of gradients), chunk by chunk, into buffers that are there. Peak memory is
of a fresh process each; so are times with huge pages, which torch reads from its environment once. TRL and Liger are
timed where they are installed (on PYTHONPATH, say), else left out with a line that says so. At one size also towards a
stored top k, and towards several weighted teachers, each over the products that it cannot leave out: three, or three and
one a teacher. Errors are of value and gradients. Knows random numbers of the right size; nothing here is a model.
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

from benchmarks._kernel_numbers import ALPHA, Made, all_errors, numbers
from benchmarks.harness import Result
from distrust.logits import top
from distrust.losses import linear, topk_kl
from distrust.losses.linear import Projected

SIZES = {"w256.v32768": (256, 512, 32768), "w256.v50304": (256, 512, 50304), "w768.v32768": (768, 1024, 32768)}
STORED, TOP, TEACHERS = "w256.v32768", 64, 3  # where stored targets and several teachers are timed, and how many
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
        others = ["naive", "two_sided", *peers, *(FLOORS if size == STORED else ())]
        times = _interleaved(numbers(width, other, classes, tokens), rounds, others)
        for name in FLOORS.keys() & times.keys():
            figures |= _spread(f"{size}.{name}.x_floor", times[name], times[f"{name}.floor"])
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
    figures |= all_errors()
    for name in ["ours", "naive", *peers]:
        place = "memory_mb.v50304.n2048" if name == "ours" else f"memory_mb.v50304.n2048.{name}"
        if not quick or name in ("ours", "naive"):
            figures[place] = _memory(name)
    settings = {"tokens": tokens, "rounds": rounds, "chunk": linear.CHUNK, "precision": "fp32", "interval": "least and most"}
    return Result(figures, settings | {"student/teacher/vocabulary": list(SIZES.values())}, seeds=[0])


def _interleaved(made: Made, rounds: int, others: list[str]) -> dict[str, list[float]]:
    """Seconds of process time a round, by contender; a first round warms up."""
    contenders = {name: CONTENDERS[name](made) for name in ["ours", *others]}
    contenders["floor"] = _floor(made)
    contenders |= {f"{name}.floor": _floor(made, teachers=FLOORS[name]) for name in FLOORS.keys() & contenders.keys()}
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


def _spread(name: str, took: list[float], floor: list[float]) -> dict[str, float]:
    """Times over a floor's, round by round: the median, the least and the most."""
    over = [one / other for one, other in zip(took, floor, strict=True)]
    return {name: median(over), f"{name}.low": min(over), f"{name}.high": max(over)}


def _floor(made: Made, chunk: int = linear.CHUNK, teachers: int = 1) -> Callable[[], None]:
    """The four products, with one teacher, a chunk's logits in buffers that are written again and again."""
    hidden, head, theirs, frozen = (one.detach() for one in made[:4])
    s, t = (hidden.new_empty(chunk, len(head)) for _ in range(2))
    to_hidden, to_head = torch.empty_like(hidden), torch.zeros_like(head)

    def products() -> None:
        for rows in torch.arange(len(hidden)).split(chunk):
            here = slice(int(rows[0]), int(rows[-1]) + 1)
            torch.mm(hidden[here], head.T, out=s[: len(rows)])
            for _ in range(teachers):
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
        found = linear.two_sided(student, teacher, made[4], alpha=ALPHA)
        (found.student + found.teacher).backward()

    return both


def _stored(made: Made) -> Callable[[], None]:
    student, kept = Projected(made[0], made[1]), top(made[2] @ made[3].T, min(TOP, len(made[3])))
    return lambda: linear.divergence(student, kept, loss=topk_kl)[0].backward()


def _several(made: Made) -> Callable[[], None]:
    student, teacher = Projected(made[0], made[1]), Projected(made[2], made[3])
    draw = torch.Generator().manual_seed(1)
    weights = torch.rand(TEACHERS, len(made[0]), generator=draw).softmax(0)  # (M, n), summing to one
    return lambda: linear.divergence(student, [teacher] * TEACHERS, weights=weights)[0].backward()


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
CONTENDERS |= {f"top{TOP}": _stored, f"teachers{TEACHERS}": _several}
FLOORS = {f"top{TOP}": 0, f"teachers{TEACHERS}": TEACHERS}  # teachers' products that each cannot leave out


def over_floor(size: str, tokens: int, rounds: int) -> list[float]:
    """Ours over the floor: the median of rounds, the least and the most."""
    torch.set_num_threads(1)
    times = _interleaved(numbers(*SIZES[size], tokens), rounds, [])
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
    CONTENDERS[name](numbers(width, other, 64, 300))()
    made = numbers(width, other, classes, tokens)
    before = _highest()
    CONTENDERS[name](made)()
    return (_highest() - before) / 1024


def _highest() -> int:
    """The most kilobytes this process ever held. Not `ru_maxrss`: a child inherits its parent's."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0])
