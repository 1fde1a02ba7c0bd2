"""Parquet, read in small batches."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmgen.errors import FileUnreadable
from mmgen.tables.row import BadRow, Row, Table, TableHeaderBad, check_header, row_of

_BATCH_ROWS = 1024
_BUFFER_BYTES = 2**16


def open_parquet(path: Path) -> Table:
    """The table of a Parquet file; raises `FileUnreadable`, `TableHeaderBad`."""
    import pyarrow as pa

    file = _file(path)
    with file:
        schema = file.schema_arrow
    columns = check_header(path, schema.names)
    for field in schema:
        if not _is_readable(field.type):
            reason = f"column {field.name} holds {field.type}"
            raise TableHeaderBad(path=path, reason=reason)

    def rows() -> Iterator[Row | BadRow]:
        line = 0
        with _file(path) as file:
            try:
                for batch in file.iter_batches(_BATCH_ROWS, use_threads=False):
                    for cells in zip(*map(_cells, batch.columns), strict=True):
                        line += 1
                        if row := row_of(line, columns, cells):
                            yield row
            except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
                reason = "the file is damaged"
                raise FileUnreadable(path=path, reason=reason) from error

    return Table(path=path, kind="parquet", columns=columns, rows=rows)


def _file(path: Path) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(path, buffer_size=_BUFFER_BYTES, pre_buffer=False)
    except (pa.ArrowException, OSError) as error:
        raise FileUnreadable(path=path, reason="the file is damaged") from error


def _is_readable(kind: Any) -> bool:
    from pyarrow import types

    if types.is_dictionary(kind) or types.is_list(kind) or types.is_large_list(kind):
        return _is_readable(kind.value_type)
    tests = ("string", "large_string", "string_view", "integer", "floating", "boolean", "null")
    others = ("date", "timestamp", "decimal")
    return any(getattr(types, f"is_{test}")(kind) for test in (*tests, *others))


def _cells(column: Any) -> list[Any]:
    """Values as a table may hold them: dates and decimals become text."""
    values: list[Any] = column.to_pylist()
    simple = (str, int, float, bool, list, type(None))
    if all(isinstance(value, simple) for value in values):
        return values
    return [value if isinstance(value, simple) else str(value) for value in values]
