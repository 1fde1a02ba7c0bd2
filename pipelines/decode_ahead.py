"""Pictures read by several decoders at once, in order, a little ahead of who needs them."""

from __future__ import annotations

import collections
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Generic, TypeVar

from PIL.Image import Image

from mmgen.errors import PictureError
from mmgen.files.read_picture import PictureReader

_AHEAD = 128
"""Pictures that may be decoded and waiting."""
_SMALL_PX = 1024
"""What is kept of a picture in waiting; no tower reads more."""

Item = TypeVar("Item")


class DecodeAhead(Generic[Item]):
    """Threads, each with a decoding child of its own. Use as a context manager."""

    def __init__(self, path_of: Callable[[Item], Path | str], workers: int | None = None) -> None:
        self._path_of = path_of
        workers = workers or max(1, os.cpu_count() or 1)
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="decode")
        self._own = threading.local()
        self._readers: list[PictureReader] = []

    def __enter__(self) -> DecodeAhead[Item]:
        return self

    def __exit__(self, *exception: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
        for reader in self._readers:
            reader.close()

    def read(self, items: Iterable[Item]) -> Iterator[tuple[Item, Image | PictureError]]:
        """Each item with its picture (RGB, at most 1,024 px a side), or why there is none."""
        waiting: collections.deque[tuple[Item, Future[Image | PictureError]]]
        waiting = collections.deque()
        for item in items:
            waiting.append((item, self._pool.submit(self._read, self._path_of(item))))
            if len(waiting) >= _AHEAD:
                first, future = waiting.popleft()
                yield first, future.result()
        for first, future in waiting:
            yield first, future.result()

    def _read(self, path: Path | str) -> Image | PictureError:
        reader: PictureReader | None = getattr(self._own, "reader", None)
        if reader is None:
            reader = self._own.reader = PictureReader()
            self._readers.append(reader)
        try:
            picture = reader.read(path)
        except PictureError as error:
            return error
        if max(picture.size) > _SMALL_PX:
            picture.thumbnail((_SMALL_PX, _SMALL_PX))
        return picture
