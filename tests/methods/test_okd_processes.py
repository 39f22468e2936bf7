"""A teacher and its student in micro-batches, and in two real processes over gloo: the student that one would make."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from distrust.files import read_json
from distrust.methods.distillm import Distillm, distillm
from distrust.methods.gkd import Gkd, gkd
from distrust.methods.okd import Okd, okd
from distrust.methods.speculative_kd import SpeculativeKd, speculative_kd
from distrust.methods.taid import Taid, taid
from distrust.methods.uld import Uld, uld
from distrust.store import load_tensors
from distrust.token_evidence import Kept
from tests.methods import tutored
from tests.test_processes import torchrun
from tests.test_sharding import ended, fsdp

METHODS = {
    "okd": (okd, Okd(rank=4)),
    "held": (okd, Okd(rank=4, layers=1, store_trunk=True, anchor=1.0, every=2, gradient_checkpointing=True)),
    "gkd": (gkd, Gkd(on_policy=0.5)),
    "plain": (gkd, Gkd(on_policy=0)),
    "taid": (taid, Taid(speed=0.5)),
    "distillm": (distillm, Distillm(start=0.7, capacity=16)),
    "speculative": (speculative_kd, SpeculativeKd(interleaved=0.7)),
    "uld": (uld, Uld()),
    "kept": (gkd, Gkd(on_policy=0, teacher_evidence=Kept(top=20))),
}
SCRIPT = """
import sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from torch import distributed
from distrust import processes
from distrust.store import save_tensors
from tests.methods.test_okd_processes import METHODS, learnt
for name in METHODS:
    save_tensors(Path(sys.argv[1]) / f"{processes.rank()}-{name}", learnt(Path(sys.argv[1]) / name, name, 8))
assert distributed.get_world_size() == 2 and distributed.get_backend() == "gloo"
distributed.destroy_process_group()
"""


def learnt(folder: Path, name: str, batch: int, accumulated: int = 1, **more: object) -> dict[str, Tensor]:
    method, options = METHODS[name]
    more |= {"per_device_train_batch_size": batch, "gradient_accumulation_steps": accumulated}
    with tutored.opened(folder, tutored.teacher(), tutored.LOOP.model_copy(update=more)) as run:
        run.pool = run.pool.select(range(33))  # a step is 16: the last one has a single row, and one process none
        state: dict[str, Tensor] = method(run, options).module.state_dict()  # type: ignore[operator]
        return {key: value.clone() for key, value in state.items()}


@pytest.mark.parametrize("name", METHODS)
def test_accumulated_steps_are_divided_by_all_their_tokens(name: str, tmp_path: Path) -> None:
    whole = learnt(tmp_path / "whole", name, 16)
    parts = learnt(tmp_path / "parts", name, 4, accumulated=4)
    for key, value in whole.items():
        torch.testing.assert_close(parts[key], value, rtol=1e-3, atol=1e-4)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Tensor]]:
    """What one process learns, by method."""
    folder = tmp_path_factory.mktemp("alone")
    return {name: learnt(folder / name, name, 16) for name in METHODS}


def near(folder: Path, alone: dict[str, dict[str, Tensor]]) -> None:
    """Both processes hold the same student, and it is the one of one process up to rounding."""
    for name, wanted in alone.items():
        first, second = (load_tensors(folder / f"{rank}-{name}") for rank in (0, 1))
        assert all(torch.equal(value, second[key]) for key, value in first.items()), name
        for key, value in wanted.items():
            torch.testing.assert_close(first[key], value, rtol=1e-3, atol=1e-4, msg=f"{name}: {key}")


@pytest.mark.slow
def test_two_processes_train_the_student_that_one_would(tmp_path: Path, alone: dict[str, dict[str, Tensor]]) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    done = torchrun(str(tmp_path / "script.py"), str(tmp_path))
    assert done.returncode == 0, done.stderr[-3000:]
    near(tmp_path, alone)


SHARDED = """
import json, sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from torch import distributed
from distrust import checkpoint, processes, sharding
from distrust.store import save_tensors
from tests.methods.test_okd_processes import METHODS, learnt
folder, kept, shard = Path(sys.argv[1]), [], sharding.shard
write, written = checkpoint.save, []

def looked(module, device):
    parts = shard(module, device)
    kept.extend(value.to_local().numel() / value.numel() for value in parts.parameters() if value.numel() > 100)
    return parts

def until_the_fourth(*state):
    write(*state)
    written.append(1)
    if len(written) == 4:
        raise KeyboardInterrupt

sharding.shard = looked
for name in METHODS:
    save_tensors(folder / f"{processes.rank()}-{name}", learnt(folder / name, name, 8))
tensors = len(kept) // len(METHODS)
for name in ("okd", "taid", "distillm"):
    written.clear()
    checkpoint.save = until_the_fourth
    try:
        learnt(folder / f"cut {name}", name, 8, save_seconds=0.0)
        raise AssertionError("it was to be cut off in the second epoch")
    except KeyboardInterrupt:
        checkpoint.save = write
    save_tensors(folder / f"{processes.rank()}-cut {name}", learnt(folder / f"cut {name}", name, 8, save_seconds=0.0))
said = [distributed.get_world_size(), distributed.get_backend(), tensors, sorted(set(kept))]
(folder / f"{processes.rank()}.json").write_text(json.dumps(said))
distributed.destroy_process_group()
"""


@pytest.mark.slow
def test_a_student_in_shards_is_the_one_that_one_process_trains(tmp_path: Path, alone: dict[str, dict[str, Tensor]]) -> None:
    """Beside a teacher that each process holds whole, whether it stands still or learns; cut off, it goes on bit for bit."""
    (tmp_path / "script.py").write_text(SHARDED)
    ended(fsdp(str(tmp_path / "script.py"), str(tmp_path)))
    for rank in (0, 1):
        world, backend, tensors, kept = read_json(tmp_path / f"{rank}.json")
        assert (world, backend, kept) == (2, "gloo", [0.5]) and tensors > 5
        for name in ("okd", "taid", "distillm"):
            whole, cut = (load_tensors(tmp_path / f"{rank}-{said}{name}") for said in ("", "cut "))
            assert all(torch.equal(value, cut[key]) for key, value in whole.items()), name
    near(tmp_path, alone)
