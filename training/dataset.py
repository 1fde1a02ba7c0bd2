"""Image folder with `metadata.jsonl` -> pictures of one size, packed in one file."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mmgen.errors import FileUnreadable
from mmgen.framing import fit
from mmgen.image_folder import read_rows as read_rows


def pack(
    folder: Path,
    rows: Sequence[dict[str, Any]],
    cache: Path,
    *,
    height: int = 256,
    width: int = 192,
    on_progress: Callable[[int, int], None] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """All pictures fitted to one size, decoded once and mapped from `cache` later.

    Returns pixels uint8 (N, H, W, 3), memory-mapped and read-only, and boxes
    float32 (N, 4) as `fit` gives them. Raises `FileUnreadable` for a picture that
    is missing or broken; nothing half-packed stays behind.
    """
    names = [row["file_name"] for row in rows]
    stamps = [f"{name} {_stamp(folder / name)}" for name in names]
    key = hashlib.sha256("\n".join([f"{height}x{width}", *stamps]).encode()).hexdigest()[:16]
    pixels_path, boxes_path = cache / f"{key}.pixels.npy", cache / f"{key}.boxes.npy"
    if not boxes_path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        pixels_part = cache / f"{key}.{os.getpid()}.pixels.part"
        boxes_part = pixels_part.with_suffix(".boxes.npy")
        packed = np.lib.format.open_memmap(
            pixels_part, mode="w+", dtype=np.uint8, shape=(len(rows), height, width, 3)
        )
        boxes = np.empty((len(rows), 4), np.float32)

        def work(index: int) -> None:
            packed[index], boxes[index] = _fitted(folder / names[index], height, width)

        try:
            with ThreadPoolExecutor(2) as pool:
                for done, _ in enumerate(pool.map(work, range(len(rows))), 1):
                    if on_progress:
                        on_progress(done, len(rows))
            packed.flush()
            np.save(boxes_part, boxes)
            pixels_part.rename(pixels_path)
            # Last: the boxes being there means that both are whole.
            boxes_part.rename(boxes_path)
        finally:
            pixels_part.unlink(missing_ok=True)
            boxes_part.unlink(missing_ok=True)
    return np.load(pixels_path, mmap_mode="r"), np.load(boxes_path)


def _fitted(path: Path, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    try:
        with Image.open(path, formats=("WEBP", "JPEG", "PNG")) as picture:
            return fit(picture, height, width)
    except OSError as error:
        raise FileUnreadable(path=path, reason=error) from error


def _stamp(path: Path) -> str:
    try:
        stat = path.stat()
    except OSError as error:
        raise FileUnreadable(path=path, reason=error.strerror) from error
    return f"{stat.st_size} {stat.st_mtime_ns}"
