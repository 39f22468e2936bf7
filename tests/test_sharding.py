"""Students in shards (FSDP): real processes over gloo, the student that one process would train, and kill -9 on the way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from distrust import checkpoint, recipe
from distrust.data import Items
from distrust.distillation import default_objective
from distrust.errors import RunError
from distrust.files import read_json
from distrust.labelled import Labelled, from_gold
from distrust.labels import LabelSpace
from distrust.losses import cross_entropy
from distrust.modules import seeded
from distrust.objective import Objective, Term
from distrust.processes import Processes
from distrust.recipe import Train
from distrust.sharding import like, whole
from distrust.store import load_tensors, load_with_metadata
from distrust.students import Student, answer
from distrust.students.module import ModuleStudent
from distrust.students.transformer import build
from distrust.train import Fit, Side, fit
from tests import worlds
from tests.test_processes import free_port, torchrun

SPACE = LabelSpace(tuple(sorted(worlds.WORDS)))
SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
STILL = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0, "max_position_embeddings": 32}
BERT = {"model_type": "bert", **SIZES, **STILL}
FITS: dict[str, dict[str, Any]] = {  # per process, on 41 rows: the last step has 1 row, so that one process gets none
    "clipped": {"per_device_train_batch_size": 4, "max_grad_norm": 0.1},
    "accumulated": {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 2},
    "killed": {"per_device_train_batch_size": 4, "save_seconds": 0, "num_train_epochs": 2},
}


def texts(count: int, seed: int = 0) -> tuple[Items, torch.Tensor]:
    """Texts with topics, and their labels (count,)."""
    rows = worlds.texts(count, seed)
    labels = torch.tensor([SPACE.names.index(row["label"]) for row in rows])
    return Items(tuple(f"{seed}-{row}" for row in range(count)), tuple(row["text"] for row in rows)), labels


def told() -> Labelled:
    items, labels = texts(41)
    return from_gold(items, labels, len(SPACE))


def student() -> Student:
    options = recipe.TransformerStudent(kind="transformer", config=BERT, vocabulary=300, max_length=24)
    return build(options, SPACE, 0, texts(41)[0])


def validation(one: Student) -> float:
    items, labels = texts(20, seed=1)
    logits = answer(one, items).logits
    assert logits is not None
    return float(cross_entropy(logits.dense(), labels).mean())


def task(folder: Path, validate: Any = validation, **options: Any) -> tuple[list[Side], Fit]:
    """A small transformer from scratch, judged after every epoch."""
    loop = Train(**({"num_train_epochs": 3, "learning_rate": 2e-3, "weight_decay": 0.01} | options))
    side = Side(student(), default_objective(told()), loop)
    return [side], Fit("student", told(), loop, 0, folder, validate)


def pair(folder: Path, validate: Any, normed: bool, **options: Any) -> tuple[list[Side], Fit]:
    """Two students of points in one loop, the second at every other step, one layer too narrow for two shards."""
    loop = Train(num_train_epochs=2, learning_rate=1e-2, **options)
    nets = []
    for seed in (0, 1):
        with seeded(seed):
            middle = nn.BatchNorm1d(8) if normed else nn.ReLU()
            nets.append(nn.Sequential(nn.Linear(2, 8), middle, nn.Linear(8, 1, bias=False), nn.Linear(1, 3)))
    likened = Objective({"likened": Term(lambda logits, batch: (logits - batch["student.logits"]).pow(2).sum(-1))})
    sides = [
        Side(ModuleStudent(nets[0], worlds.SPACE), default_objective(worlds.told(44)), loop),
        Side(ModuleStudent(nets[1], worlds.SPACE), likened, loop, "other", every=2),
    ]
    return sides, Fit("student", worlds.told(44), loop, 0, folder, validate)


def pointed(one: Student) -> float:
    logits = answer(one, worlds.points(20, seed=3)[0]).logits
    assert logits is not None
    return float(cross_entropy(logits.dense(), worlds.points(20, seed=3)[1]).mean())


SCRIPT = """
import json, os, sys, time
from pathlib import Path
import torch
torch.set_num_threads(1)
from distrust import checkpoint, processes, train
from distrust.store import save_tensors
from tests.test_sharding import FITS, pair, pointed, task, validation
folder, hang, rank = Path(sys.argv[1]), int(sys.argv[2]), processes.rank()
real, saves = checkpoint.save, 0

