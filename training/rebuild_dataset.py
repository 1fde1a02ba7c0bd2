"""A copy of the public Clothing data set -> the folder that the models were trained on.

The photographs (Clothing dataset, CC0 1.0) stay out of this repository; its
captions and attributes do not. Anyone with a copy of the data set gets the
image folder back: shorter side 320 px, WebP, beside `metadata.jsonl`.
"""

from __future__ import annotations

import errno
import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from PIL import Image, ImageOps

from mmgen.assets import asset_path
from mmgen.errors import (
    OutputDiskFull,
    OutputNotWritable,
    TrainingDataBroken,
    TrainingDataMissing,
)
from training.dataset import read_rows

SHORTER_SIDE_PX = 320
WEBP_QUALITY = 80
_WORKERS = min(8, os.cpu_count() or 1)
_BROKEN_PICTURE = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)
"""What Pillow raises on bytes that are no whole picture."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RebuildReport:
    """What became of every row."""

    total: int
    written: int
    kept: int
    """Whole already, from an earlier run."""
    missing: tuple[str, ...]
    """Source files that the copy lacks, relative to it."""
    broken: tuple[tuple[str, str], ...]
    """(source file, reason) of pictures that cannot be read."""

    @property
    def exit_code(self) -> int:
        """0 when every picture is there, 3 when some are not."""
        return 3 if self.missing or self.broken else 0


def rebuild(
    source: Path,
    out: Path,
    on_progress: Callable[[int, int], None] | None = None,
    *,
    metadata: Path | None = None,
) -> RebuildReport:
    """Write `out` from `source/images/<source_id>.jpg`; what is there already is kept.

    `on_progress(done, total)` follows each row. A row without a readable
    picture is reported and left out; the others go on. `metadata` defaults to
    the captions that ship with mmgen and is copied to `out` last.
    Raises `TrainingDataMissing` when `source` has no `images/`, `OutputNotWritable`
    and `OutputDiskFull`.
    """
    if not (source / "images").is_dir():
        raise TrainingDataMissing(path=source, wanted="images/<source_id>.jpg")
    metadata = metadata or asset_path("captions/metadata.jsonl")
    rows = read_rows(metadata.parent)
    jobs = [_job(source, out, row, metadata, line) for line, row in enumerate(rows, 1)]
    written, kept = 0, 0
    missing: list[str] = []
    broken: list[tuple[str, str]] = []
    for done, (state, picture, reason) in enumerate(_results(jobs), 1):
        written += state == "written"
        kept += state == "kept"
        name = picture.relative_to(source).as_posix()
        if state == "missing":
            missing.append(name)
        elif state == "broken":
            broken.append((name, reason))
        if on_progress:
            on_progress(done, len(jobs))
    _publish(out / "metadata.jsonl", lambda part: part.write_bytes(metadata.read_bytes()))
    return RebuildReport(
        total=len(jobs),
        written=written,
        kept=kept,
        missing=tuple(missing),
        broken=tuple(broken),
    )


def _job(
    source: Path, out: Path, row: Mapping[str, Any], metadata: Path, line: int
) -> tuple[Path, Path]:
    """(picture to read, file to write); neither may leave its folder."""
    names = (str(row.get("source_id") or ""), str(row["file_name"]))
    for name in names:
        path = PurePosixPath(name)
        if not name or path.is_absolute() or ".." in path.parts or "\\" in name:
            raise TrainingDataBroken(path=metadata, line=line, reason=f"{name!r} is no file name")
    return source / "images" / f"{names[0]}.jpg", out / names[1]


def _results(jobs: list[tuple[Path, Path]]) -> Iterator[tuple[str, Path, str]]:
    """Results in the order of the rows, a few pictures decoded ahead."""
    pool = ThreadPoolExecutor(_WORKERS)
    ahead: deque[Future[tuple[str, Path, str]]] = deque()
    try:
        for job in jobs:
            ahead.append(pool.submit(_rebuild_one, *job))
            if len(ahead) > 4 * _WORKERS:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _rebuild_one(picture: Path, target: Path) -> tuple[str, Path, str]:
    if _is_whole_webp(target):
        return "kept", picture, ""
    if not picture.is_file():
        return "missing", picture, ""
    try:
        with Image.open(picture, formats=("JPEG", "PNG", "WEBP")) as opened:
            small = _shrink(opened)
    except _BROKEN_PICTURE as error:
        return "broken", picture, str(error) or type(error).__name__
    _publish(target, lambda part: small.save(part, "WEBP", quality=WEBP_QUALITY))
    return "written", picture, ""


def _shrink(picture: Image.Image) -> Image.Image:
    """Upright RGB with a shorter side of 320 px."""
    upright = ImageOps.exif_transpose(picture).convert("RGB")
    scale = SHORTER_SIDE_PX / min(upright.size)
    size = (round(upright.width * scale), round(upright.height * scale))
    return upright.resize(size, Image.Resampling.LANCZOS)


def _is_whole_webp(path: Path) -> bool:
    """Whether the file is as long as its RIFF header says (a power cut may cut it short)."""
    try:
        with path.open("rb") as file:
            header = file.read(12)
        size = path.stat().st_size
    except OSError:
        return False
    is_webp = header[:4] == b"RIFF" and header[8:] == b"WEBP"
    return is_webp and int.from_bytes(header[4:8], "little") + 8 == size


def _publish(target: Path, write: Callable[[Path], object]) -> None:
    """Write beside `target`, then rename: the name appears with the whole file only."""
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            write(part)
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise OutputDiskFull(path=target) from error
        raise OutputNotWritable(path=target, reason=error.strerror or str(error)) from error
