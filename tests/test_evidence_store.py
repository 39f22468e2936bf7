"""Evidence on disk: asked once, read in any order bit for bit, and nothing damaged, changed or half written is believed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from distrust.build import opened
from distrust.data import Items
from distrust.errors import DataError, RunError, TeacherError
from distrust.evidence import Cost, Dense, Evidence, Hidden, TopK, join
from distrust.evidence_store import EvidenceStore
from distrust.finish import carry_out, write
from distrust.labelled import Labelled, from_targets
from distrust.labels import LabelSpace
from distrust.mapped import Mapped
from distrust.recipe_file import load_recipe
from distrust.store import load_tensors
from distrust.teachers.module import ModuleTeacher
from tests import worlds
from tests.models import save_classifier
from tests.test_processes import torchrun

SPACE = worlds.SPACE
SIZES = {"deep": "0", "wide": "1"}


class Counting(ModuleTeacher):
    """A real network that keeps count of what it was asked."""

    def __init__(self, name: str = "teacher", seed: int = 7, hidden: int = 8, **more: Any) -> None:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            network = nn.Sequential(nn.Linear(2, hidden), nn.ReLU(), nn.Linear(hidden, 3))
        super().__init__(name, network, SPACE, **more)
        self.asked: list[tuple[str, ...]] = []

    def ask(self, items: Items) -> Evidence:
        self.asked.append(items.ids)
        return super().ask(items)


class Says:
    """Says of an item what it is told to: whatever kind of evidence a teacher may give."""

    keeps_answers = False

    def __init__(self, said: Evidence, name: str = "says", fingerprint: str = "1") -> None:
        self.name, self.space, self.fingerprint, self.said = name, SPACE, fingerprint, said

    def ask(self, items: Items) -> Evidence:
        return self.said.on(items.ids)


def same(one: Tensor, other: Tensor) -> bool:
    """Bit for bit: NaN equals NaN here, and -0 is not 0."""
    bits = [value.contiguous().flatten().view(torch.uint8) for value in (one, other)]
    return one.dtype == other.dtype and one.shape == other.shape and torch.equal(*bits)


def logits(evidence: Evidence) -> Tensor:
    assert evidence.logits is not None
    return evidence.logits.dense()


def feature(evidence: Evidence, name: str) -> Mapped:
    value = evidence.features[name]
    assert isinstance(value, Mapped)
    return value


def shards(folder: Path) -> list[Path]:
    return sorted(folder.glob("*/shards/*.json"))


# --- what comes back -----------------------------------------------------------------------------------------------


@settings(max_examples=20)
@given(count=st.integers(1, 30), size=st.integers(1, 11), data=st.data())
def test_any_rows_in_any_order_are_what_the_teacher_said(count: int, size: int, data: st.DataObject) -> None:
    """Wherever shards begin and end: subsets, permutations and growing sets, bit for bit, each item asked once."""
    items, _ = worlds.points(30)
    teacher = Counting(features=SIZES, batch_size=size)
    fresh = teacher.ask(items)
    teacher.asked.clear()
    first = data.draw(st.permutations(range(30)))[:count]
    then = data.draw(st.lists(st.integers(0, 29), unique=True, min_size=1))
    with tempfile.TemporaryDirectory() as folder:
        store = EvidenceStore(Path(folder), shard_items=size)
        for rows in (first, then, first):
            said = store.ask(teacher, items.select(rows))
            assert said.ids == items.select(rows).ids
            torch.testing.assert_close(logits(said), logits(fresh)[rows], rtol=1e-5, atol=1e-5)  # in other batches
            again = EvidenceStore(Path(folder)).ask(teacher, items.select(rows))
            assert same(logits(again), logits(said)) and same(again.claims, said.claims)
            for name in SIZES:
                value = fresh.features[name][rows]
                torch.testing.assert_close(feature(said, name)[:], value, rtol=1e-5, atol=1e-5)
                assert same(feature(again, name).whole(), feature(said, name).whole())
        asked = [item for one in teacher.asked for item in one]
        assert sorted(asked) == sorted({items.ids[row] for row in [*first, *then]}), "each item once"
        assert max(len(one) for one in teacher.asked) <= size


def test_shards_of_whole_batches_are_bit_for_bit_what_one_ask_says(tmp_path: Path) -> None:
    items, _ = worlds.points(100)
    teacher = Counting(features=SIZES, batch_size=8)
    fresh, order = teacher.ask(items), torch.randperm(100, generator=torch.Generator().manual_seed(0))
    store = EvidenceStore(tmp_path, shard_items=16)
    assert same(logits(store.ask(teacher, items)), logits(fresh))
    mixed = store.ask(teacher, items.select(order))
    assert same(logits(mixed), logits(fresh)[order]) and same(mixed.claims, fresh.claims[:, order])
    for name, size in {"deep": 8, "wide": 8}.items():
        value = feature(mixed, name)
        assert value.shape == (100, size) and len(value) == 100 and value.dim() == 2
        assert same(value[torch.tensor([5, 5, 0])], fresh.features[name][order[torch.tensor([5, 5, 0])]])
        assert same(value.select(torch.arange(20, 40)).select([3, 1]).whole(), fresh.features[name][order[[23, 21]]])


def test_teachers_of_one_store_have_sizes_of_their_own(tmp_path: Path) -> None:
    items, _ = worlds.points(10)
    store = EvidenceStore(tmp_path, shard_items=4)
    for name, hidden in (("small", 3), ("large", 40), ("a/b", 5), ("a-b", 6)):
        teacher = Counting(name, hidden=hidden, features=SIZES)
        said = store.ask(teacher, items)
        assert feature(said, "deep").shape == (10, hidden) and same(
            logits(said), logits(Counting(name, hidden=hidden, batch_size=4).ask(items))
        )
    assert len(list(tmp_path.iterdir())) == 4


TOKENS = torch.randn(4, 5, 3, generator=torch.Generator().manual_seed(1))
KINDS: dict[str, dict[str, Any]] = {
    "claims alone": {},
    "samples, texts, costs and notes": {
        "claims": torch.tensor([[0, 1, -1, 2], [2, -1, -1, 0]]),
        "texts": [["x", "\ud800"], ["\x1b[31m"], [], ["z", "x"]],
        "cost": Cost(*(torch.tensor([1.0, float("nan"), 0.0, 2.5], dtype=torch.float64) for _ in range(4))),
        "notes": {"could not parse": 2},
    },
    "dense": {"logits": Dense(torch.tensor([[0.1, -torch.inf, 3.0], [1e-30, 0.0, -7.0], [-torch.inf] * 3, [-0.0] * 3]))},
    "half": {"logits": Dense(torch.randn(4, 3).bfloat16()), "features": {"no/path: ü": torch.randn(4).half()}},
    "top k": {"logits": TopK(torch.tensor([[2, 0]] * 4), torch.log(torch.full((4, 2), 0.25)), torch.full((4,), 0.5), 3)},
    "tokens": {"claims": torch.arange(20).reshape(1, 4, 5) % 3, "logits": Dense(TOKENS)},
    "nothing wide": {"features": {"empty": torch.zeros(4, 0), "flags": torch.tensor([True, False, True, True])}},
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_evidence_comes_back(tmp_path: Path, kind: str) -> None:
    ids = ("a", "ü\u2028", "c", "")
    plain = {"source": "says", "ids": ids, "space": SPACE, "claims": torch.tensor([[0, 1, -1, 2]])}
    said = Evidence(**(plain | KINDS[kind]))
    items = Items(ids, ("one", ("a", "pair"), (("user", "turn \ud800"),), ""))
    EvidenceStore(tmp_path, shard_items=3).ask(Says(said), items)
    back = EvidenceStore(tmp_path).ask(Says(said), items)
    assert same(back.claims, said.claims) and (back.ids, back.space) == (ids, SPACE)
    assert back.notes.keys() == said.notes.keys()
    assert [list(one) for one in back.texts or ()] == [list(one) for one in said.texts or ()]
    assert type(back.logits) is type(said.logits)
    for one, other in ((back.logits, said.logits), (back.cost, said.cost)):
        for name, value in vars(other).items() if other is not None else ():
            assert same(getattr(one, name), value) if isinstance(value, Tensor) else getattr(one, name) == value
    assert back.features.keys() == said.features.keys()
    for name, value in said.features.items():
        assert same(feature(back, name).whole(), value[:])


def test_hidden_states_are_kept_as_the_logits_they_make(tmp_path: Path) -> None:
    hidden = Hidden(torch.randn(2, 5), torch.randn(3, 5))
    said = Evidence("says", ("a", "b"), SPACE, torch.tensor([[0, 1]]), hidden)
    assert same(logits(EvidenceStore(tmp_path).ask(Says(said), Items(("a", "b"), ("x", "y")))), hidden.dense())


def test_no_item_is_no_trouble(tmp_path: Path) -> None:
    teacher = Counting()
    items, _ = worlds.points(4)
    for _ in range(2):
        assert len(EvidenceStore(tmp_path).ask(teacher, items.select([]))) == 0
        EvidenceStore(tmp_path).ask(teacher, items)


# --- asked once ----------------------------------------------------------------------------------------------------


def test_a_pool_that_grows_asks_only_what_is_new(tmp_path: Path) -> None:
    items, _ = worlds.points(30)
    teacher = Counting()
    store = EvidenceStore(tmp_path, shard_items=8)
    store.ask(teacher, items.select(range(5, 25)))
    assert store.missing(teacher, items) == [*range(5), *range(25, 30)]
    teacher.asked.clear()
    store.ask(teacher, items)
    assert teacher.asked == [items.ids[:5] + items.ids[25:28], items.ids[28:]]
    assert store.missing(teacher, items) == []


def test_an_item_is_its_id_and_its_content(tmp_path: Path) -> None:
    """Neither the row nor the id alone: an edited item is asked again, a moved one is not."""
    teacher, store = Counting(), EvidenceStore(tmp_path)
    items = Items(("a", "b", "c"), torch.tensor([[0.0, 1.0], [2.0, 3.0], [0.0, 1.0]]))
    store.ask(teacher, items)
    moved = Items(("c", "x", "a"), torch.tensor([[0.0, 1.0], [2.0, 3.0], [0.0, 9.0]]))
    assert store.missing(teacher, moved) == [1, 2]
    assert store.missing(teacher, Items(items.ids, items.inputs.reshape(3, 1, 2))) == [0, 1, 2], "another shape"  # type: ignore[union-attr]
    assert store.missing(teacher, Items(("a",), ("0.0 1.0",))) == [0]
    pairs = Items(("p", "q"), (("a", "b\nc"), ("a\nb", "c")))
    assert len(set(_keys(pairs))) == 2 and _keys(Items(("p",), (("a", "b\nc"),))) != _keys(Items(("p",), ("a\nb\nc",)))


def _keys(items: Items) -> list[str]:
    from distrust.evidence_store import item_keys

    return item_keys(items)


KILLED = """
import sys, time
from pathlib import Path
import torch
from distrust.evidence_store import EvidenceStore
from tests import worlds
from tests.test_evidence_store import Counting
class Slow(Counting):
    def ask(self, items):
        with open(sys.argv[2], "a") as log:
            log.write("".join(item + "\\n" for item in items.ids))
        time.sleep(0.02)
        return super().ask(items)
