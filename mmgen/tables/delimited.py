"""CSV and TSV, as Excel, WPS and people write them."""

from __future__ import annotations

import collections
import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from mmgen import limits
from mmgen.tables.formula_guard import unguarded
from mmgen.tables.row import BadRow, Row, Table, TableHeaderBad, check_header, row_of
from mmgen.tables.text_encoding import find_encoding

_DELIMITERS = ",;\t"
_QUOTED = re.compile(r'"[^"]*"')
_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)
"""The first line by which Excel is told the delimiter."""


class _RowTooLong(Exception):
    """Raised through the csv module by the lines that it reads."""


def open_delimited(path: Path) -> Table:
    """The table of a CSV or TSV file; raises `FileUnreadable`, `TableHeaderBad`."""
    encoding = find_encoding(path)
    with _open(path, encoding) as file:
        lines = _Lines(file)
        try:
            delimiter = _delimiter(lines, is_tsv=path.suffix.lower() == ".tsv")
            cells = next(csv.reader(lines, delimiter=delimiter, strict=True))
        except StopIteration:
            raise TableHeaderBad(path=path, reason="it is empty") from None
        except _RowTooLong:
            raise TableHeaderBad(path=path, reason="the row is too long") from None
        except csv.Error as error:
            raise TableHeaderBad(path=path, reason=_reason(error)) from None
        first = lines.number + 1
    columns = check_header(path, cells)

    def rows() -> Iterator[Row | BadRow]:
        with _open(path, encoding) as file:
            yield from _rows(_Lines(file), columns, delimiter, first)

    return Table(path=path, kind="csv", columns=columns, rows=rows)


def _open(path: Path, encoding: str) -> TextIO:
    return path.open(encoding=encoding, newline="")


def _rows(
    lines: _Lines, columns: tuple[str, ...], delimiter: str, first: int
) -> Iterator[Row | BadRow]:
    lines.skip_to(first)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        start = lines.begin_row()
        try:
            cells = [unguarded(cell) for cell in next(reader)]
        except StopIteration:
            return
        except (csv.Error, _RowTooLong) as error:
            reason = "the row is too long" if isinstance(error, _RowTooLong) else _reason(error)
            yield BadRow(start, "-", reason, lines.give_back().split(delimiter))
            reader = csv.reader(lines, delimiter=delimiter, strict=True)
            continue
        if row := row_of(start, columns, cells):
            yield row


class _Lines:
    """The lines of a file for the csv module, with a way back.

    A quotation mark that is never closed would swallow the rows after it: then
    the lines after the first are given once more, as rows of their own.
    """

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._again: collections.deque[str] = collections.deque()
        self._taken: list[str] = []
        self.number = 0
        """Of the last line given."""

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else self._read()
        if not line:
            raise StopIteration
        self.number += 1
        self._taken.append(line)
        if len(self._taken) > 1 and sum(map(len, self._taken)) > limits.TABLE_ROW_CHARACTERS:
            raise _RowTooLong
        return line

    def _read(self) -> str:
        limit = limits.TABLE_ROW_CHARACTERS
        line = self._file.readline(limit)
        if len(line) < limit or line.endswith(("\n", "\r")):
            return line
        while (rest := self._file.readline(limit)) and not rest.endswith(("\n", "\r")):
            pass
        self.number += 1
        self._taken.append(line[:80])
        raise _RowTooLong

    def begin_row(self) -> int:
        """Forget what was taken; returns the number of the next line."""
        self._taken.clear()
        return self.number + 1

    def give_back(self) -> str:
        """Return all lines of this row but the first, which is given as text."""
        first, *others = self._taken or [""]
        self._again.extendleft(reversed(others))
        self.number -= len(others)
        return first.rstrip("\r\n")

    def skip_to(self, number: int) -> None:
        """Go on at line `number`."""
        while self.number + 1 < number:
            next(self)

    def peek(self) -> str:
        """The next line, which is still to come."""
        self.begin_row()
        line = next(self)
        self._again.appendleft(line)
        self.number -= 1
        return line


def _delimiter(lines: _Lines, *, is_tsv: bool) -> str:
    """As the first line says, or what separates most in the header."""
    head = lines.peek()
    if said := _SEPARATOR_LINE.fullmatch(head):
        next(lines)
        return said[1]
    bare = _QUOTED.sub("", head)
    likely = "\t" if is_tsv else ","
    return max(_DELIMITERS, key=lambda mark: (bare.count(mark), mark == likely))


def _reason(error: csv.Error) -> str:
    if "unexpected end of data" in str(error):
        return "a quotation mark is not closed"
    if "field larger than field limit" in str(error):
        return "a cell is too long"
    return "a quotation mark stands in the wrong place"
