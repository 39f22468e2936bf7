"""Durable files on real full disks and read-only folders, and fingerprints across processes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest
import torch

from distrust.errors import RunError
from distrust.files import fingerprint, read_json, write_atomically, write_json

WRITE = """
import os, sys
from pathlib import Path
from distrust.errors import RunError
from distrust.files import write_atomically
if os.getuid() == 0 and sys.argv[2] == "drop":
    os.setuid(65534)
try:
    write_atomically(Path(sys.argv[1]), b"x" * int(sys.argv[3]))
except RunError as error:
    print(error)
"""


def python(*words: str, script: str = WRITE, shell: str | None = None, seed: str = "0") -> str:
    command = [sys.executable, "-c", textwrap.dedent(script), *words]
    if shell is not None:
        command = ["unshare", "-rm", "sh", "-c", shell + ' && exec "$@"', "sh", *command]
    env = os.environ | {"PYTHONHASHSEED": seed}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=env, check=True)
    return done.stdout.strip()


needs_mounts = pytest.mark.skipif(
    shutil.which("unshare") is None
    or subprocess.run(["unshare", "-rm", "sh", "-c", "mount -t tmpfs none /mnt"], capture_output=True).returncode != 0,
    reason="needs Linux mount namespaces for a disk of its own",
)


def test_a_file_is_replaced_whole_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "made" / "on the way" / "f.txt"
    write_atomically(path, "old")
    write_atomically(path, b"\x00new")
    assert path.read_bytes() == b"\x00new" and [one.name for one in path.parent.iterdir()] == ["f.txt"]


@needs_mounts
def test_a_full_disk_keeps_the_old_file_and_says_so(tmp_path: Path) -> None:
    mount = f"mount -t tmpfs -o size=64k none '{tmp_path}' && echo old > '{tmp_path}/f'"
    script = WRITE + "print(Path(sys.argv[1]).read_text().strip(), os.listdir(Path(sys.argv[1]).parent))"
    said = python(f"{tmp_path}/f", "stay", "1000000", script=script, shell=mount)
    assert said.splitlines() == [
        f"The disk is full while writing {tmp_path}/f; what was finished is kept, so free some space and start again.",
        "old ['f']",
    ]


@needs_mounts
def test_a_read_only_disk_is_refused(tmp_path: Path) -> None:
    mount = f"mount -t tmpfs -o size=64k none '{tmp_path}' && mount -o remount,ro '{tmp_path}'"
    said = python(f"{tmp_path}/f", "stay", "1", shell=mount)
    assert said == f"{tmp_path}/f cannot be written: Read-only file system; choose another output_dir."


def test_a_folder_without_permission_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "locked"
    folder.mkdir()
    for parent in (folder, *folder.parents):  # another user must be able to look, and only to look
        if parent.stat().st_uid == os.getuid() and str(parent).startswith("/tmp/"):
            parent.chmod(0o555 if parent == folder else 0o755)
    said = python(f"{folder}/f", "drop", "1")
    folder.chmod(0o755)
    assert said == f"{folder}/f cannot be written: Permission denied; choose another output_dir."


@pytest.mark.parametrize("name", ["file/run/f", "file/f", "folder", "x" * 300])
def test_a_path_that_cannot_be_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    with pytest.raises(RunError, match=r"cannot be written: .*; choose another output_dir"):
        write_atomically(tmp_path / name, "x")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["file", "folder"]


def test_many_threads_writing_one_file_leave_one_of_their_files(tmp_path: Path) -> None:
    path, contents = tmp_path / "f", [str(writer) * 100_000 for writer in range(8)]
    threads = [threading.Thread(target=write_atomically, args=(path, content)) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_text() in contents and [one.name for one in tmp_path.iterdir()] == ["f"]


def test_a_kill_while_writing_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_text("old")
    script = """
        import os, sys, signal
        from pathlib import Path
        from distrust import files
        os.fsync = lambda handle: os.kill(os.getpid(), signal.SIGKILL)
        files.write_atomically(Path(sys.argv[1]), "new" * 100_000)
        """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script), str(path)], timeout=60, check=False)
    assert done.returncode == -9 and path.read_text() == "old"


def test_json_is_what_any_reader_accepts(tmp_path: Path) -> None:
    value = {"name": "Straße", "parts": [1, 2.5, None, True]}
    write_json(tmp_path / "f.json", value)
    assert read_json(tmp_path / "f.json") == value and "Straße" in (tmp_path / "f.json").read_text(encoding="utf-8")
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(tmp_path / "f.json", {"accuracy": float("nan")})
    assert read_json(tmp_path / "f.json") == value


@pytest.mark.parametrize("content", [b'{"a": ', b"\xff\xfe", b""])
def test_damaged_json_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "f.json").write_bytes(content)
    with pytest.raises(RunError, match=r"f\.json is damaged .*; delete it and run again"):
        read_json(tmp_path / "f.json")


# --- fingerprints ----------------------------------------------------------------------------------------------------

PARTS = """
import torch
parts = ["a", 1, 1.5, None, True, {"b": [1, {"d": "ä"}], "a": 2}, ["x", "y"], b"raw", torch.arange(6).reshape(2, 3) / 7]
"""


def test_a_fingerprint_is_the_same_in_every_process() -> None:
    script = PARTS + "from distrust.files import fingerprint; print(fingerprint(*parts))"
    seen = {python(script=script, seed=seed) for seed in ("1", "2")}
    space: dict[str, list[object]] = {}
    exec(PARTS, space)
    assert seen == {fingerprint(*space["parts"])}


def test_a_fingerprint_tells_apart_what_is_different() -> None:
    base = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    different = [
        (),
        ("a",),
        ("a", "b"),
        ("ab",),
        (["a", "b"],),
        (["ab"],),
        ([["a"], "b"],),
        ("b", "a"),
        (1,),
        (1.0,),
        ("1",),
        (None,),
        (True,),
        ({"a": 1},),
        ({"a": 2},),
        ({"b": 1},),
        ([],),
        ({},),
        (b"a",),
        (base,),
        (base.double(),),
        (base.flatten(),),
        (base.T.contiguous(),),
        (base + 1e-7,),
        (base.bfloat16(),),
        (torch.zeros(0),),
        (torch.zeros(0, 2),),
        (base > 1,),
    ]
    assert len({fingerprint(*parts) for parts in different}) == len(different)


def test_a_fingerprint_is_of_the_content_alone() -> None:
    assert fingerprint(["ab", "c"]) != fingerprint(["a", "bc"])
    table = torch.arange(12.0).reshape(3, 4)
    assert fingerprint(table.T) == fingerprint(table.T.contiguous())
    assert fingerprint(table[1:]) == fingerprint(table[1:].clone().requires_grad_())
    assert fingerprint({"a": 1, "b": {"c": 2, "d": 3}}) == fingerprint({"b": {"d": 3, "c": 2}, "a": 1})
    assert fingerprint(("a", "b")) == fingerprint(["a", "b"])
    assert fingerprint({"path": Path("a/b")}) == fingerprint({"path": "a/b"})
    assert fingerprint(["\ud800"]) != fingerprint(["\ud801"])  # hostile text has one, too


@pytest.mark.parametrize("value", [{"a", "b"}, {"t": torch.zeros(3)}, [object()], {"f": json.dumps}])
def test_what_prints_differently_than_it_is_has_no_fingerprint(value: object) -> None:
    with pytest.raises(TypeError, match="no stable fingerprint"):
        fingerprint(value)