def save(*arguments):
    global saves
    real(*arguments)
    saves += 1
    if saves == hang:
        (folder / f"{rank}.pid").write_text(str(os.getpid()))
        time.sleep(600)

def look(student):
    shards = student.module.named_parameters()
    said.append({name: [value.numel(), getattr(value, "to_local", lambda: value)().numel()] for name, value in shards})
    return validation(student)

checkpoint.save = save
for name in sys.argv[3:]:
    (folder / name).mkdir(parents=True, exist_ok=True)
    sides, fit = task(folder / name, look, **FITS[name])
    own, said = sides[0].student.module, []
    history = train.fit(sides, fit)
    assert sides[0].student.module is own
    save_tensors(folder / f"{rank}-{name}", own.state_dict())
    (folder / f"{rank}-{name}.json").write_text(json.dumps([history, validation(sides[0].student), said]))
if "clipped" in sys.argv:
    for normed in (False, True):
        (folder / f"pair {normed}").mkdir(exist_ok=True)
        sides, fit = pair(folder / f"pair {normed}", pointed, normed, per_device_train_batch_size=4)
        train.fit(sides, fit)
        for side in sides:
            save_tensors(folder / f"{rank}-{normed}-{side.name}", side.student.module.state_dict())
torch.distributed.destroy_process_group()
"""


def fsdp(*words: str) -> subprocess.Popen[str]:
    """`accelerate launch --use_fsdp` with two processes."""
    flags = {"fsdp_version": 2, "num_processes": 2, "num_machines": 1, "mixed_precision": "no", "dynamo_backend": "no"}
    said = [word for flag, value in flags.items() for word in (f"--{flag}", str(value))]
    command = [sys.executable, "-m", "accelerate.commands.launch", "--use_fsdp", *said, "--main_process_port", free_port()]
    here = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.getcwd()}
    return subprocess.Popen([*command, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=here)


def ended(started: subprocess.Popen[str]) -> str:
    """What it said, having ended well."""
    out, errors = started.communicate(timeout=250)
    assert started.returncode == 0 and "Traceback" not in errors, errors[-3000:]
    return out


@pytest.mark.slow
@pytest.mark.parametrize("sharded", [True, False])
def test_two_processes_train_the_transformer_that_one_would(tmp_path: Path, sharded: bool) -> None:
    """Sums meet in another order: float32 rounds at 6e-8, AdamW divides small gradients by their own root; seen: 8e-7."""
    (tmp_path / "script.py").write_text(SCRIPT)
    words = (str(tmp_path / "script.py"), str(tmp_path), "0", "clipped", "accumulated")
    if sharded:
        ended(fsdp(*words))
    else:
        assert (done := torchrun(*words)).returncode == 0, done.stderr[-3000:]
    for name in ("clipped", "accumulated"):
        sides, one = task(
            tmp_path / f"alone {name}", **(FITS[name] | {"per_device_train_batch_size": 8, "gradient_accumulation_steps": 1})
        )
        history = fit(sides, one)
        alone = sides[0].student.module.state_dict()
        for rank in (0, 1):
            trained = load_tensors(tmp_path / f"{rank}-{name}")
            assert trained.keys() == alone.keys(), "plain names"
            for key, value in alone.items():
                torch.testing.assert_close(trained[key], value, rtol=1e-4, atol=1e-5, msg=f"{name}: {key}")
            theirs, judged, said = read_json(tmp_path / f"{rank}-{name}.json")
            assert [row["validation"] for row in theirs] == pytest.approx([row["validation"] for row in history], rel=1e-3)
            assert judged == pytest.approx(min(row["validation"] for row in theirs), rel=1e-5), "the best weights are back"
            kept = {kept / whole for shards in said for whole, kept in shards.values() if whole > 100}
            assert len(said) == 3 and kept == {0.5 if sharded else 1.0}
    sides, together = pair(tmp_path / "alone", pointed, False, per_device_train_batch_size=8)
    fit(sides, together)
    for side in sides:
        for key, value in side.student.module.state_dict().items():
            torch.testing.assert_close(load_tensors(tmp_path / f"0-False-{side.name}")[key], value, rtol=1e-4, atol=1e-5)
        first, second = (load_tensors(tmp_path / f"{rank}-True-{side.name}") for rank in (0, 1))
        assert "1.running_mean" in first and all(torch.equal(second[key], value) for key, value in first.items())


def kill(started: subprocess.Popen[str], folder: Path) -> None:
    """SIGKILL to every rank, as soon as each has come to its last checkpoint."""
    while len(found := [path.read_text() for path in folder.glob("*.pid")]) < 2 or not all(found):
        assert started.poll() is None, started.communicate()[1][-3000:]
        time.sleep(0.1)
    for pid in found:
        os.kill(int(pid), signal.SIGKILL)
    started.communicate(timeout=100)
    for path in folder.glob("*.pid"):
        path.unlink()


@pytest.mark.slow
def test_killed_twice_they_end_with_the_weights_of_an_undisturbed_fit(tmp_path: Path) -> None:
    """Within the first epoch, and within the second, when there are best weights to bring along; bit for bit."""
    (tmp_path / "script.py").write_text(SCRIPT)
    script, calm, broken = str(tmp_path / "script.py"), tmp_path / "calm", tmp_path / "broken"
    calm.mkdir()
    ended(fsdp(script, str(calm), "0", "killed"))
    steps = []
    for saves in ("4", "5"):
        broken.mkdir(exist_ok=True)
        kill(fsdp(script, str(broken), saves, "killed"), broken)
        assert not list(broken.glob("*-killed"))
        tensors, metadata = load_with_metadata(broken / "killed" / checkpoint.FILE)
        steps.append([json.loads(metadata["state"])[name] for name in ("epoch", "step")])
        names = student().module.state_dict()
        assert all(tensors[f"model.student.student.{name}"].shape == value.shape for name, value in names.items())
    assert steps == [[0, 4], [1, 3]] and any(name.startswith("best.") for name in tensors)
    ended(fsdp(script, str(broken), "0", "killed"))
    for rank in (0, 1):
        one, other = (load_tensors(folder / f"{rank}-killed") for folder in (calm, broken))
        assert all(torch.equal(other[name], value) for name, value in one.items())
    one, other = (read_json(folder / "0-killed.json")[0] for folder in (calm, broken))
    assert one == other


@pytest.mark.slow
def test_a_whole_run_in_shards(tmp_path: Path) -> None:
    """`accelerate launch --use_fsdp -m distrust run`: one report, and a student that one process loads."""
    config = recipe.TransformerStudent(kind="transformer", config=BERT, vocabulary=300, max_length=24).model_dump()
    train = {"num_train_epochs": 2, "per_device_train_batch_size": 16, "early_stopping_patience": 1}
    gold = {"size": 18, "reserve": {"stop": 6}}
    own = {key: value for key, value in config.items() if value is not None}
    file = worlds.recipe(tmp_path, student=own, train=train, gold=gold)
    out = ended(fsdp("-m", "distrust", "run", str(file)))
    assert out.count("Report: ") == 1
    done = subprocess.run(
        [sys.executable, "-m", "distrust", "evaluate", str(tmp_path / "run" / "student"), str(tmp_path / "test.csv")],
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr[-3000:]


def small(monkeypatch: pytest.MonkeyPatch, module: nn.Module, count: str = "2") -> None:
    """Ask to shard a module."""
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    monkeypatch.setenv("WORLD_SIZE", count)
    own = ModuleStudent(module, worlds.SPACE)
    Processes([Side(own, default_objective(worlds.told()), Train())], Train())


class Tempered(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(1.0))


def test_what_cannot_be_sharded_is_refused_before_anything_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RunError, match="scale is a single number, which FSDP cannot shard"):
        small(monkeypatch, Tempered())
    mixed = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 3).half())
    with pytest.raises(RunError, match=r"one type, not of torch\.float16 and torch\.float32"):
        small(monkeypatch, mixed)
    with pytest.raises(RunError, match="launch more than one, or without --use_fsdp"):
        small(monkeypatch, worlds.network(), count="1")
    monkeypatch.setenv("FSDP_OFFLOAD_PARAMS", "true")
    with pytest.raises(RunError, match="without offload_params; launch with --fsdp_offload_params false"):
        small(monkeypatch, worlds.network())


def test_whole_tensors_stay_as_they_are() -> None:
    value = torch.rand(3)
    assert whole(value) is value and like(torch.zeros(3), value) is value
