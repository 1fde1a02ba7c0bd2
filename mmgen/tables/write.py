"""Rows -> CSV, JSONL and Parquet files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from mmgen.errors import OutputDiskFull, OutputNotWritable
from mmgen.tables.formula_guard import guarded
from mmgen.tables.row import text_of

_FULL = (28, 122)
"""ENOSPC and EDQUOT."""
_BATCH_ROWS = 4096

Records = Iterable[Mapping[str, Any]]


def write_csv(path: Path, columns: Sequence[str], records: Records) -> None:
    """UTF-8 with a mark, as Excel reads it; formulas are guarded, see `formula_guard`."""
    with _new_file(path) as file:
        file.write("\ufeff".encode())
        file.writelines(csv_lines([columns]))
        file.writelines(csv_lines([record.get(name) for name in columns] for record in records))


def csv_lines(rows: Iterable[Sequence[Any]]) -> Iterator[bytes]:
    """Rows of cells as lines of a CSV file, guarded."""
    pieces: list[str] = []

    class _Sink:
        def write(self, text: str) -> None:
            pieces.append(text)

    writer = csv.writer(_Sink(), lineterminator="\r\n")
    for row in rows:
        writer.writerow([guarded(_shown(cell)) for cell in row])
        yield "".join(pieces).encode("utf-8", "backslashreplace")
        pieces.clear()


def write_jsonl(path: Path, records: Records) -> None:
    """One object a line, nothing lost."""
    with _new_file(path) as file:
        for record in records:
            text = json.dumps(dict(record), ensure_ascii=False, allow_nan=False)
            file.write(text.encode("utf-8", "backslashreplace") + b"\n")


def write_text(path: Path, text: str) -> None:
    """A text file in UTF-8."""
    with _new_file(path) as file:
        file.write(text.encode("utf-8", "backslashreplace"))


def write_parquet(
    path: Path, columns: Sequence[str], records: Records, numbers: Mapping[str, str]
) -> None:
    """Every column as text but those of `numbers`: name -> `int64`, `float64` or `bool`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {"int64": pa.int64(), "float64": pa.float64(), "bool": pa.bool_()}
    schema = pa.schema([(name, kinds.get(numbers.get(name, ""), pa.string())) for name in columns])
    with _new_file(path) as file, pq.ParquetWriter(file, schema) as writer:
        for batch in _batches(records):
            data = {
                name: [
                    record.get(name) if name in numbers else _text_or_none(record.get(name))
                    for record in batch
                ]
                for name in columns
            }
            writer.write_batch(pa.RecordBatch.from_pydict(data, schema=schema))


def _batches(records: Records) -> Iterator[list[Mapping[str, Any]]]:
    batch: list[Mapping[str, Any]] = []
    for record in records:
        batch.append(record)
        if len(batch) == _BATCH_ROWS:
            yield batch
            batch = []
    if batch:
        yield batch


def _text_or_none(value: Any) -> str | None:
    return None if value is None else _shown(value)


def _shown(value: Any) -> str:
    """A cell as text; what is neither text, number nor list of texts becomes JSON."""
    if isinstance(value, Mapping) or (
        isinstance(value, list) and not all(isinstance(part, str) for part in value)
    ):
        return json.dumps(value, ensure_ascii=False)
    return text_of(value)


@contextlib.contextmanager
def _new_file(path: Path) -> Iterator[BinaryIO]:
    """A file beside `path` that takes its place, synchronised, when the body has ended."""
    part = path.with_name(f".part-{secrets.token_hex(8)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError as error:
        if isinstance(error, OutputNotWritable | OutputDiskFull):
            raise
        if error.errno in _FULL:
            raise OutputDiskFull(path=path) from error
        raise OutputNotWritable(path=path, reason=error.strerror or str(error)) from error
    finally:
        part.unlink(missing_ok=True)
