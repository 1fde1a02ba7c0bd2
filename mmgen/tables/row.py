"""What every kind of table gives: columns, and rows one after another."""

from __future__ import annotations

import dataclasses
import math
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mmgen import limits
from mmgen.errors import DataError, MmgenError

_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]")
"""Control characters but tab and line ends; halves of surrogate pairs."""


class TableHeaderBad(DataError):
    """The columns of a table cannot be told apart."""

    code = "table.header"
    template = "the header of {path} cannot be used ({reason}); correct it"


class TableRowBad(DataError):
    """One row of a table; `reason` is a phrase or an error."""

    code = "table.row"
    template = "{path}, line {line}, column {column}: {reason}"


class Row(NamedTuple):
    """A row that could be read; nothing is said yet about what it asks for."""

    line: int
    """Where it begins: the line of a text file, the row of a sheet; from 1."""
    values: Mapping[str, Any]
    """Column -> text, number, truth value, None, or list of texts."""


@dataclasses.dataclass(frozen=True, slots=True)
class BadRow:
    """A row that cannot be used, and what stands in it, so that it can be corrected."""

    line: int
    column: str
    """`-` where the whole row is meant."""
    reason: str | MmgenError
    cells: Sequence[Any] | Mapping[str, Any]
    """As far as they could be told apart, in the order of the columns or by name."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """A table that can be read any number of times, a row at a time."""

    path: Path
    kind: str
    """csv, jsonl, parquet or xlsx."""
    columns: tuple[str, ...]
    """For JSONL the keys of the first object; others may follow."""
    rows: Callable[[], Iterator[Row | BadRow]]
    """Every call starts from the beginning; blank rows are left out."""


def text_of(value: Any) -> str:
    """A cell as text: 7.0 is `7`, nothing is empty, a list is joined by `|`."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if isinstance(value, list):
        return "|".join(map(text_of, value))
    return str(value)


def cell_fault(value: Any) -> str | None:
    """Why no table may hold this cell, or None."""
    if isinstance(value, str):
        if len(value) > limits.TABLE_CELL_CHARACTERS:
            return "a cell is too long"
        if _FORBIDDEN.search(value):
            return "a cell holds a control character"
        return None
    if isinstance(value, float) and not math.isfinite(value):
        return "a cell is not a finite number"
    if isinstance(value, list):
        if not all(isinstance(part, str) for part in value):
            return "a cell is not text, a number or a list of texts"
        return next(filter(None, map(cell_fault, value)), None)
    if value is None or isinstance(value, bool | int | float):
        return None
    return "a cell is not text, a number or a list of texts"


def are_plain(cells: Iterable[Any]) -> bool:
    """Whether all cells are short texts without a fault: nearly all rows, told in one look."""
    try:
        text = "".join(cells)
    except TypeError:
        return False
    return len(text) <= limits.TABLE_CELL_CHARACTERS and not _FORBIDDEN.search(text)


def check_header(path: Path, cells: Sequence[Any]) -> tuple[str, ...]:
    """Names of the columns, each once; nameless columns at the end are dropped.

    A nameless column between others is called "" and may hold nothing.
    Raises `TableHeaderBad`.
    """
    names = [unicodedata.normalize("NFKC", text_of(cell)).strip() for cell in cells]
    while names and not names[-1]:
        names.pop()
    if not names:
        raise TableHeaderBad(path=path, reason="it is empty")
    if len(names) > limits.TABLE_COLUMNS:
        raise TableHeaderBad(path=path, reason=f"more than {limits.TABLE_COLUMNS} columns")
    seen = set()
    for name in filter(None, names):
        if fault := cell_fault(name):
            raise TableHeaderBad(path=path, reason=fault)
        if name in seen:
            raise TableHeaderBad(path=path, reason=f"column {name} stands twice")
        seen.add(name)
    if len(names) == 1 and any(mark in text_of(cells[0]) for mark in "，；"):
        raise TableHeaderBad(path=path, reason="columns are separated by Chinese commas")
    return tuple(names)


def row_of(line: int, columns: Sequence[str], cells: Sequence[Any]) -> Row | BadRow | None:
    """The row of cells in the order of `columns`; None where all are empty."""
    if not any(cell is not None and cell != "" for cell in cells):
        return None
    width = len(columns)
    if len(cells) < width or any(map(text_of, cells[width:])):
        reason = f"{len(cells)} cells, the header has {width}"
        return BadRow(line, "-", reason, list(cells))
    if are_plain(cells) and "" not in columns:
        return Row(line, dict(zip(columns, cells, strict=False)))
    for name, cell in zip(columns, cells, strict=False):
        if fault := cell_fault(cell):
            return BadRow(line, name or "-", fault, list(cells))
        if not name and text_of(cell):
            return BadRow(line, "-", "a value stands in a column without a name", list(cells))
    values = dict(zip(columns, cells, strict=False))
    values.pop("", None)
    return Row(line, values)
