"""`distrust audit`: from a table to what is wrong in it, on the terminal, as files, and again."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

from tests.cli.world import Call, news, write


def test_an_audit_finds_wrong_labels_and_says_so(distrust: Call, tmp_path: Path) -> None:
    rows = news(300, gold=50)
    data, folder = write(tmp_path / "n.csv", rows), tmp_path / "audit"
    code, out, err = distrust("audit", data, "--out", folder, "--next", 7)
    assert code == 0 and "--labels gpt_label --gold-column label" in err
    assert re.search(r"more likely wrong than right, of those without gold +\d+ of 250", out)
    assert "wrong (with 50 gold labels, 95 % interval)" in out and "Label these next" in out
    found = json.loads((folder / "audit.json").read_text(encoding="utf-8"))
    truth = {row["id"]: row["label"] for row in news(300)}
    wrong = {row["id"] for row in rows if row["gpt_label"] != truth[row["id"]]}
    assert found["rate"]["low"] <= len(wrong) / 300 <= found["rate"]["high"]
    assert (found["items"], found["gold"], len(found["next"])) == (300, 50, 7)
    assert not {one["id"] for one in found["next"]} & {row["id"] for row in rows[:50]}, "what gold says is known"
    listed = list(csv.DictReader((folder / "audit.csv").read_text(encoding="utf-8").splitlines()))
    assert [float(one["wrong"]) for one in listed] == sorted((float(one["wrong"]) for one in listed), reverse=True)
    unknown = [one for one in listed if not one["gold"]]
    hits = [one["id"] in wrong for one in unknown[:30]]
    assert len(listed) == 300 and len(unknown) == 250 and sum(hits) >= 24
    assert all(one["suggested"] == one["gold"] for one in listed if one["gold"])
    before = {path.name: path.read_bytes() for path in folder.glob("audit.*")}
    again, out_again, err_again = distrust("audit", data, "--out", folder, "--next", 7)
    assert (again, out_again) == (0, out) and "fit fold" in err and "fit fold" not in err_again
    assert before == {path.name: path.read_bytes() for path in folder.glob("audit.*")} and len(before) == 3


def test_without_gold_it_says_what_it_cannot_see(distrust: Call, tmp_path: Path) -> None:
    rows = [{"text": row["text"], "gpt_label": row["gpt_label"]} for row in news(100)]
    code, out, err = distrust("audit", write(tmp_path / "n.csv", rows), "--labels", "gpt_label", "--out", tmp_path / "a")
    assert code == 0 and "as far as a student can see" in out
    assert "Mistakes that are always made alike are learned and agreed with: the true rate may be far higher." in err
    assert "Mistakes that are always made alike" in (tmp_path / "a" / "audit.html").read_text(encoding="utf-8")


def test_no_formula_gets_into_the_table(distrust: Call, tmp_path: Path) -> None:
    rows = [
        {"text": f"@SUM(1) {row['text']}", "said": "=cmd|x" if row["gpt_label"] == "alpha" else "-1"} for row in news(60)
    ]
    code, out, _ = distrust(
        "audit", write(tmp_path / "n.csv", rows), "--labels", "said", "--text", "text", "--out", tmp_path / "a"
    )
    listed = list(csv.DictReader((tmp_path / "a" / "audit.csv").read_text(encoding="utf-8").splitlines()))
    assert code == 0 and {one["claimed"] for one in listed} == {"'=cmd|x", "-1"} and "=cmd|x" in out
    assert all(one["text"].startswith("'@SUM(1)") for one in listed)
    assert set(json.loads((tmp_path / "a" / "audit.json").read_text(encoding="utf-8"))["classes"]) == {"=cmd|x", "-1"}


def test_texts_that_tell_nothing_are_said_to(distrust: Call, tmp_path: Path) -> None:
    rows = [{"text": f"text number {n}", "said": "a" if n % 3 else "b"} for n in range(60)]
    code, _, err = distrust("audit", write(tmp_path / "n.csv", rows), "--labels", "said", "--out", tmp_path / "a")
    assert code == 0 and "the texts tell them nothing, and the rate and the list of suspects are worth little." in err


def test_hostile_texts_and_labels_are_inert(distrust: Call, tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>\x1b[2J\u202e"
    rows = [{"text": f"{evil} {row['text']}", "said": evil + row["gpt_label"]} for row in news(60)]
    code, out, err = distrust(
        "audit", write(tmp_path / "n.csv", rows), "--labels", "said", "--text", "text", "--out", tmp_path / "a"
    )
    page = (tmp_path / "a" / "audit.html").read_text(encoding="utf-8")
    table = (tmp_path / "a" / "audit.csv").read_text(encoding="utf-8")
    assert code == 0 and "\x1b" not in out + err + page + table and "\u202e" not in out + page + table
    assert "<script" not in page and "&lt;script&gt;alert(1)" in page


def test_mistakes_end_in_a_sentence(distrust: Call, tmp_path: Path) -> None:
    data = write(tmp_path / "n.csv", news(60))
    for words, said in (
        (("--labels", "gpt_lable"), "did you mean 'gpt_label'?"),
        (("--gold", tmp_path / "none.csv"), "There is no file"),
        (("--out", data), "n.csv cannot be written: File exists; choose another --out."),
        (("--out", data / "deeper"), "cannot be written: Not a directory; choose another --out."),
    ):
        code, _, err = distrust("audit", data, "--out", tmp_path / "a", *words)
        assert code == 2 and said in err and "Traceback" not in err, err
    assert not (tmp_path / "a" / "audit.json").exists()
