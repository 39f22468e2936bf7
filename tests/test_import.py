"""What `import distrust` costs, and what it offers."""

from __future__ import annotations

import subprocess
import sys

import pytest

import distrust

HEAVY = ("torch", "transformers", "datasets", "sklearn", "scipy", "numpy", "pandas", "pyarrow", "matplotlib", "aiohttp")


def test_importing_it_imports_nothing_heavy() -> None:
    script = f"import sys, distrust; distrust.__version__; dir(distrust); print([n for n in {HEAVY!r} if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", distrust.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(distrust, name) is not None and name in dir(distrust)


def test_the_core_is_one_import_away() -> None:
    from distrust import Evidence, LabelSpace, Objective, combine, losses, trust

    assert {room.__name__ for room in (combine, losses, trust)} == {"distrust.combine", "distrust.losses", "distrust.trust"}
    assert {one.__name__ for one in (Evidence, LabelSpace, Objective)} == {"Evidence", "LabelSpace", "Objective"}
    for room in (losses, trust):
        assert all(callable(getattr(room, name)) for name in room.__all__ if name != "ESTIMATORS")
    assert all(callable(one.fit) for one in trust.ESTIMATORS.values())


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'confidence'"):
        distrust.confidence  # noqa: B018
