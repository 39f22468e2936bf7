"""A student trained once for all tests of the command line, and the command line itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from distrust.cli import main
from tests.cli.world import LABELS, Call, caller, news, write


@pytest.fixture
def distrust(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """`distrust ARGUMENTS` in this process."""
    return caller(monkeypatch, capsys)


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `pool.csv`, `recipe.yaml` and, in `run`, what `distrust run` left of them."""
    folder = tmp_path_factory.mktemp("trained")
    write(folder / "pool.csv", news(120, gold=60))
    (folder / "recipe.yaml").write_text(
        f"""
data: {{pool: {{path: {folder / "pool.csv"}, id: id}}}}
labels: [{", ".join(LABELS)}]
gold: {{label: label}}
teachers: [{{kind: recorded, name: gpt, column: gpt_label, price: {{per_call: 0.5}}}}]
student: {{kind: ngram, buckets: 4096, dimension: 8}}
method: {{name: gold-only, options: {{min_steps: 60}}}}
output_dir: {folder / "run"}
"""
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["distrust", "run", str(folder / "recipe.yaml")])
        with pytest.raises(SystemExit) as done:
            main()
    assert not done.value.code
    return folder
