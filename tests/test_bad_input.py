"""Bad input through the real command line: a sentence, exit code 2, and nothing that was there is lost."""

from __future__ import annotations

import csv
import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from safetensors.torch import load_file, save_file

from distrust.build import opened
from distrust.data import content_id
from distrust.files import read_json
from distrust.finish import carry_out, write
from distrust.recipe_file import load_recipe
from tests import models, worlds
from tests.cli.world import Call, caller

KEY = "sk-test-5c91e07f"
EVIL = "\x1b[31mred\x1b[0m\x1b]0;owned\x07<script>alert(1)</script>\n\nok\r\u202e"


@pytest.fixture
def distrust(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """`distrust ARGUMENTS` in this process."""
    return caller(monkeypatch, capsys)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a recipe, its data, and the finished run of it."""
    folder = tmp_path_factory.mktemp("finished")
    recipe = load_recipe(worlds.recipe(folder))
    with opened(recipe) as (run, task):
        write(*carry_out(run, task, recipe), run.folder)
    return folder


@pytest.fixture
def world(finished: Path, tmp_path: Path) -> Path:
    """A copy of it that a test may spoil."""
    folder = tmp_path / "world"
    shutil.copytree(finished, folder)
    worlds.recipe(folder)
    saved = folder / "run" / "recipe.yaml"
    saved.write_text(saved.read_text().replace(str(finished), str(folder)))
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refused(said: tuple[int, str, str]) -> str:
    """The one sentence of a refusal, after nothing but finished stages and notes."""
    code, out, err = said
    assert code == 2 and not out.strip(), said
    *before, sentence = err.rstrip("\n").split("\n")
    assert all(line.startswith(("fit ", "ask ", "Note: ")) for line in before), err
    assert sentence.startswith("distrust: ") and "Traceback" not in err, err
    return sentence.removeprefix("distrust: ")


def pool(folder: Path, **changes: Any) -> dict[str, Any]:
    source = {"path": str(folder / "pool.csv"), "label": "label"}
    return {"pool": source | changes, "test": {"path": str(folder / "test.csv"), "label": "label"}}


def edit(folder: Path, change: Any) -> None:
    """Change every row of the pool's file."""
    rows = worlds.texts(150)
    for number, row in enumerate(rows):
        change(number, row)
    worlds.write_csv(folder / "pool.csv", rows)


QUICK = {"name": "gold-only", "options": {"min_steps": 10}}
LOCAL = {"kind": "endpoint", "name": "llm", "base_url": "http://127.0.0.1:9/v1", "model": "m"}
RECIPES: dict[str, tuple[dict[str, Any], list[str], str]] = {
    "unknown key": ({"trian": {}}, [], "unknown key 'trian'; did you mean 'train'?"),
    "unknown key inside": ({"train": {"learning_rat": 1}}, [], "'train.learning_rat'; did you mean 'learning_rate'?"),
    "unknown key on the line": ({}, ["--set", "gold.sise=3"], "'gold.sise'; did you mean 'size'?"),
    "no value": ({}, ["--set", "seed"], "--set takes key=value"),
    "method": ({"method": {"name": "distil"}}, [], "no method 'distil'; did you mean 'distill'?"),
    "method option": ({"method": {"options": {"temprature": 2}}}, [], "did you mean 'temperature'?"),
    "method value": ({"method": {"options": {"temperature": 0}}}, [], "method.options.temperature"),
    "student": ({"student": {"kind": "ngrams"}}, [], "unknown kind 'ngrams'; did you mean 'ngram'?"),
    "student of nothing": ({"student": {"kind": "ngram", "words": 0, "characters": None}}, [], "set `words` above 0"),
    "student backwards": ({"student": {"kind": "ngram", "characters": [5, 2]}}, [], "a shortest and a longest length"),
    "no teachers": ({"teachers": []}, [], "distill asks teachers; name one under `teachers`"),
    "gold-only without gold": ({"gold": None, "method": {"name": "gold-only"}}, [], "gives none for training"),
    "all gold reserved": (
        {"gold": {"size": 9, "reserve": {"prompt": 9}}, "method": {"name": "gold-only"}},
        [],
        "gives none for training",
    ),
    "confusions without gold": ({"gold": None, "method": {"options": {"trust": "confusions"}}}, [], "fitted on gold"),
    "stopping on nothing": ({"train": {"early_stopping_patience": 1}}, [], "give data.validation, or reserve gold"),
    "too much gold": ({"gold": {"size": 151}}, [], "only 150 items have a gold label"),
    "too much reserved": ({"gold": {"size": 9, "reserve": {"stop": 10}}}, [], "10 gold items are reserved"),
    "gold outside the labels": ({"labels": ["sport", "money"]}, [], "gold label 'weather' is outside the label space"),
    "test outside the labels": ({"labels": ["sport", "money"], "gold": None}, [], "data.test label 'weather'"),
    "label twice": ({"labels": ["sport", "money", "weather", "sport"]}, [], "'sport' is listed twice"),
    "no such column": (
        {"teachers": [{"kind": "recorded", "name": "t", "column": "techer"}]},
        [],
        "no column 'techer'; did you mean 'teacher'?",
    ),
    "another language": ({"teachers": [{"kind": "recorded", "name": "t", "column": "text"}]}, [], "no label in common"),
    "no key": ({"teachers": [LOCAL | {"api_key": "${NO_SUCH_KEY}"}]}, [], "environment variable NO_SUCH_KEY is not set"),
    "a key itself": ({"teachers": [LOCAL | {"api_key": KEY}]}, [], "must be the name of an environment variable"),
    "unknown price": ({"teachers": [LOCAL | {"max_tokens": 4}], "budget": {"money": 1}}, [], "its price is unknown"),
}


@pytest.mark.parametrize("name", RECIPES)
def test_a_mistaken_recipe_is_refused(distrust: Call, world: Path, name: str) -> None:
    changes, arguments, words = RECIPES[name]
    fresh = {"output_dir": str(world / "fresh")} if {"gold", "labels"} & changes.keys() else {}
    recipe = worlds.recipe(world, **changes, **fresh)
    before = contents(world / "run")
    sentence = refused(distrust("run", recipe, *arguments))
    assert words in sentence and KEY not in sentence
    after = contents(world / "run")
    assert {path for path in before if after.get(path) != before[path]} <= {"recipe.yaml"}
    assert not list(world.glob("fresh/stages/*/done.json")), "nothing was done"


def test_a_recipe_that_is_not_there(distrust: Call, world: Path) -> None:
    assert "did you mean 'recipe.yaml'?" in refused(distrust("run", world / "recipy.yaml"))
    assert "is no YAML" in refused(distrust("run", worlds.write_csv(world / "r", [{"a: [": ""}])))


def test_data_that_is_not_there(distrust: Call, world: Path) -> None:
    recipe = worlds.recipe(world, data=pool(world, path=str(world / "pol.csv")))
    assert "did you mean 'pool.csv'?" in refused(distrust("run", recipe))
    recipe = worlds.recipe(world, data=pool(world, text="txt"))
    assert "has no column 'txt'; did you mean 'text'? it has text, label, teacher" in refused(distrust("run", recipe))
    recipe = worlds.recipe(world, data=pool(world, label="lable"))
    assert "did you mean 'label'?" in refused(distrust("run", recipe))
    recipe = worlds.recipe(world, data=pool(world) | {"test": {"path": str(world / "test.csv")}})
    assert "data.test has no `label`" in refused(distrust("run", recipe))


def test_contradicting_ids(distrust: Call, world: Path) -> None:
    edit(world, lambda number, row: row.update(id=f"i{max(number, 1)}"))
    sentence = refused(distrust("run", worlds_recipe(world, data=pool(world, id="id"))))
    assert "the id 'i1' stands in rows 1 and 2 with different 'text'" in sentence


def test_contradicting_gold(distrust: Call, world: Path) -> None:
    edit(world, lambda number, row: row.update(id=f"i{number}"))
    worlds.write_csv(world / "gold.csv", [{"id": "i3", "label": "sport"}, {"id": "i3", "label": "money"}])
    recipe = worlds_recipe(world, data=pool(world, id="id"), gold={"path": str(world / "gold.csv"), "id": "id"})
    assert "gives the item 'i3' two labels" in refused(distrust("run", recipe))


def worlds_recipe(folder: Path, **changes: Any) -> Path:
    """The recipe alone changed, the data left as a test has spoilt it."""
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | changes))
    return path