torch.set_num_threads(1)
items, _ = worlds.points(400)
EvidenceStore(Path(sys.argv[1]), shard_items=10).ask(Slow(features={"deep": "0"}), items)
"""


def test_a_kill_loses_at_most_the_shard_at_work(tmp_path: Path) -> None:
    """Really killed, at moments that nobody chose; what was asked again is less than a shard a kill."""
    store, log = tmp_path / "store", tmp_path / "asked"
    command = [sys.executable, "-c", KILLED, str(store), str(log)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(("src", "."))}
    root = Path(__file__).parent.parent
    struck = 0
    for wanted in (3, 12):
        process = subprocess.Popen(command, cwd=root, env=environment)
        deadline = time.monotonic() + 60
        while process.poll() is None and len(shards(store)) < wanted and time.monotonic() < deadline:
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        struck += process.wait() == -signal.SIGKILL
    assert struck == 2, "no kill came too late"
    items, _ = worlds.points(400)
    teacher = Counting(features={"deep": "0"})
    said = EvidenceStore(store, shard_items=10).ask(teacher, items)
    asked = log.read_text().split()
    late = [item for one in teacher.asked for item in one]
    assert {*asked, *late} == set(items.ids) and late and len(asked) + len(late) <= 400 + struck * 10
    undisturbed = EvidenceStore(tmp_path / "other", shard_items=10).ask(teacher, items)
    assert same(logits(said), logits(undisturbed)) and same(feature(said, "deep")[:], feature(undisturbed, "deep")[:])
    assert feature(said, "deep").key == feature(undisturbed, "deep").key


def test_what_a_kill_left_behind_the_last_shard_is_written_over(tmp_path: Path) -> None:
    items, _ = worlds.points(20)
    teacher = Counting()
    EvidenceStore(tmp_path, shard_items=10).ask(teacher, items.select(range(10)))
    for path in tmp_path.glob("*/*.bin"):
        with path.open("ab") as file:
            file.write(b"torn" * 9)
    said = EvidenceStore(tmp_path).ask(teacher, items)
    assert same(logits(said), logits(EvidenceStore(tmp_path / "clean", shard_items=10).ask(teacher, items)))


def test_who_asks_at_the_same_moment_waits_and_takes_what_was_told(tmp_path: Path) -> None:
    items, _ = worlds.points(20)
    second, said = Counting(), []

    class Meeting(Counting):
        def ask(self, asked: Items) -> Evidence:
            if not self.asked:
                waiting.start()
                waiting.join(0.3)
                assert waiting.is_alive(), "it did not wait"
            return super().ask(asked)

    waiting = threading.Thread(target=lambda: said.append(EvidenceStore(tmp_path).ask(second, items)))
    first = EvidenceStore(tmp_path, shard_items=5).ask(Meeting(), items)
    waiting.join(60)
    assert same(logits(said[0]), logits(first)) and second.asked == []


# --- nothing damaged or changed is believed ------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["claims", "cost", "logits.values", "features.deep"])
def test_a_flipped_bit_is_noticed_and_its_shard_is_asked_again(tmp_path: Path, name: str) -> None:
    items, _ = worlds.points(30)
    teacher = Counting(features={"deep": "0"})
    before = logits(EvidenceStore(tmp_path, shard_items=10).ask(teacher, items))
    (path,) = tmp_path.glob(f"*/{name}.bin")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(RunError, match=rf"{name}\.bin is damaged in rows 10 to 19; delete .*000000010\.json") as refusal:
        EvidenceStore(tmp_path).ask(teacher, items)
    assert str(shards(tmp_path)[1]) in str(refusal.value)
    assert same(logits(EvidenceStore(tmp_path).ask(teacher, items.select(range(10)))), before[:10]), "others are whole"
    shards(tmp_path)[1].unlink()
    teacher.asked.clear()
    said = EvidenceStore(tmp_path).ask(teacher, items)
    assert teacher.asked == [items.ids[10:20]] and same(logits(said), before)


def test_damage_to_what_describes_a_shard_is_noticed(tmp_path: Path) -> None:
    items, _ = worlds.points(30)
    teacher = Counting()
    EvidenceStore(tmp_path, shard_items=10).ask(teacher, items)
    path = shards(tmp_path)[2]
    whole = path.read_text()
    for damage in (
        whole[:-20],
        whole.replace('"start": 20', '"start": 10'),
        json.dumps([1]),
        "",
        whole.replace("int64", "int65"),
    ):
        path.write_text(damage)
        with pytest.raises(RunError, match=rf"{path.name} is damaged"):
            EvidenceStore(tmp_path).ask(teacher, items)
    path.write_text(whole)
    (tmp_path / "teacher-cc68c008" / "logits.values.bin").unlink()
    with pytest.raises(RunError, match=r"logits\.values\.bin is damaged in rows 0 to 9"):
        EvidenceStore(tmp_path).ask(teacher, items)


def test_answers_of_nobody_knows_whom_are_refused(tmp_path: Path) -> None:
    items, _ = worlds.points(3)
    EvidenceStore(tmp_path).ask(Counting(), items)
    (source,) = tmp_path.glob("*/source.json")
    source.write_text("{")
    with pytest.raises(RunError, match=r"source\.json is damaged"):
        EvidenceStore(tmp_path).ask(Counting(), items)
    source.unlink()
    with pytest.raises(RunError, match=r"has lost its source\.json, so nobody knows whose answers it keeps"):
        EvidenceStore(tmp_path).ask(Counting(), items)


def test_a_disk_that_keeps_something_else_is_noticed_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    items, _ = worlds.points(4)
    monkeypatch.setattr(os, "fsync", lambda _: [path.write_bytes(b"") for path in tmp_path.glob("*/claims.bin")])
    with pytest.raises(RunError, match=r"claims\.bin does not hold what was written to it"):
        EvidenceStore(tmp_path).ask(Counting(), items)
    assert shards(tmp_path) == []


def change_of(teacher: str) -> Any:
    wide = LabelSpace(("a", "b", "d"))
    made = {
        "weights": lambda: Counting(seed=8),
        "features": lambda: Counting(features={"deep": "0"}),
        "another path": lambda: Counting(features={"deep": "1"}),
        "classes": lambda: ModuleTeacher("teacher", Counting()._module, wide),
    }
    return made[teacher]()


@pytest.mark.parametrize("change", ["weights", "features", "another path", "classes"])
def test_a_changed_teacher_is_refused_by_name(tmp_path: Path, change: str) -> None:
    items, _ = worlds.points(10)
    before = Counting(features={"deep": "0"} if change == "another path" else None)
    said = EvidenceStore(tmp_path).ask(before, items)
    what = "its classes" if change == "classes" else "its weights, its options or what it reads"
    for asked in (items, items.select([3])):
        with pytest.raises(
            TeacherError, match=rf"The teacher teacher is not .* keeps: {what} changed\. Give it another name"
        ):
            EvidenceStore(tmp_path).ask(change_of(change), asked)
    assert same(logits(EvidenceStore(tmp_path).ask(before, items)), logits(said)), "what the earlier one said is still there"
    (folder,) = tmp_path.iterdir()
    shutil.rmtree(folder)
    EvidenceStore(tmp_path).ask(change_of(change), items)


def test_a_module_that_is_trained_on_is_another_teacher(tmp_path: Path) -> None:
    items, _ = worlds.points(10)
    teacher, store = Counting(), EvidenceStore(tmp_path)
    store.ask(teacher, items)
    with torch.no_grad():
        teacher._module[0].weight += 1  # type: ignore[index, operator]
    with pytest.raises(TeacherError, match="is not the one"):
        store.ask(teacher, items)


def test_a_teacher_that_never_answered_may_still_change(tmp_path: Path) -> None:
    items, _ = worlds.points(10)
    spoilt = Counting()
    with torch.no_grad():
        spoilt._module[0].weight.fill_(torch.nan)  # type: ignore[index, union-attr, operator]
    with pytest.raises(DataError, match="teacher gave a non-finite logit for item 'p0'"):
        EvidenceStore(tmp_path).ask(spoilt, items)
    EvidenceStore(tmp_path).ask(Counting(), items)


def test_nan_names_its_item_and_what_was_asked_before_stays(tmp_path: Path) -> None:
    items, _ = worlds.points(30)
    inputs = torch.as_tensor(items.inputs).clone()
    inputs[17] = torch.nan
    teacher, store = Counting(), EvidenceStore(tmp_path, shard_items=10)
    with pytest.raises(DataError, match="teacher gave a non-finite logit for item 'p17'"):
        store.ask(teacher, Items(items.ids, inputs))
    assert store.missing(teacher, items) == list(range(10, 30))


def test_answers_that_cannot_be_kept_are_refused(tmp_path: Path) -> None:
    items = Items(("a", "b"), ("x", "y"))
    said = Evidence("says", items.ids, SPACE, torch.tensor([[0, 1]]), features={"f": torch.zeros(2, 3)})
    store = EvidenceStore(tmp_path)
    store.ask(Says(said), items.select([0]))
    for changed in (
        Evidence("says", items.ids, SPACE, torch.tensor([[0, 1]]), features={"f": torch.zeros(2, 4)}),
        Evidence("says", items.ids, SPACE, torch.tensor([[0, 1]])),
    ):
        with pytest.raises(TeacherError, match=r"an item as features\.f and \(3,\) torch\.float32 for earlier items"):
            store.ask(Says(changed), items)
    with pytest.raises(TeacherError, match="under another name, in other classes or about other items"):
        EvidenceStore(tmp_path / "other").ask(Says(said, "else"), items)


def test_what_does_not_fit_the_disk_is_refused_before_it_is_asked(tmp_path: Path) -> None:
    wide = 2**22
    count = shutil.disk_usage(tmp_path).free // (4 * wide) + 100

    class Wide(Says):
        def ask(self, items: Items) -> Evidence:
            asked.append(len(items))
            tall = {"f": torch.zeros(len(items), wide)}
            return Evidence(self.name, items.ids, SPACE, torch.zeros(1, len(items), dtype=torch.long), features=tall)

    asked: list[int] = []
    items = Items(tuple(map(str, range(count))), torch.zeros(count, 1))
    nothing = Evidence("says", (), SPACE, torch.zeros(1, 0, dtype=torch.long))
    with pytest.raises(RunError, match=rf"What says says of {count - 1} more items takes about [\d.]+ GB and .* left"):
        EvidenceStore(tmp_path, shard_items=1).ask(Wide(nothing), items)
    assert asked == [1]


def carried_out(recipe: Path, *changes: str) -> Path:
    """A whole run of a recipe; its folder."""
    made = load_recipe(recipe, list(changes))
    with opened(made) as (run, task):
        facts, student = carry_out(run, task, made)
        write(facts, student, run.folder)
    return run.folder


def test_a_checkpoint_retrained_in_place_is_refused_by_a_run(tmp_path: Path) -> None:
    """A whole recipe: asked once over two methods, features beside the answers and not in the report's facts."""
    topics = tuple(sorted(worlds.WORDS))
    model = save_classifier(tmp_path / "model", topics)
    teacher = {"kind": "classifier", "name": "local", "model": str(model), "feature": "auto", "keep_top": 2}
    recipe = worlds.recipe(tmp_path, teachers=[teacher], train={"num_train_epochs": 1})
    folder = carried_out(recipe)
    (kept,) = (folder / "evidence").iterdir()
    before = written(kept)
    assert {"claims", "cost", "logits.ids", "logits.logp", "logits.tail", "features.feature"} == {
        path.stem for path in before if path.suffix == ".bin"
    }
    facts = [name for path in (folder / "facts").rglob("*.safetensors") for name in load_tensors(path)]
    assert "logits.ids" in facts and not [name for name in facts if "feature" in name]
    carried_out(recipe, "method.options.trust=confusions")
    assert written(kept) == before
    save_classifier(model, topics, seed=9)
    with pytest.raises(TeacherError, match=r"The teacher local is not the one whose answers .* choose another output_dir"):
        carried_out(recipe)
    carried_out(recipe, f"output_dir={tmp_path / 'again'}")


