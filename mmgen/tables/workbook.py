"""XLSX: the first visible sheet, or the one named."""

from __future__ import annotations

import datetime
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmgen import limits
from mmgen.errors import FileUnreadable, UnknownChoice
from mmgen.tables.row import BadRow, Row, Table, TableHeaderBad, check_header, row_of

_PIECE_BYTES = 2**20
_LONGEST_PLACE = 32
_PLACE = re.compile(rb"""\br\s*=\s*["']([A-Za-z]{0,3})([0-9]{1,7})["']""")
_MOST_CELLS = 20_000_000


def open_workbook(path: Path, sheet: str | None = None) -> Table:
    """The table of an XLSX sheet; raises `FileUnreadable`, `TableHeaderBad`, `UnknownChoice`."""
    _check_archive(path)
    name = _choose_sheet(path, sheet)
    cells, line = next(((cells, line) for line, cells in _lines(path, name)), (None, 0))
    if cells is None:
        raise TableHeaderBad(path=path, reason="it is empty")
    columns = check_header(path, cells)

    def rows() -> Iterator[Row | BadRow]:
        for number, cells in _lines(path, name):
            if number > line and (row := row_of(number, columns, cells)):
                yield row

    return Table(path=path, kind="xlsx", columns=columns, rows=rows)


def _choose_sheet(path: Path, wanted: str | None) -> str:
    from python_calamine import SheetTypeEnum, SheetVisibleEnum

    with _book(path) as book:
        sheets = [one for one in book.sheets_metadata if one.typ == SheetTypeEnum.WorkSheet]
    names = [one.name for one in sheets]
    if wanted is not None and wanted not in names:
        raise UnknownChoice(name="sheet", got=wanted, allowed=", ".join(names))
    visible = [one.name for one in sheets if one.visible == SheetVisibleEnum.Visible]
    if not names:
        raise FileUnreadable(path=path, reason="it holds no sheet")
    return wanted or (visible or names)[0]


def _lines(path: Path, sheet: str) -> Iterator[tuple[int, list[Any]]]:
    """Numbers as in Excel, and the cells of each row that is not blank."""
    with _book(path) as book:
        try:
            found = book.get_sheet_by_name(sheet)
            rows = found.iter_rows()
        except BaseException as error:
            _refuse(path, error)
        for number, cells in enumerate(rows, 1):
            if any(cell != "" for cell in cells):
                yield number, [_cell(cell) for cell in cells]


def _book(path: Path) -> Any:
    import python_calamine

    try:
        return python_calamine.load_workbook(str(path))
    except BaseException as error:
        _refuse(path, error)


def _refuse(path: Path, error: BaseException) -> None:
    """Raise `FileUnreadable`, for what the reader's own panics are too; let Ctrl-C pass."""
    is_panic = type(error).__name__ == "PanicException"
    if not is_panic and not isinstance(error, Exception):
        raise error
    raise FileUnreadable(path=path, reason="the file is damaged") from error


def _cell(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return int(value)
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        return value.isoformat()
    return str(value) if isinstance(value, datetime.timedelta) else value


def _check_archive(path: Path) -> None:
    """Refuse an archive that would unpack to far more than a table holds.

    The reader lays a sheet out as a full rectangle, so that one cell in the last
    corner of a sheet would ask for all memory: places are looked at first.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            total = sum(entry.file_size for entry in archive.infolist())
            if total > limits.TABLE_BYTES or len(archive.infolist()) > 10_000:
                raise FileUnreadable(path=path, reason="it unpacks to too much")
            for entry in archive.infolist():
                if "worksheets/" in entry.filename and entry.filename.endswith(".xml"):
                    with archive.open(entry) as file:
                        _check_extent(path, file)
    except (zipfile.BadZipFile, OSError, NotImplementedError, RuntimeError, EOFError) as error:
        raise FileUnreadable(path=path, reason="the file is damaged") from error


def _check_extent(path: Path, file: Any) -> None:
    last_row = last_column = read = 0
    rest = b""
    while piece := file.read(_PIECE_BYTES):
        read += len(piece)
        if read > limits.TABLE_BYTES:  # whatever the archive's own list says
            raise FileUnreadable(path=path, reason="it unpacks to too much")
        for letters, digits in _PLACE.findall(rest + piece):
            last_row = max(last_row, int(digits))
            last_column = max(last_column, _column_number(letters))
        rest = piece[-_LONGEST_PLACE:]
        if last_row * last_column > _MOST_CELLS or last_column > limits.TABLE_COLUMNS:
            raise FileUnreadable(path=path, reason="its cells lie too far apart")


def _column_number(letters: bytes) -> int:
    number = 0
    for letter in letters.upper():
        number = number * 26 + letter - 64
    return number
