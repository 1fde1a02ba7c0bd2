"""A file of prompts -> one prompt a line, with the id that names its pictures."""

from __future__ import annotations

import codecs
import dataclasses
import re
import sys
from pathlib import Path

from mmgen.errors import DataError, FileUnreadable, MmgenError
from mmgen.values import check_prompt

LARGEST_BYTES = 64 * 2**20
_LINE_END = re.compile(r"\r\n|\r|\n")


class PromptLineBad(DataError):
    code = "prompts.bad_line"
    template = "{path}, line {line}: {reason}; correct the line"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class PromptLine:
    """One line of the file."""

    prompt: str
    key: str | None = None
    """None where the line is a prompt alone."""


def read_prompts(path: Path) -> list[PromptLine]:
    """The lines `PROMPT` or `ID<TAB>PROMPT` of a UTF-8, UTF-16 or GB18030 file; `-` is stdin.

    Blank lines are skipped. Raises `FileUnreadable` and, with the number of the
    line, `PromptLineBad`: a bad prompt, an empty id, an id met twice.
    """
    lines: list[PromptLine] = []
    seen: dict[str, int] = {}
    for number, text in enumerate(_LINE_END.split(_decode(path, _read(path))), 1):
        if not text.strip():
            continue
        line = _parse(path, number, text)
        if line.key is not None:
            if line.key in seen:
                reason = f"the id {line.key} was on line {seen[line.key]} already"
                raise PromptLineBad(path=path, line=number, reason=reason)
            seen[line.key] = number
        lines.append(line)
    if not lines:
        raise FileUnreadable(path=path, reason="it holds no prompt")
    return lines


def _read(path: Path) -> bytes:
    try:
        if str(path) == "-":
            return sys.stdin.buffer.read(LARGEST_BYTES)
        with path.open("rb") as file:
            data = file.read(LARGEST_BYTES + 1)
    except OSError as error:
        raise FileUnreadable(path=path, reason=error.strerror or error) from error
    if len(data) > LARGEST_BYTES:
        raise FileUnreadable(path=path, reason=f"it is larger than {LARGEST_BYTES} bytes")
    return data


def _decode(path: Path, data: bytes) -> str:
    """UTF-8 first; what Chinese Excel saves (GB18030, or UTF-16 with its mark) otherwise."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encodings = ["utf-16"]
    else:
        encodings = ["utf-8-sig", "gb18030"]
    for encoding in encodings:
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise FileUnreadable(path=path, reason="it is neither UTF-8 nor GB18030 text")


def _parse(path: Path, number: int, text: str) -> PromptLine:
    key, tab, prompt = text.partition("\t")
    if not tab:
        key, prompt = "", text
    elif not key.strip():
        raise PromptLineBad(path=path, line=number, reason="the id is empty")
    try:
        check_prompt(prompt)
    except MmgenError as error:
        raise PromptLineBad(path=path, line=number, reason=error) from error
    return PromptLine(prompt=prompt, key=key.strip() or None)
