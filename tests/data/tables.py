"""Small files as people have them."""

from __future__ import annotations

from pathlib import Path

import pyarrow
import pyarrow.parquet


def written(folder: Path, name: str, content: str | bytes) -> str:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(path)


def parquet(folder: Path, table: dict[str, list[object]], name: str = "t.parquet") -> str:
    pyarrow.parquet.write_table(pyarrow.table(table), folder / name)
    return str(folder / name)
