"""Images: named in a table by their files, told apart by their content, and read when a batch needs them.

Knows files, Pillow and image processors. Knows nothing of models, labels or what is learned.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from distrust.errors import DataError, nearest
from distrust.secrets import show


class Image(str):
    """``PATH#DIGEST`` of an image file: what stands for the image wherever items are kept or compared."""

    @property
    def path(self) -> Path:
        """Where the file was when the table was read."""
        return Path(self.rpartition("#")[0])

    @property
    def digest(self) -> str:
        """Sixteen digits of the hash of the file's content."""
        return self.rpartition("#")[2]


def find_images(names: Sequence[Any], table: str, column: str) -> list[Image]:
    """The images that a table's column names, from the table's folder on.

    Raises:
        DataError: a row without a name, or a file that is not there or no image.
    """
    folder = Path(table).expanduser().parent
    found = []
    for row, name in enumerate(names, start=1):
        if not isinstance(name, str) or not name:
            raise DataError(f"{table}, row {row} names no image in {column!r}; it holds paths of files.")
        path = (folder / name).resolve()
        if not path.is_file():
            near = [one.name for one in path.parent.iterdir()] if path.parent.is_dir() else []
            raise DataError(
                f"{table}, row {row}: there is no image {name}; {nearest(path.name, near, say='the folder has')}."
            )
        with _reading(path):
            from PIL import Image as Pillow

            with Pillow.open(path) as image:
                image.verify()
        found.append(Image(f"{path}#{_digest(path.read_bytes())}"))
    return found


def are_images(inputs: Any) -> bool:
    """Whether items are images."""
    return bool(len(inputs)) and isinstance(inputs[0], Image)


@dataclass(frozen=True)
class Pictures:
    """Images as a model reads them: opened, sized and scaled by its processor, batch by batch."""

    processor: Any
    images: Sequence[Image]

    def __len__(self) -> int:
        return len(self.images)

    def batch(self, rows: Tensor) -> dict[str, Tensor]:
        """Pixels of some rows (n,) long: `pixel_values` (n, 3, height, width). Raises DataError for a file that changed."""
        read = [_open(self.images[row]) for row in rows.tolist()]
        pixels: Tensor = self.processor(images=read, return_tensors="pt")["pixel_values"]
        return {"pixel_values": pixels}

    def by_length(self, size: int) -> Iterator[Tensor]:
        """All rows in batches (n,), in order: images of one model are of one size."""
        for start in range(0, len(self), size):
            yield torch.arange(start, min(start + size, len(self)))


def blank(processor: Any) -> dict[str, Tensor]:
    """Pixels of one black image (1, 3, height, width), as a batch: what shows how a model runs."""
    pixels: Tensor = processor(images=[torch.zeros(3, 64, 64, dtype=torch.uint8)], return_tensors="pt")["pixel_values"]
    return {"pixel_values": pixels}


def _open(image: Image) -> Any:
    from PIL import Image as Pillow

    with _reading(image.path):
        content = image.path.read_bytes()
        if _digest(content) != image.digest:
            raise DataError(f"The image {image.path} has changed since its table was read; start again.")
        return Pillow.open(io.BytesIO(content)).convert("RGB")


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except DataError:
        raise
    except ImportError as error:
        raise DataError("Images are read by Pillow, which is not installed; install distrust[images].") from error
    except Exception as error:  # Pillow raises what its formats raise
        raise DataError(f"{path} cannot be read as an image: {show(str(error))}.") from error