@pytest.mark.parametrize("spoil", ["half", "footer", "middle", "empty"])
def test_a_damaged_parquet(distrust: Call, world: Path, spoil: str) -> None:
    file = world / "pool.parquet"
    pq.write_table(pa.Table.from_pylist(worlds.texts(150)), file)
    whole = file.read_bytes()
    middle = whole[:60] + bytes(300) + whole[360:]
    file.write_bytes({"half": whole[: len(whole) // 2], "footer": whole[:-4], "middle": middle, "empty": b""}[spoil])
    sentence = refused(distrust("run", worlds.recipe(world, data=pool(world, path=str(file)))))
    assert f"{file} cannot be read as parquet" in sentence


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"text,label,teacher\n", "has no rows"),
        (b'text,label,teacher\n"abc', "cannot be read as csv"),
        (b"text,label,teacher\n\xff\xfe,a,b\n", "cannot be read as csv"),
        (b"text,label,teacher\na,b\n", "line 2: 2 fields, but the header names 3 columns"),
    ],
)
def test_a_damaged_csv(distrust: Call, world: Path, content: bytes, words: str) -> None:
    (world / "pool.csv").write_bytes(content)
    assert words in refused(distrust("run", world / "recipe.yaml"))


def test_logits_that_are_not_finite(distrust: Call, world: Path) -> None:
    model = models.save_classifier(world / "model", ("money", "sport", "weather"))
    weights = load_file(model / "model.safetensors")
    weights["classifier.weight"][1] = float("nan")
    save_file(weights, model / "model.safetensors", metadata={"format": "pt"})
    recipe = worlds.recipe(world, teachers=[{"kind": "classifier", "name": "local", "model": str(model)}])
    assert "local gave a non-finite logit for item" in refused(distrust("run", recipe))
    assert not list((world / "run").glob("evidence/local-*/shards/*.json"))


