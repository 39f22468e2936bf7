"""Annotation against a loopback server that answers in 20 ms: how fast, what kills lose, and whether caps hold.

The server, the bare client that shows its ceiling, and the buying process each run alone; buying is really killed.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.harness import Result
from distrust.ledger import Ledger
from tests import servers

DELAY = 0.02  # seconds
CONCURRENCY = 64
CEILING = """
import asyncio, json, sys, time, aiohttp

async def main(url, calls, width):
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=width)) as session:
        numbers = iter(range(calls))
        async def work():
            for number in numbers:
                body = {"model": "m", "messages": [{"role": "user", "content": f"a red thing {number}"}]}
                async with session.post(url, json=body) as response:
                    json.loads(await response.read())
        start = time.monotonic()
        await asyncio.gather(*(work() for _ in range(width)))
        print(calls / (time.monotonic() - start))

asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
"""
BUYING = """
import json, resource, sys, time
from pathlib import Path
from distrust.labels import LabelSpace
from distrust.ledger import Ledger
from distrust.recipe import Budget, Endpoint
from distrust.teachers.endpoint import EndpointTeacher
from tests.annotating import LABELS, numbered

path, recipe, counts = Path(sys.argv[1]), json.loads(sys.argv[2]), json.loads(sys.argv[3])
items = numbered(max(counts))
with Ledger(path) as ledger:
    teacher = EndpointTeacher(Endpoint.model_validate(recipe), LABELS, ledger, Budget())
    for count in counts:
        start, before = time.monotonic(), ledger.accounts.settled["t"].calls if "t" in ledger.accounts.settled else 0
        teacher.buy(items.select(range(count)))
        with open("/proc/self/statm") as memory:
            resident = int(memory.read().split()[1]) * resource.getpagesize() / 2**20
        print(json.dumps({"calls": count - before, "seconds": time.monotonic() - start, "mib": resident}), flush=True)
"""


def run(quick: bool) -> Result:
    """Speed in interleaved rounds, memory over many calls, kills, and a small cap."""
    with tempfile.TemporaryDirectory() as folder, servers.loopback(delay=DELAY) as address:
        speed = _speed(Path(folder), address, rounds=3 if quick else 7, calls=5_000 if quick else 10_000)
        memory = _memory(Path(folder), address, total=20_000 if quick else 100_000)
        kills = _kills(Path(folder), address, kills=3 if quick else 10, calls=4_000)
        caps = _caps(Path(folder), address)
    settings = {"delay_ms": 1000 * DELAY, "concurrency": CONCURRENCY, "synchronous": "FULL", "quick": quick}
    return Result({**speed, **memory, **kills, **caps}, settings, seeds=[])


def _speed(folder: Path, address: str, rounds: int, calls: int) -> dict[str, float | bool]:
    """Medians over rounds in which the bare client and the ledger take turns, so that both see the same machine."""
    bare, bought = [], []
    for number in range(rounds):
        command = [sys.executable, "-c", CEILING, f"{address}/fine/v1/chat/completions", str(calls), str(CONCURRENCY)]
        bare.append(float(subprocess.run(command, capture_output=True, text=True, check=True).stdout))
        [row] = _buy(folder / f"speed{number}", address, [calls])
        bought.append(row["calls"] / row["seconds"])
    return {
        "calls_per_s": median(bought),
        "calls_per_s.low": min(bought),
        "calls_per_s.high": max(bought),
        "bare_client_calls_per_s": median(bare),
        "share_of_bare_client": median(one / other for one, other in zip(bought, bare, strict=True)),
    }


def _memory(folder: Path, address: str, total: int) -> dict[str, float | bool]:
    """Resident memory after the first tenth and after all calls of one process."""
    servers.forget(address)
    first, last = _buy(folder / "memory", address, [total // 10, total])
    return {"memory_calls": total, "memory_mib": last["mib"], "memory_growth_mib": last["mib"] - first["mib"]}


def _kills(folder: Path, address: str, kills: int, calls: int) -> dict[str, float | bool]:
    """Kill the buying process again and again; count what was confirmed and is gone, and what was bought too often."""
    servers.forget(address)
    path, lost = folder / "kills", 0
    for number in range(1, kills + 1):
        with servers.annotating(path, _recipe(address), calls) as process:
            confirmed = servers.kill_after(process, number * calls // (kills + 1))
        with Ledger(path, readonly=True) as ledger:
            lost += max(confirmed - ledger.totals("t")["answered"][0], 0)
    with servers.annotating(path, _recipe(address), calls) as process:
        assert process.stdout is not None and process.stdout.read().splitlines()[-1] == "ended complete"
    times = servers.served(address)["served"].values()
    twice = sum(times) - len(times)
    with Ledger(path) as ledger:
        unknown, answered = ledger.totals("t")["unknown"][0], ledger.totals("t")["answered"][0]
    return {
        "lost_after_kills": lost + max(twice - kills * CONCURRENCY, 0) + (calls - answered),
        "kills": kills,
        "bought_twice_per_kill": twice / kills,
        "unknown_outcome_per_kill": unknown / kills,
    }


def _caps(folder: Path, address: str) -> dict[str, float | bool]:
    """What was spent above each of three small caps with all connections busy, in the cap's unit; and how full they got."""
    caps = {"calls": 500, "tokens": 40_000, "money": 0.03}
    price = {"per_million_prompt_tokens": 1.0, "per_million_completion_tokens": 5.0}
    over, used = 0.0, []
    for name, cap in caps.items():
        servers.forget(address)
        path = folder / f"cap-{name}"
        with servers.annotating(path, _recipe(address) | {"price": price}, 3000, {name: cap}) as process:
            assert process.stdout is not None and process.stdout.read().splitlines()[-1] == f"ended budget.{name}"
        with Ledger(path) as ledger:
            charges = [charge for _, charge in ledger.totals("t").values()]
        spent: dict[str, float] = {
            "calls": max(sum(servers.served(address)["served"].values()), sum(one.calls for one in charges)),
            "tokens": sum(one.prompt_tokens + one.completion_tokens for one in charges),
            "money": sum(one.money or 0.0 for one in charges),
        }
        over += max(spent[name] - cap, 0.0)
        used.append(spent[name] / cap)
    return {"over_budget": over, "share_of_cap_used": min(used)}


def _recipe(address: str) -> dict[str, Any]:
    base = {"kind": "endpoint", "name": "t", "base_url": f"{address}/fine/v1", "model": "m", "max_tokens": 8}
    return base | {"concurrency": CONCURRENCY, "price": {"per_call": 0.01}}


def _buy(path: Path, address: str, counts: list[int]) -> list[dict[str, float]]:
    command = [sys.executable, "-c", BUYING, str(path), json.dumps(_recipe(address)), json.dumps(counts)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]
