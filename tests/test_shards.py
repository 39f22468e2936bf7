"""Columns of rows in shards: whatever is appended comes back bit for bit, and half a shard is none."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from distrust.errors import RunError
from distrust.mapped import Mapped
from distrust.shards import Layout, Shards

NAMES = ("claims", "a/b ü", "..", "empty", "flags")
DRAW = torch.Generator().manual_seed(0)


def columns(count: int) -> dict[str, Tensor]:
    """So many rows of columns of every shape, under names that no folder may be led astray by."""
    wide = torch.randn(count, 2, 3, generator=DRAW)
    return {
        "claims": torch.randint(9, (count,), generator=DRAW),
        "a/b ü": wide.bfloat16().transpose(1, 2),  # not contiguous
        "..": wide[:, 0].double(),
        "empty": torch.zeros(count, 0),
        "flags": torch.rand(count, 1, generator=DRAW) < 0.5,
    }


def append(shards: Shards, keys: list[str], told: Any = None, **more: Tensor) -> dict[str, Tensor]:
    made = columns(len(keys)) | more
    with shards.locked():
        shards.append(keys, made, {"note": told})
    return made


def bits(value: Tensor) -> tuple[Any, ...]:
    return value.dtype, value.shape, bytes(value.contiguous().flatten().view(torch.uint8).numpy())


@given(sizes=st.lists(st.integers(0, 5), min_size=1, max_size=5), data=st.data())
def test_rows_come_back_by_their_keys_whatever_the_shards(sizes: list[int], data: st.DataObject) -> None:
    keys = [f"{shard}-{row} \ud800" for shard, size in enumerate(sizes) for row in range(size)]
    with tempfile.TemporaryDirectory() as folder:
        shards, parts, start = Shards(Path(folder)), [], 0
        for size in sizes:
            parts.append(append(shards, keys[start : start + size]))
            start += size
        wanted = data.draw(st.lists(st.sampled_from([*range(len(keys))] or [0]), max_size=8)) if keys else []
        for found in (shards, Shards(Path(folder))):  # by who wrote them, and by who finds them
            rows = found.rows([keys[row] for row in wanted])
            assert rows.tolist() == wanted and len(found) == len(keys)
            for name in NAMES:
                expected = torch.cat([part[name] for part in parts])[wanted]
                assert bits(found.column(name, rows).whole()) == bits(expected)
            assert {keys[row] for row in wanted} <= {key for shard in found.touched(rows) for key in shard.keys}
        assert Shards(Path(folder)).rows(["nobody", *keys[:1]]).tolist() == [-1, 0][: 1 + bool(keys)]
        assert {path.parent for path in Path(folder).rglob("*.bin")} == {Path(folder)}, "no name leads out of the folder"


def test_an_empty_folder_holds_nothing_and_is_not_made(tmp_path: Path) -> None:
    shards = Shards(tmp_path / "none")
    assert len(shards) == 0 and list(shards) == [] and shards.layouts == {}
    assert shards.rows(["a"]).tolist() == [-1] and shards.rows([]).shape == (0,)
    assert not (tmp_path / "none").exists()


def test_what_a_row_is_and_what_its_writer_keeps_with_it(tmp_path: Path) -> None:
    shards = Shards(tmp_path)
    append(shards, ["a", "b"], told=["\x1b[31m \ud800", None, 1.5])
    assert shards.layouts["a/b ü"] == Layout(torch.bfloat16, (3, 2)) and shards.layouts["a/b ü"].bytes == 12
    assert shards.layouts["empty"].bytes == 0 and shards.layouts["flags"] == Layout(torch.bool, (1,))
    (shard,) = Shards(tmp_path)
    assert (shard.start, shard.stop, shard.keys) == (0, 2, ("a", "b")) and shard.told == {
        "note": ["\x1b[31m \ud800", None, 1.5]
    }
    data = (tmp_path / "claims.bin").read_bytes()
    assert shard.digests["claims"] == hashlib.sha256(data).hexdigest() and len(data) == 16


def test_others_shards_are_seen_once_one_looks_or_writes(tmp_path: Path) -> None:
    mine, other = Shards(tmp_path), Shards(tmp_path)
    first = append(other, ["a", "b"])
    assert len(mine) == 0
    second = append(mine, ["c"])  # inside the lock what others wrote is known: its rows come behind theirs
    assert mine.rows(["c", "a"]).tolist() == [2, 0]
    other.look()
    both = other.column("claims", other.rows(["c", "b"])).whole()
    assert both.tolist() == [int(second["claims"][0]), int(first["claims"][1])]


@pytest.mark.parametrize("after", [1, 2, 3, 4, 5])
def test_a_shard_counts_once_its_description_is_there(tmp_path: Path, after: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is full at the first, second, ... of the files that a shard is made of."""
    shards = Shards(tmp_path)
    kept = append(shards, ["a", "b"])
    synced, real = [], os.fsync

    def full(handle: int) -> None:
        synced.append(handle)
        if len(synced) == after:
            raise OSError(errno.ENOSPC, "full")
        real(handle)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(RunError, match="The disk is full while writing "):
            append(shards, ["c", "d"])
    assert len(shards) == 2 and len(Shards(tmp_path)) == 2 and len(list((tmp_path / "shards").iterdir())) == 1
    again = append(shards, ["c"])
    found = Shards(tmp_path)
    for name in NAMES:
        expected = torch.cat([kept[name], again[name]])
        assert bits(found.column(name, found.rows(["a", "b", "c"])).whole()) == bits(expected)