def test_a_teachers_name_is_no_path(distrust: Call, tmp_path: Path) -> None:
    model = models.save_classifier(tmp_path / "model", ("money", "sport", "weather"))
    names = ["../../../../up", "a/b", "a-b", "ü" * 300]
    teachers = [{"kind": "classifier", "name": name, "model": str(model)} for name in names]
    recipe = worlds.recipe(tmp_path, teachers=teachers, train={"num_train_epochs": 1})
    before = {*tmp_path.parent.iterdir(), *tmp_path.iterdir()}
    assert distrust("run", recipe)[0] == 0
    assert {*tmp_path.parent.iterdir(), *tmp_path.iterdir()} - before == {tmp_path / "run"}
    assert all((path / "done.json").is_file() for path in (tmp_path / "run" / "stages").iterdir())
    assert set(read_json(tmp_path / "run" / "metrics.json")["teachers"]) == set(names)


def test_teachers_without_a_label_in_common(distrust: Call, world: Path) -> None:
    model = models.save_classifier(world / "model", ("spam", "ham", "news"))
    classes = ["money", "sport", "weather"]
    recipe = worlds.recipe(world, teachers=[{"kind": "classifier", "name": "c", "model": str(model)}], labels=classes)
    assert "c has no label in common with the task: it says spam, ham, news" in refused(distrust("run", recipe))
    worlds.recipe(world, labels=classes)
    for answer in ("klingon", ""):
        edit(world, lambda _, row, answer=answer: row.update(teacher=answer))
        assert "teacher has no label in common with the task" in refused(distrust("run", world / "recipe.yaml"))


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"gold": {"size": 13}}, "gold differ"), ({"labels": ["weather", "sport", "money"]}, "labels differ")],
)
def test_a_run_folder_of_another_recipe(distrust: Call, world: Path, changes: dict[str, Any], words: str) -> None:
    before = contents(world / "run")
    sentence = refused(distrust("run", worlds.recipe(world, **changes)))
    assert "is the run of another recipe" in sentence and words in sentence
    assert contents(world / "run") == before


