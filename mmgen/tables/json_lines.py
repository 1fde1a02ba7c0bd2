"""JSONL: one object a line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from mmgen import limits
from mmgen.errors import FileUnreadable
from mmgen.strict_json import NotJson, parse_json
from mmgen.tables.row import BadRow, Row, Table, are_plain, cell_fault
from mmgen.tables.text_encoding import find_encoding


def open_json_lines(path: Path) -> Table:
    """The table of a JSONL file; raises `FileUnreadable`."""
    encoding = find_encoding(path)

    def rows() -> Iterator[Row | BadRow]:
        with path.open(encoding=encoding, newline="\n") as file:
            for line, text in _lines(file):
                if row := _row(line, text):
                    yield row

    good = (row for row in rows() if isinstance(row, Row))
    first = next(good, None)
    if first is None:
        raise FileUnreadable(path=path, reason="it holds no JSON object on a line of its own")
    return Table(path=path, kind="jsonl", columns=tuple(first.values), rows=rows)


def _lines(file: TextIO) -> Iterator[tuple[int, str]]:
    """Numbered lines; of one that is too long only the beginning, one character too many."""
    limit = limits.TABLE_ROW_CHARACTERS
    number = 0
    while line := file.readline(limit + 1):
        number += 1
        yield number, line
        while len(line) > limit and not line.endswith("\n"):
            line = file.readline(limit + 1)


def _row(line: int, text: str) -> Row | BadRow | None:
    if not text.strip():
        return None
    raw = {"原文": text.strip()[:1000]}
    if len(text) > limits.TABLE_ROW_CHARACTERS:
        return BadRow(line, "-", "the row is too long", raw)
    try:
        value = parse_json(text.encode())
    except UnicodeEncodeError:
        return BadRow(line, "-", "a cell holds a control character", {})
    except NotJson as error:
        return BadRow(line, "-", str(error), raw)
    if not isinstance(value, dict):
        return BadRow(line, "-", "not a JSON object", raw)
    if len(value) > limits.TABLE_COLUMNS:
        return BadRow(line, "-", f"more than {limits.TABLE_COLUMNS} columns", raw)
    for name, cell in () if are_plain((*value, *value.values())) else value.items():
        if fault := cell_fault(name) or cell_fault(cell):
            return BadRow(line, _shown(name), fault, raw)
    values = value
    if any(name != name.strip() for name in value):
        values = {name.strip(): cell for name, cell in value.items()}
    if len(values) != len(value) or "" in values:
        return BadRow(line, "-", "a key stands twice or is empty", raw)
    return Row(line, values) if any(cell not in (None, "") for cell in values.values()) else None


def _shown(name: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in name)[:60] or "-"