def test_recipes_share_a_store_by_evidence_dir(tmp_path: Path) -> None:
    """The pool grows, which is another run; its teacher is asked about the new items alone."""
    model = save_classifier(tmp_path / "model", tuple(sorted(worlds.WORDS)))
    teacher = {"kind": "classifier", "name": "local", "model": str(model)}
    said, gold = str(tmp_path / "said"), {"path": str(tmp_path / "test.csv"), "size": 12}
    recipe = worlds.recipe(tmp_path, teachers=[teacher], train={"num_train_epochs": 1}, evidence_dir=said, gold=gold)
    folder = carried_out(recipe)
    before = shards(tmp_path / "said")
    assert not (folder / "evidence").exists()
    worlds.write_csv(tmp_path / "pool.csv", [*worlds.texts(7, seed=9), *worlds.texts(150)])
    carried_out(recipe, f"output_dir={tmp_path / 'grown'}")
    new = [path for path in shards(tmp_path / "said") if path not in before]
    assert [len(json.loads(path.read_text())["keys"]) for path in new] == [7]


def written(folder: Path) -> dict[Path, int]:
    """When each file was written last."""
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file() and path.name != "lock"}


# --- what stays on disk --------------------------------------------------------------------------------------------

GROWTH = """
import sys
from pathlib import Path
import torch
from distrust.evidence_store import EvidenceStore
from distrust.labelled import from_targets
from tests.test_evidence_store import large
from dataclasses import replace
def resident(kind):
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(kind)) / 1024
torch.set_num_threads(1)
teacher, items = large()
store = EvidenceStore(Path(sys.argv[1]))
before, own = resident("VmRSS"), resident("RssAnon")
said = store.ask(teacher, items)
told = replace(from_targets(items, torch.ones(len(items), 3)), extra={"f": said.features["f"]})
told.key, told.select(range(0, len(items), 2)).key
order = torch.randperm(len(items), generator=torch.Generator().manual_seed(0))
assert float(told.extra["f"][order[:16]].sum()) > 0
print(resident("VmRSS") - before)
for rows in order.split(32):
    assert float(told.extra["f"][rows].sum()) > 0
print(resident("RssAnon") - own)
"""


