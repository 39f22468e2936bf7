"""A paid teacher's answers, bought once for several runs: it says what it said, and can be asked nothing new.

Knows a folder of evidence and what it cost. Does not know who bought it.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

from distrust.data import Items
from distrust.errors import RunError
from distrust.evidence import Evidence
from distrust.files import file_name, fingerprint, read_json, write_json
from distrust.labels import LabelSpace
from distrust.report.facts import Spending
from distrust.store import load_evidence, save_evidence


class KeptTeacher:
    """A teacher from `keep`'s folder. An item that it was not asked is missing from its evidence.

    Raises:
        RunError: a folder that holds none, or a damaged one.
    """

    keeps_answers = True

    def __init__(self, folder: Path, name: str) -> None:
        here = folder / _place(name)
        if not (here / "about.json").is_file():
            raise RunError(
                f"{folder} keeps nothing that a teacher {name!r} said; name the teacher as it was when it was asked."
            )
        about = read_json(here / "about.json")
        self.name, self.fingerprint = name, str(about["fingerprint"])
        self._evidence = load_evidence(here)
        self._spending = Spending(**about["spending"])
        self._first: tuple[str, ...] = ()  # of the items it was asked

    @property
    def space(self) -> LabelSpace:
        """Its classes. Of open answers every item has its own candidates, and nobody asks for them here."""
        assert isinstance(self._evidence.space, LabelSpace), "open answers have no classes"
        return self._evidence.space

    def ask(self, items: Items) -> Evidence:
        """What it said of those of the items that it was asked.

        Notes count over all it ever said: they go with the first item that it is asked, so that parts count them once.
        """
        said = self._evidence.on(items.ids)
        self._first = self._first or said.ids[:1]
        return said if set(self._first) & set(said.ids) else replace(said, notes={})

    def spending(self) -> Spending:
        """What all its answers cost, together."""
        return self._spending


def keep(folder: Path, evidence: Evidence, key: str, spent: Spending) -> None:
    """Write what a teacher said, its fingerprint and what it cost, for `KeptTeacher`."""
    here = folder / _place(evidence.source)
    save_evidence(evidence, here)
    write_json(here / "about.json", {"fingerprint": key, "spending": asdict(spent)})


def _place(name: str) -> str:
    return f"{file_name(name)}-{fingerprint(name)[:8]}"