def test_a_run_folder_of_other_data(distrust: Call, world: Path) -> None:
    before = contents(world / "run")
    edit(world, lambda number, row: row.update(text=row["text"] + (" more" if number == 77 else "")))
    assert "is the run of another recipe: data.pool" in refused(distrust("run", world / "recipe.yaml"))
    assert contents(world / "run") == before


def test_another_process_in_the_folder(distrust: Call, world: Path) -> None:
    before = contents(world / "run")
    with (world / "run" / "run.lock").open("r+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert "Another process is at work" in refused(distrust("run", world / "recipe.yaml"))
    assert contents(world / "run") == before
    assert distrust("run", world / "recipe.yaml")[0] == 0
    assert distrust("run", world / "recipe.yaml")[0] == 0, "a run that ended holds its folder no longer"


def test_what_is_warned_of_and_gone_on_with(distrust: Call, tmp_path: Path) -> None:
    classes = ["hail", "money", "sport", "weather"]
    recipe = worlds.recipe(tmp_path, labels=classes)
    edit(
        tmp_path,
        lambda number, row: row.update({"text": " "} if number < 3 else {"teacher": "klingon"} if number < 10 else {}),
    )
    code, _, err = distrust("run", recipe)
    assert code == 0 and "Traceback" not in err
    for sentence in (
        "3 of the pool's 150 texts are empty",
        "1 of 4 classes have no gold: hail",
        "teacher: 7 answers outside the label space; they abstain",
    ):
        assert err.count(sentence) == 1, "said once"
        assert any(sentence in one for one in read_json(tmp_path / "run" / "metrics.json")["warnings"])
        assert sentence.replace("'", "&#39;") in (tmp_path / "run" / "report.html").read_text()


DISKS = """
import contextlib, io, json, os, resource, subprocess, sys
sys.path.insert(0, os.getcwd())
from distrust.cli import main

def distrust(*words):
    out, err = io.StringIO(), io.StringIO()
    sys.argv = ["distrust", *words]
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main()
        except SystemExit as done:
            code = done.code or 0
    return [code, out.getvalue() if code else "", err.getvalue()]

def disk(*options):
    subprocess.run(["mount", "-t", "tmpfs", "-o", ",".join(options), "none", folder], check=True)

def again(*options):
    subprocess.run(["mount", "-o", ",".join(["remount", *options]), folder], check=True)

def files():
    return sorted(name for _, _, names in os.walk(folder) for name in names)

recipe, folder = sys.argv[1:3]
said = {}
"""

MOUNTS = pytest.mark.skipif(
    shutil.which("unshare") is None
    or subprocess.run(["unshare", "-rm", "sh", "-c", "mount -t tmpfs none /mnt"], capture_output=True).returncode != 0,
    reason="needs Linux mount namespaces for a disk of its own",
)


def in_a_process(script: str, recipe: Path, folder: Path, *before: str) -> dict[str, Any]:
    command = [*before, sys.executable, "-c", DISKS + textwrap.dedent(script) + "\nprint(json.dumps(said))"]
    done = subprocess.run([*command, str(recipe), str(folder)], capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@MOUNTS
def test_a_full_disk_and_then_space(tmp_path: Path) -> None:
    """Full at different moments: in a checkpoint, at the end of a fit, while the student or the facts are written."""
    disk = tmp_path / "disk"
    disk.mkdir()
    script = """
    for size in ("size=16k", "size=200k", *(f"size=9m,nr_inodes={number}" for number in (6, 9, 12, 15, 20, 25, 99))):
        disk(size)
        first, kept = distrust("run", recipe), files()
        again("size=20m,nr_inodes=999")
        said[size] = [first, kept, distrust("run", recipe), os.path.exists(folder + "/run/report.html"), files()]
        subprocess.run(["umount", folder], check=True)
    """
    recipe = worlds.recipe(tmp_path, output_dir=str(disk / "run"), method=QUICK)
    said = in_a_process(script, recipe, disk, "unshare", "-rm")
    full = [size for size, (first, *_) in said.items() if first[0]]
    moments = {re.sub(r"\W*(The disk.*disk/run/|;.*)", "", said[size][0][2].split("\n")[-2]) for size in full}
    assert len(moments) >= 5, f"the disks prove little: {moments}"
    for size in full:
        first, kept, second, reported, _ = said[size]
        assert "The disk is full" in refused(tuple(first)), size
        assert not any(name.endswith(".part") for name in kept), "no half file stays"
        assert second[0] == 0 and reported, (size, second)
    assert len({tuple(last) for *_, last in said.values()}) == 1, "the same files as after a run on a large disk"


@MOUNTS
def test_a_read_only_run_folder(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    script = """
    disk("size=20m")
    again("ro")
    said["fresh"] = distrust("run", recipe)
    again("rw")
    said["written"] = distrust("run", recipe)
    before = files()
    again("ro")
    said["finished"] = distrust("run", recipe)
    said["report"] = distrust("report", folder + "/run")
    said["same"] = files() == before
    """
    recipe = worlds.recipe(tmp_path, output_dir=str(disk / "run"), method=QUICK)
    said = in_a_process(script, recipe, disk, "unshare", "-rm")
    assert said["written"][0] == 0 and said["same"]
    for name in ("fresh", "finished", "report"):
        assert "Read-only file system; choose another output_dir" in refused(tuple(said[name])), name


@pytest.mark.skipif(os.getuid() != 0, reason="needs root, to become somebody else")
def test_a_run_folder_of_somebody_else(finished: Path) -> None:
    with tempfile.TemporaryDirectory() as name:  # every folder above it is open to others, unlike tmp_path's
        world = Path(name)
        shutil.copytree(finished, world, dirs_exist_ok=True)
        world.chmod(0o755)
        script = """
        said["mine"] = distrust("run", recipe)  # everything is imported by then: the interpreter too may be root's
        os.setuid(65534)
        said["run"] = distrust("run", recipe)
        """
        said = in_a_process(script, worlds.recipe(world), world)
        assert said["mine"][0] == 0
        assert "cannot be written: Permission denied" in refused(tuple(said["run"]))
        assert contents(world / "run").keys() == contents(finished / "run").keys()


def test_a_limit_on_the_size_of_files_and_then_none(tmp_path: Path) -> None:
    script = """
    for size in (200, 10_000):
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
        said[size] = distrust("run", recipe)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
    said["none"] = distrust("run", recipe)
    """
    said = in_a_process(script, worlds.recipe(tmp_path, method=QUICK), tmp_path)
    assert "cannot be written: File too large" in refused(tuple(said["200"]))
    assert "cannot be written: File too large" in refused(tuple(said["10000"]))
    assert said["none"][0] == 0


@pytest.mark.parametrize("place", ["a file", "no such disk"])
def test_a_place_where_no_run_can_be(distrust: Call, tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("mine")
    folder = {"a file": str(tmp_path / "file"), "no such disk": "/proc/no/run"}[place]
    assert "choose another output_dir" in refused(distrust("run", worlds.recipe(tmp_path, output_dir=folder)))
    assert (tmp_path / "file").read_text() == "mine"


def test_ctrl_c_in_the_middle_and_then_on(distrust: Call, tmp_path: Path) -> None:
    recipe = worlds.recipe(tmp_path, train={"num_train_epochs": 100, "save_seconds": 0.05})
    process = subprocess.Popen(
        [sys.executable, "-m", "distrust", "run", str(recipe)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("run/stages/fit-*/checkpoint.safetensors")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130 and not out
    assert err == "distrust: Interrupted; what was bought and trained is kept, and the same command goes on.\n"
    assert not (tmp_path / "run" / "report.html").exists()
    first = next(tmp_path.glob("run/stages/fit-student-*/checkpoint.safetensors"), None)
    assert first is not None, "the strike was in the middle of a fit"
    assert distrust("run", recipe)[0] == 0
    assert (tmp_path / "run" / "report.html").exists()


class Echo(BaseHTTPRequestHandler):
    """Answers with the key it was sent, in JSON and in an error; hides nothing."""

    status = 200

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        key = self.headers["Authorization"]
        text = f"money {key} {EVIL}"
        body = {"choices": [{"message": {"content": text}}], "usage": {"prompt_tokens": 3, "completion_tokens": 1}}
        data = json.dumps(body if self.status == 200 else {"error": {"message": f"wrong key {key}{EVIL}"}}).encode()
        self.send_response(self.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def echo() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("status", [200, 401])
def test_a_key_is_nowhere(distrust: Call, tmp_path: Path, echo: str, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEACHER_KEY", KEY)
    monkeypatch.setattr(Echo, "status", status)
    teacher = LOCAL | {"base_url": echo, "api_key": "${TEACHER_KEY}", "concurrency": 4, "prompt": "{text}", "max_tokens": 8}
    recipe = worlds.recipe(tmp_path, teachers=[teacher], labels=["money", "sport", "weather"])
    commands = [["plan", recipe], ["annotate", recipe], ["run", recipe], ["report", tmp_path / "run"]]
    commands += [["why", content_id(worlds.texts(1)[0]["text"]), "--run", tmp_path / "run"]]
    shown = [distrust(*command) for command in commands]
    assert [code for code, _, _ in shown] == ([0] * 5 if status == 200 else [0, 2, 2, 2, 2])
    assert all(KEY not in text and not set("\x1b\x07\u202e") & set(text) for _, out, err in shown for text in (out, err))
    kept = contents(tmp_path / "run")
    assert any(b"money Bearer ***" in value for value in kept.values()) == (status == 200), "the answer itself is kept"
    assert not [path for path, value in kept.items() if KEY.encode() in value]
    assert b"<script>alert" not in kept.get("report.html", b"")


def test_hostile_text_is_inert(distrust: Call, tmp_path: Path) -> None:
    """In texts, answers, rationales, ids, a teacher's name and a class."""
    rows: list[dict[str, str]] = worlds.texts(150)
    for number, row in enumerate(rows):
        row |= {"id": f"{number}{EVIL}", "text": row["text"] + EVIL, "why": EVIL}
        row["teacher"] = EVIL if number < 20 else row["teacher"]
    labels = ["money", "sport", "weather", f"{EVIL} class"]
    recipe = worlds.recipe(
        tmp_path,
        labels=labels,
        data=pool(tmp_path, id="id"),
        teachers=[{"kind": "recorded", "name": f"t{EVIL}", "column": "teacher", "rationale": "why"}],
    )
    worlds.write_csv(tmp_path / "pool.csv", rows)
    with (tmp_path / "pool.csv").open(newline="") as file:
        assert next(csv.DictReader(file))["teacher"] == EVIL, "the table brings it to us unharmed"
    for command in (["run", recipe], ["why", "0", "--run", tmp_path / "run"], ["why", "nobody", "--run", tmp_path / "run"]):
        code, out, err = distrust(*command)
        assert code == (2 if "nobody" in command else 0)
        assert not set("\x1b\x07\r\u202e") & set(out + err)
    page = (tmp_path / "run" / "report.html").read_text()
    assert "<script>alert" not in page and "\x1b" not in page


def test_what_is_refused_was_refused_before_anything_was_asked(distrust: Call, tmp_path: Path) -> None:
    """A method that lacks its gold must not first buy answers: this server is not even there."""
    recipe = worlds.recipe(
        tmp_path,
        teachers=[LOCAL],
        gold=None,
        labels=["money", "sport", "weather"],
        method={"options": {"trust": "confusions"}},
    )
    assert "fitted on gold" in refused(distrust("run", recipe))