class Large(Says):
    """200 MiB of a feature: 2,048 items of 100 KiB."""

    asked = 0

    def ask(self, items: Items) -> Evidence:
        Large.asked += 1
        draw = torch.rand(len(items), 25_600, generator=torch.Generator().manual_seed(Large.asked))
        return Evidence(self.name, items.ids, SPACE, torch.zeros(1, len(items), dtype=torch.long), features={"f": draw})


def large() -> tuple[Large, Items]:
    said = Evidence("says", (), SPACE, torch.zeros(1, 0, dtype=torch.long))
    return Large(said), Items(tuple(map(str, range(2048))), torch.zeros(2048, 1))


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="memory is read from /proc")
def test_reading_a_few_rows_of_a_large_file_takes_little_memory(tmp_path: Path) -> None:
    """Opened, verified, told to a student, fingerprinted and read in part: 200 MiB of features stay on disk."""
    teacher, items = large()
    EvidenceStore(tmp_path).ask(teacher, items)
    assert (tmp_path / "says-b2b1dd8a" / "features.f.bin").stat().st_size == 200 * 2**20
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(("src", "."))}
    done = subprocess.run(
        [sys.executable, "-c", GROWTH, str(tmp_path)],
        cwd=Path(__file__).parent.parent, env=environment, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    some, own = map(float, done.stdout.split())
    assert some < 100, f"{some} MiB, of the page cache too: the system maps whole folios of up to 2 MiB for a row"
    assert own < 30, f"{own} MiB of its own after every row was read"


def test_a_column_may_be_larger_than_memory(tmp_path: Path) -> None:
    """A file with a hole of 4 TiB, of which two rows are real: mapped all the same."""
    teacher, store = Counting(), EvidenceStore(tmp_path)
    items, _ = worlds.points(2)
    said = logits(store.ask(teacher, items))
    (path,) = tmp_path.glob("*/logits.values.bin")
    try:
        os.truncate(path, 2**42)
    except OSError:
        pytest.skip("this disk has no files so large")
    rows = store.column(teacher, items, "logits.values")
    assert same(rows[torch.tensor([1, 0])], said[[1, 0]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rows = EvidenceStore(tmp_path).column(teacher, items, "logits.values")
    value = rows[:]
    value[0] = 9
    assert same(rows.whole(), said), "what is read is a copy"


def fresh_store(folder: Path, size: int, rows: Sequence[int] | range = range(30)) -> tuple[EvidenceStore, Counting, Items]:
    items, _ = worlds.points(30)
    store, teacher = EvidenceStore(folder, shard_items=size), Counting(features={"deep": "0"}, batch_size=10)
    store.ask(teacher, items.select(rows))
    return store, teacher, items


def test_a_key_says_what_the_rows_are(tmp_path: Path) -> None:
    store, teacher, items = fresh_store(tmp_path / "one", 10)
    said = feature(store.ask(teacher, items), "deep")
    later, *_ = fresh_store(tmp_path / "two", 10, [*range(20, 30), *range(20)])
    assert feature(later.ask(teacher, items), "deep").key == said.key, "where a shard lies in the file is no matter"
    order = torch.arange(29, -1, -1)
    assert said.select(order).select(order).key == said.key
    keys = {said.key, said.select(order).key, said.select([0]).key, said.select([0, 0]).key, said.select([10]).key}
    keys |= {store.column(teacher, items, name).key for name in ("claims", "logits.values")}
    keys.add(feature(EvidenceStore(tmp_path / "else").ask(Counting(seed=8, features={"deep": "0"}), items), "deep").key)
    assert len(keys) == 8


def test_what_is_joined_stays_on_disk(tmp_path: Path) -> None:
    store, teacher, items = fresh_store(tmp_path, 10, range(20))
    first = store.ask(teacher, items.select(range(15)))
    second = store.ask(teacher, items)  # the file has grown since
    both = join([first, second])
    expected = feature(store.ask(teacher, items), "deep")
    assert same(feature(both, "deep").whole(), expected.whole()) and feature(both, "deep").key == expected.key
    third = EvidenceStore(tmp_path / "else").ask(Counting(features={"deep": "0"}), worlds.points(31)[0].select([30]))
    assert isinstance(join([first, third]).features["deep"], Tensor), "of two files: in memory"
    assert same(feature(second.on(["p7", "p3"]), "deep").whole(), expected[torch.tensor([7, 3])])


def test_a_training_set_takes_what_is_on_disk(tmp_path: Path) -> None:
    store, teacher, items = fresh_store(tmp_path, 7)
    value = feature(store.ask(teacher, items), "deep")
    told = from_targets(items, torch.eye(3)[torch.arange(30) % 3])

    def with_extra(extra: Mapped | Tensor) -> Labelled:
        return Labelled(told.items, told.targets, told.labels, told.weight, {"f": extra})

    one, memory = with_extra(value), with_extra(value.whole())
    assert one.key != with_extra(value.select([1, 0, *range(2, 30)])).key
    some = one.select([4, 2]) + one.select([9])
    assert isinstance(some.extra["f"], Mapped) and same(some.extra["f"].whole(), value[torch.tensor([4, 2, 9])])
    assert same(one.relabelled(memory.select([3])).extra["f"][:], value.whole())
    with pytest.raises(DataError, match="'f' has 29 rows for 30 items"):
        with_extra(value.select(range(29)))


def test_a_column_that_is_not_there(tmp_path: Path) -> None:
    store, teacher, items = fresh_store(tmp_path, 10, range(20))
    with pytest.raises(RunError, match=r"lacks 'features\.x' of some items; ask first, it has claims, logits\.values"):
        store.column(teacher, items.select([0]), "features.x")
    with pytest.raises(RunError, match="ask first"):
        store.column(teacher, items, "logits.values")
    assert store.column(teacher, items.select([3]), "logits.values").shape == (1, 3)


# --- the top classes -----------------------------------------------------------------------------------------------


def test_the_top_classes_are_kept_with_the_exact_mass_of_the_rest(tmp_path: Path) -> None:
    items, _ = worlds.points(30)
    teacher, whole = Counting(keep_top=2), logits(Counting().ask(items)).double().softmax(-1)
    said = EvidenceStore(tmp_path, shard_items=7).ask(teacher, items).logits
    assert isinstance(said, TopK) and said.ids.shape == (30, 2)
    torch.testing.assert_close(said.logp.double().exp(), whole.sort(-1, descending=True).values[:, :2])
    torch.testing.assert_close(said.tail.double(), whole.min(-1).values, rtol=1e-5, atol=0)
    assert sum(path.stat().st_size for path in tmp_path.glob("*/logits.*")) == 30 * (2 * (8 + 4) + 4)
    with pytest.raises(TeacherError, match="is not the one"):
        EvidenceStore(tmp_path).ask(Counting(keep_top=1), items)
    with pytest.raises(TeacherError, match="teacher has 3 classes and cannot keep 4; legal is 1 to 3"):
        Counting(keep_top=4)


BOTH = """
import sys
from pathlib import Path
import torch
from torch import distributed
from distrust import processes
from distrust.evidence_store import EvidenceStore
from distrust.store import save_tensors
from tests import worlds
from tests.test_evidence_store import Counting, feature, logits
torch.set_num_threads(1)
folder = Path(sys.argv[1])
items, _ = worlds.points(60)
teacher, store = Counting(features={"deep": "0"}), EvidenceStore(folder / "store", shard_items=16)
for rows in (range(40), range(60)):
    said = store.ask(teacher, items.select(rows))
asked = torch.tensor([len(one) for one in teacher.asked], dtype=torch.long)
kept = {"asked": asked, "logits": logits(said), "feature": feature(said, "deep").whole()}
save_tensors(folder / f"{processes.rank()}.safetensors", kept)
distributed.destroy_process_group()
"""


@pytest.mark.slow
def test_of_two_processes_only_the_first_one_asks(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(BOTH)
    done = torchrun(str(tmp_path / "script.py"), str(tmp_path))
    assert done.returncode == 0, done.stderr[-3000:]
    first, second = (load_tensors(tmp_path / f"{rank}.safetensors") for rank in (0, 1))
    assert first["asked"].tolist() == [16, 16, 8, 16, 4] and second["asked"].tolist() == []
    assert same(first["logits"], second["logits"]) and same(first["feature"], second["feature"])
