"""Which encoding a text file is in: UTF-8, UTF-16 or GB18030, with or without a mark."""

from __future__ import annotations

import codecs
from pathlib import Path

from mmgen.errors import FileUnreadable

_PIECE_BYTES = 2**20
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def find_encoding(path: Path) -> str:
    """The encoding in which the whole file can be read.

    UTF-8 is tried before GB18030 (what Chinese Excel saves), since text of one is
    hardly ever valid in the other. Raises `FileUnreadable`.
    """
    try:
        with path.open("rb") as file:
            head = file.read(4096)
        for candidate in _candidates(head):
            if _can_be_read(path, candidate):
                return candidate
    except OSError as error:
        raise FileUnreadable(path=path, reason=error.strerror or error) from error
    raise FileUnreadable(path=path, reason="it is neither UTF-8 nor GB18030 text")


def _candidates(head: bytes) -> list[str]:
    for mark, name in _MARKS:
        if head.startswith(mark):
            return [name]
    # ASCII letters in UTF-16 are every second byte zero; no other text has such.
    if head[1::2].count(0) > len(head) // 8:
        return ["utf-16-le"]
    if head[0::2].count(0) > len(head) // 8:
        return ["utf-16-be"]
    return ["utf-8", "gb18030"]


def _can_be_read(path: Path, encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    with path.open("rb") as file:
        try:
            while piece := file.read(_PIECE_BYTES):
                decoder.decode(piece)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return False
    return True
