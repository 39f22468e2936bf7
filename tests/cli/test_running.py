"""run, plan and annotate as they are called: what they print, what they leave, and that nothing is done twice."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from distrust.files import read_json
from tests import worlds
from tests.cli.world import Call

FAST = {"num_train_epochs": 2}


def test_a_run_from_recipe_to_report(distrust: Call, tmp_path: Path) -> None:
    code, out, err = distrust("run", worlds.recipe(tmp_path, train=FAST))
    run = tmp_path / "run"
    assert code == 0 and out.rstrip().endswith(f"Report: {run / 'report.html'}")
    found = read_json(run / "metrics.json")
    assert " ".join(out.split("On the test items")[0].split()) == found["verdict"]
    for name, one in (("student", found["test"]["student"]), ("gold-only", found["test"]["gold_only"])):
        shown = next(line for line in out.splitlines() if line.startswith(name))
        assert f"{100 * one['accuracy']['value']:.1f} %" in shown
    assert err.splitlines()[0].startswith("fit student: 10 of 10  loss ")
    for name in ("report.html", "metrics.json", "metrics.jsonl", "recipe.yaml", "student/README.md", "facts/facts.json"):
        assert (run / name).is_file(), name


def test_the_same_command_again_does_nothing_again(distrust: Call, tmp_path: Path) -> None:
    recipe = worlds.recipe(tmp_path, train=FAST)
    first = distrust("run", recipe)
    stages = {path: path.stat().st_mtime_ns for path in (tmp_path / "run").glob("stages/*/*")}
    again = distrust("run", recipe)
    assert again == (0, first[1], ""), "the same words, and nothing that had to be fitted"
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "run").glob("stages/*/*")} == stages


def test_keys_set_on_the_line_are_in_the_saved_recipe(distrust: Call, tmp_path: Path) -> None:
    recipe = worlds.recipe(tmp_path, train=FAST)
    sets = ["train.num_train_epochs=1", "method.options.targets=hard", "teachers.0.name=old", f"output_dir={tmp_path}/b"]
    code, out, _ = distrust("run", recipe, *[word for one in sets for word in ("--set", one)])
    assert code == 0 and "old" in out and not (tmp_path / "run").exists()
    saved = yaml.safe_load((tmp_path / "b" / "recipe.yaml").read_text())
    assert saved["train"]["num_train_epochs"] == 1 and saved["method"]["options"] == {"targets": "hard"}
    assert distrust("run", tmp_path / "b" / "recipe.yaml")[0] == 0, "the saved recipe is a recipe"


def test_a_changed_option_fits_again_and_keeps_the_rest(distrust: Call, tmp_path: Path) -> None:
    recipe = worlds.recipe(tmp_path, train=FAST)
    distrust("run", recipe)
    _, _, err = distrust("run", recipe, "--set", "method.options.targets=hard")
    assert "fit student" in err and "fit gold-only" not in err
    _, _, err = distrust("run", recipe)
    assert err == "", "and the first is still there"


def test_what_only_makes_it_faster_or_safer_fits_nothing_again(distrust: Call, tmp_path: Path) -> None:
    recipe = worlds.recipe(tmp_path, train=FAST)
    distrust("run", recipe)
    _, _, err = distrust("run", recipe, "--set", "train.save_seconds=9", "--set", "train.per_device_eval_batch_size=7")
    assert err == ""


def test_annotate_only_asks(distrust: Call, tmp_path: Path) -> None:
    teachers = [{"kind": "recorded", "name": "past", "column": "teacher", "price": {"per_call": 0.01}}]
    code, out, _ = distrust("annotate", worlds.recipe(tmp_path, teachers=teachers))
    assert code == 0 and "150 of 150" in out and "1.5000" in out and "complete" in out
    assert not (tmp_path / "run" / "student").exists() and not list((tmp_path / "run").glob("stages/fit-*"))


def test_plan_asks_nobody_and_leaves_nothing(distrust: Call, tmp_path: Path) -> None:
    llm = {"kind": "endpoint", "name": "llm", "base_url": "http://127.0.0.1:9/v1", "model": "m", "max_tokens": 3}
    code, out, _ = distrust("plan", worlds.recipe(tmp_path, teachers=[llm | {"price": {"per_call": 0.01}}]))
    assert code == 0 and "Nothing was asked or spent." in out and "llm" in out and "150" in out
    assert not list((tmp_path / "run").glob("*.safetensors")) and not (tmp_path / "run" / "recipe.yaml").exists()


def test_every_library_has_the_recipes_threads(tmp_path: Path) -> None:
    """Those that are loaded by then, and those that are loaded later."""
    recipe = worlds.recipe(tmp_path, train=FAST, threads=3)
    program = f"""
import torch, numpy
from pathlib import Path
from distrust.cli.running import load
load(Path({str(recipe)!r}), None)
import scipy.linalg, sklearn.linear_model
from threadpoolctl import threadpool_info
print(torch.get_num_threads(), sorted({{one["num_threads"] for one in threadpool_info()}}), len(threadpool_info()) > 1)
"""
    free = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    said = subprocess.run([sys.executable, "-c", program], env=free, capture_output=True, text=True, timeout=120, check=True)
    assert said.stdout.split("\n")[0] == "3 [3] True"


@pytest.mark.slow
def test_bars_on_a_terminal(tmp_path: Path) -> None:
    """A real terminal: bars are drawn, a hostile teacher's name draws nothing, the cursor is given back."""
    teachers = [{"kind": "recorded", "name": "t\x1b]0;owned\x07", "column": "teacher"}]
    recipe = worlds.recipe(tmp_path, train=FAST, teachers=teachers, labels=["hail", "money", "sport", "weather"])
    reader, writer = pty.openpty()
    command = [sys.executable, "-m", "distrust", "run", str(recipe)]
    environment = os.environ | {"TERM": "xterm-256color", "COLUMNS": "100"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=writer, env=environment)
    os.close(writer)
    drawn = b""
    while True:
        try:
            drawn += os.read(reader, 65536)
        except OSError:  # the terminal's other end is closed
            break
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert b"fit student" in drawn and b"10/10" in drawn and b"1 of 4 classes have no gold: hail." in drawn
    assert b"\x1b]0;owned" not in drawn + out and drawn.rindex(b"\x1b[?25h") > drawn.rindex(b"\x1b[?25l")
