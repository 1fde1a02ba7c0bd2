"""Rows that were left out -> a file that can be corrected and fed in again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from mmgen.errors import MmgenError
from mmgen.files.publish import output_errors
from mmgen.tables.row import BadRow, Table
from mmgen.tables.write import csv_lines
from ui.words import phrase, sentence

REASON, LINE = "拒绝原因", "原表行号"
"""Columns before those of the table; `pipelines.batch` leaves them out when it reads them."""


class Rejects:
    """rejects.csv, or rejects.jsonl for a JSONL table; written as rows are found.

    Nothing is written where nothing is wanted or wrong; an old file goes when a
    run rejects nothing.
    """

    def __init__(self, folder: Path, table: Table, *, is_wanted: bool) -> None:
        self._is_jsonl = table.kind == "jsonl"
        self._columns = table.columns
        self._target = folder / ("rejects.jsonl" if self._is_jsonl else "rejects.csv")
        self._is_wanted = is_wanted
        self._file: BinaryIO | None = None
        self.path: Path | None = None
        """Where the file is, once it is whole."""

    def __enter__(self) -> Rejects:
        return self

    def add(self, row: BadRow) -> None:
        """Write one row, with the reason and its line before its cells."""
        if not self._is_wanted:
            return
        with output_errors(self._target):
            if self._file is None:
                self._file = self._begin()
            self._file.write(self._line(row))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file:
            self._file.close()
        if kind is None and self._is_wanted:
            with output_errors(self._target):
                if self._file:
                    self._part.replace(self._target)
                    self.path = self._target
                else:
                    self._target.unlink(missing_ok=True)
        elif self._file:
            self._part.unlink(missing_ok=True)

    @property
    def _part(self) -> Path:
        return self._target.with_name(".part-" + self._target.name)

    def _begin(self) -> BinaryIO:
        self._target.parent.mkdir(parents=True, exist_ok=True)
        file = self._part.open("wb")
        if not self._is_jsonl:
            file.write("\ufeff".encode())
            file.writelines(csv_lines([[REASON, LINE, *self._columns]]))
        return file

    def _line(self, row: BadRow) -> bytes:
        known = isinstance(row.reason, MmgenError)
        reason = f"{row.column}: " + (sentence(row.reason) if known else phrase(str(row.reason)))
        is_named = isinstance(row.cells, Mapping)
        if self._is_jsonl:
            cells = dict(row.cells) if is_named else {}
            text = json.dumps({REASON: reason, LINE: row.line, **cells}, ensure_ascii=False)
            return text.encode("utf-8", "backslashreplace") + b"\n"
        cells_in_order = (
            [row.cells.get(name) for name in self._columns] if is_named else list(row.cells)
        )
        return b"".join(csv_lines([[reason, row.line, *cells_in_order]]))
