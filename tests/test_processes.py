"""One process or several: the same student comes out, and one of them writes. Real processes, over gloo."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st

from distrust import processes
from distrust.distillation import default_objective
from distrust.files import read_json
from distrust.processes import Processes, mix, seed
from distrust.recipe import Train
from distrust.store import load_tensors
from distrust.train import Side
from tests import worlds
from tests.test_train import trained

FITS = {  # per process: batch and accumulation; the last step has 1 row, so that one process gets none, or an odd number
    "one row left": {"per_device_train_batch_size": 4},
    "accumulated": {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 2},
    "two left": {"per_device_train_batch_size": 3, "max_grad_norm": 0.05},
}
SCRIPT = """
import json, sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from distrust import processes
from distrust.store import save_tensors
from tests import worlds
from tests.test_processes import FITS
from tests.test_train import trained
folder = Path(sys.argv[1])
for name, options in FITS.items():
    work = folder / f"fit of {processes.rank()}" / name
    work.mkdir(parents=True)
    weights = trained(work, worlds.told(41), save_seconds=0, **options)
    save_tensors(folder / f"{processes.rank()}-{name}", weights)
from torch import distributed
said = {"world": distributed.get_world_size(), "backend": distributed.get_backend(), "rank": processes.rank()}
(folder / f"{processes.rank()}.json").write_text(json.dumps(said))
distributed.destroy_process_group()
"""


def free_port() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])


def torchrun(*words: str) -> subprocess.CompletedProcess[str]:
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2"]
    command = [*torchrun, "--master_addr", "127.0.0.1", "--master_port", free_port(), *words]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.getcwd()}
    return subprocess.run(command, capture_output=True, text=True, timeout=250, env=environment)


@pytest.mark.slow
def test_two_processes_train_the_student_that_one_would(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    done = torchrun(str(tmp_path / "script.py"), str(tmp_path))
    assert done.returncode == 0, done.stderr[-3000:]
    for rank in (0, 1):
        assert read_json(tmp_path / f"{rank}.json") == {"world": 2, "backend": "gloo", "rank": rank}
    for name, options in FITS.items():
        first, second = (load_tensors(tmp_path / f"{rank}-{name}") for rank in (0, 1))
        assert all(torch.equal(value, second[key]) for key, value in first.items()), "both hold the same student"
        size = 2 * options["per_device_train_batch_size"] * options.get("gradient_accumulation_steps", 1)
        loop = options | {"per_device_train_batch_size": size, "gradient_accumulation_steps": 1}
        alone = trained(tmp_path / f"alone {name}", worlds.told(41), **loop)
        for key, value in alone.items():
            torch.testing.assert_close(first[key], value, rtol=1e-4, atol=1e-5, msg=f"{name}: {key}")
        assert (tmp_path / "fit of 0" / name / "checkpoint.safetensors").exists()
        assert not list((tmp_path / "fit of 1" / name).iterdir()), "only the first process writes"


@pytest.mark.slow
def test_a_whole_run_in_two_processes(tmp_path: Path) -> None:
    """`torchrun -m distrust run`: one report, one voice, and the student of a run in one process."""
    weights = []
    for name, size in (("alone", 32), ("both", 16)):
        (tmp_path / name).mkdir()
        train = {"num_train_epochs": 3, "per_device_train_batch_size": size}
        student = {"kind": "ngram", "buckets": 4096, "dimension": 8, "characters": None}
        recipe = worlds.recipe(tmp_path / name, train=train, student=student)
        if name == "alone":
            command = [sys.executable, "-m", "distrust", "run", str(recipe)]
            done = subprocess.run(command, capture_output=True, text=True, timeout=200)
        else:
            done = torchrun("-m", "distrust", "run", str(recipe))
        assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr[-3000:]
        assert done.stdout.count("Report: ") == 1 and done.stderr.count("fit student: ") == 1
        found = sorted((tmp_path / name / "run" / "stages").glob("fit-*/weights.safetensors"))
        weights.append({path.parent.name.rpartition("-")[0]: load_tensors(path) for path in found})
        assert yaml.safe_load((tmp_path / name / "run" / "recipe.yaml").read_text())["train"]["num_train_epochs"] == 3
    assert weights[0].keys() == weights[1].keys() and len(weights[0]) == 2
    for stage, tensors in weights[0].items():
        for key, value in tensors.items():
            torch.testing.assert_close(weights[1][stage][key], value, rtol=1e-3, atol=1e-4, msg=f"{stage}: {key}")


def surroundings(monkeypatch: pytest.MonkeyPatch, rank: int, count: int, batch: int) -> Processes:
    """A process's share of rows needs no other process to be worked out."""
    made = Processes(
        [Side(worlds.student(), default_objective(worlds.told()), Train())], Train(per_device_train_batch_size=batch)
    )
    monkeypatch.setattr(made, "rank", rank)
    monkeypatch.setattr(made, "count", count)
    return made


@given(count=st.integers(1, 5), batch=st.integers(1, 9), rows=st.integers(1, 60))
def test_every_row_is_one_processes_and_all_do_as_many_batches(count: int, batch: int, rows: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        shares = [surroundings(patch, rank, count, batch).share(torch.arange(rows)) for rank in range(count)]
    assert len({len(share) for share in shares}) == 1, "else one would wait for ever"
    assert sorted(int(row) for share in shares for part in share for row in part) == list(range(rows))
    assert all(len(part) <= batch for share in shares for part in share)


def test_without_a_launcher_there_is_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WORLD_SIZE", "RANK"):
        monkeypatch.delenv(name, raising=False)
    assert (processes.count(), processes.rank()) == (1, 0)
    processes.wait()


@pytest.mark.parametrize("bf16", [False, True])
def test_the_students_own_module_is_back_afterwards(bf16: bool) -> None:
    """Even when a fit fails, and without accelerate's wrapping of its forward."""
    side = Side(worlds.student(), default_objective(worlds.told()), Train())
    own, inputs = side.student.module, worlds.points(5)[0].inputs
    before = own(inputs)
    with pytest.raises(KeyError), Processes([side], Train(bf16=bf16)):
        raise KeyError
    assert side.student.module is own and torch.equal(own(inputs), before)
    assert own.forward.__func__ is type(own).forward, "nothing of accelerate stays on it"  # type: ignore[attr-defined]


def test_mixed_precision_trains_in_place(tmp_path: Path) -> None:
    """bf16 goes through accelerate: weights stay single precision, and differ a little from a full-precision fit's."""
    half, full = trained(tmp_path / "half", bf16=True), trained(tmp_path / "full")
    assert half.keys() == full.keys() and all(value.dtype == torch.float32 for value in half.values())
    assert not any(torch.equal(half[name], full[name]) for name in full)
    for name in full:
        torch.testing.assert_close(half[name], full[name], rtol=0.1, atol=0.05)


def test_neighbouring_seeds_and_steps_are_far_apart() -> None:
    mixed = {mix(start, step) for start in range(50) for step in range(50)}
    assert len(mixed) == 2500 and mix(0, 1) != mix(1, 0)
    assert all(0 <= one < 2**63 for one in mixed)
    low = [mix(0, step) % 2 for step in range(1000)]
    assert 400 < sum(low) < 600


def test_a_seed_decides_what_is_drawn() -> None:
    drawn: list[Any] = []
    for parts in ((1, 2), (1, 2), (1, 3)):
        seed(*parts)
        drawn.append(torch.rand(3).tolist())
    assert drawn[0] == drawn[1] != drawn[2]
    assert json.dumps(drawn)
