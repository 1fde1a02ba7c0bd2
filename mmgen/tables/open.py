"""A file -> its table, whatever kind it is."""

from __future__ import annotations

from pathlib import Path

from mmgen import limits
from mmgen.errors import FileUnreadable
from mmgen.tables.delimited import open_delimited
from mmgen.tables.json_lines import open_json_lines
from mmgen.tables.parquet import open_parquet
from mmgen.tables.row import Table
from mmgen.tables.workbook import open_workbook

_ZIP, _PARQUET, _OLD_EXCEL = b"PK\x03\x04", b"PAR1", b"\xd0\xcf\x11\xe0"


def open_table(path: Path, sheet: str | None = None) -> Table:
    """The table in `path`: CSV, TSV, JSONL, Parquet or XLSX, told by content, then by name.

    `sheet` names a sheet of a workbook. Raises `FileUnreadable`,
    `TableHeaderBad`, `UnknownChoice`.
    """
    head = _head(path)
    if head.startswith(_PARQUET):
        return open_parquet(path)
    if head.startswith(_ZIP):
        return open_workbook(path, sheet)
    if head.startswith(_OLD_EXCEL):
        raise FileUnreadable(path=path, reason="an old or encrypted Excel file: save it as .xlsx")
    if path.suffix.lower() in (".parquet", ".xlsx"):
        raise FileUnreadable(path=path, reason="the file is damaged")
    if path.suffix.lower() in (".jsonl", ".ndjson", ".json"):
        return open_json_lines(path)
    return open_delimited(path)


def _head(path: Path) -> bytes:
    try:
        if path.exists() and not path.is_file():
            raise FileUnreadable(path=path, reason="not a file")
        if path.stat().st_size > limits.TABLE_BYTES:
            reason = f"it is larger than {limits.TABLE_BYTES} bytes"
            raise FileUnreadable(path=path, reason=reason)
        with path.open("rb") as file:
            return file.read(8)
    except (OSError, ValueError) as error:
        if isinstance(error, FileUnreadable):
            raise
        reason = getattr(error, "strerror", None) or str(error)
        raise FileUnreadable(path=path, reason=reason) from error