@pytest.mark.parametrize(
    "damage",
    ["", "{", "[]", "null", "7", '{"start": 0}', '{"start": 0, "keys": [], "columns": {}, "digests": {}, "told": {}}'],
)
def test_a_damaged_description_is_refused_when_it_is_found(tmp_path: Path, damage: str) -> None:
    shards = Shards(tmp_path)
    append(shards, ["a"])
    path = tmp_path / "shards" / "000000000.json"
    whole = path.read_text()
    path.write_text(damage)
    with pytest.raises(RunError, match=r"000000000\.json is damaged"):
        Shards(tmp_path)
    path.write_text(json.dumps(json.loads(whole)))  # other blanks, the same values
    assert len(Shards(tmp_path)) == 1


def test_files_that_are_no_shards_are_passed_over(tmp_path: Path) -> None:
    append(Shards(tmp_path), ["a"])
    (tmp_path / "shards" / ".000000001.json.1.part").write_text("{")
    (tmp_path / "shards" / "README.json").write_text("{")
    assert len(Shards(tmp_path)) == 1


def test_damage_is_found_where_it_is_read_and_nowhere_else(tmp_path: Path) -> None:
    shards = Shards(tmp_path)
    append(shards, ["a", "b"])
    append(shards, ["c", "d"])
    path = tmp_path / "claims.bin"
    path.write_bytes(path.read_bytes()[:-1])  # a byte of the last row is lost
    found = Shards(tmp_path)
    assert found.column("claims", found.rows(["a", "b"])).shape == (2,)
    assert found.column("flags", found.rows(["d"])).shape == (1, 1)
    with pytest.raises(
        RunError, match=r"claims\.bin is damaged in rows 2 to 3; delete .*000000002\.json and run again: its 2"
    ):
        found.column("claims", found.rows(["a", "c"]))
    path.unlink()
    with pytest.raises(RunError, match="is damaged in rows 0 to 1"):
        Shards(tmp_path).column("claims", torch.tensor([0]))


def test_a_shard_that_was_deleted_is_written_anew_and_the_others_stay(tmp_path: Path) -> None:
    """What a refusal tells a person to do, for a shard in the middle and for the last one."""
    shards = Shards(tmp_path)
    parts = [append(shards, [name, name.upper()]) for name in "abc"]
    for number, lost, at in ((1, "b", 6), (3, "b", 6)):
        sorted((tmp_path / "shards").iterdir())[min(number, 2)].unlink()
        found = Shards(tmp_path)
        assert found.rows([lost, "a", "c"]).tolist() == [-1, 0, 4]
        new = append(found, [lost, lost.upper()])
        assert found.rows([lost]).tolist() == [at]
        again = Shards(tmp_path)
        value = again.column("claims", again.rows(["c", lost, "A"])).whole()
        assert value.tolist() == [int(parts[2]["claims"][0]), int(new["claims"][0]), int(parts[0]["claims"][1])]


def test_whoever_found_the_damage_goes_on_once_the_shard_is_deleted(tmp_path: Path) -> None:
    """In one process, as in a notebook: what the refusal says to do is enough."""
    shards = Shards(tmp_path)
    parts = [append(shards, ["a", "A"]), append(shards, ["b"])]
    found, path = Shards(tmp_path), tmp_path / "claims.bin"
    data = bytearray(path.read_bytes())
    data[0] ^= 1
    path.write_bytes(data)
    with pytest.raises(RunError, match=r"delete .*000000000\.json and run again: its 2 items"):
        found.column("claims", found.rows(["a", "b"]))
    (tmp_path / "shards" / "000000000.json").unlink()
    found.look()
    assert found.rows(["a", "b"]).tolist() == [-1, 2] and len(found) == 1
    new = append(found, ["a"])
    value = found.column("claims", found.rows(["a", "b"])).whole()
    assert value.tolist() == [int(new["claims"][0]), int(parts[1]["claims"][0])]
    for one in (tmp_path / "shards").iterdir():
        one.unlink()
    found.look()
    assert len(found) == 0 and found.layouts == {} and append(found, ["z"]) and found.rows(["z"]).tolist() == [0]


def test_where_nothing_can_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot be written"), Shards(tmp_path / "file").locked():
        pass


def test_a_folder_may_move(tmp_path: Path) -> None:
    made = append(Shards(tmp_path / "here"), ["a"])
    shutil.move(tmp_path / "here", tmp_path / "there")
    value: Mapped = Shards(tmp_path / "there").column("claims", torch.tensor([0]))
    assert value.whole().tolist() == made["claims"].tolist()
