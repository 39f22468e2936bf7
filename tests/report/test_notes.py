"""What a method decided by itself reaches facts, metrics and page; hostile names in it stay inert."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from distrust.report.metrics import metrics
from distrust.report.page import write_report
from distrust.report.saved import load_facts, save_facts
from tests.report.worlds import messages

SENTENCE = "auto blends 98% dawid-skene + 2% <script>alert(1)</script>, by cross-fitted log-loss on 20 gold items."


def test_a_note_is_kept_and_shown_once(tmp_path: Path) -> None:
    plain = messages(items=90)
    noted = replace(plain, notes=[SENTENCE])
    assert metrics(noted)["notes"] == [SENTENCE]
    save_facts(noted, tmp_path / "facts")
    assert list(load_facts(tmp_path / "facts").notes) == [SENTENCE]
    page = write_report(noted, tmp_path, metrics(noted)).read_text(encoding="utf-8")
    assert page.count("auto blends 98% dawid-skene + 2% &lt;script&gt;") == 1 and "<script>alert" not in page
    assert "auto blends" not in write_report(plain, tmp_path, metrics(plain)).read_text(encoding="utf-8")
