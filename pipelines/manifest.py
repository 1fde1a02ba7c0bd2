"""What a table job made -> manifest.csv, manifest.jsonl and manifest.parquet."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmgen.jobs.items import Item, ItemState, Job
from mmgen.jobs.store import JobStore
from mmgen.tables.write import write_csv, write_jsonl, write_parquet
from pipelines.quality import quality_columns

OWN_COLUMNS = (
    "row_key", "picture", "state", "prompt", "seed", "width", "height", "model", "sha256",
    "produce_id", "text_image", "candidates", "background", "seen", "mismatch", "attempts",
    "reason",
)  # fmt: skip
"""What is said of each picture; the columns of the table follow, `row.` before a name in use."""
_NUMBERS = {
    "seed": "int64", "width": "int64", "height": "int64", "attempts": "int64",
    "candidates": "int64", "text_image": "float64", "background": "float64",
}  # fmt: skip


def write_manifest(store: JobStore, job: Job) -> list[Path]:
    """Write the three files into the job's folder, one line a picture; returns their paths.

    Rows that have vanished from the table are left out. The CSV is guarded against
    formulas; JSONL and Parquet hold every cell as it was. Raises
    `OutputNotWritable` and `OutputDiskFull`.
    """
    folder = Path(job.folder)
    columns = [*OWN_COLUMNS, *_columns_of_table(store, job)]
    paths = [folder / f"manifest.{suffix}" for suffix in ("csv", "jsonl", "parquet")]
    write_csv(paths[0], columns, records(store, job))
    write_jsonl(paths[1], records(store, job))
    write_parquet(paths[2], columns, records(store, job), _NUMBERS)
    return paths


def records(store: JobStore, job: Job) -> Iterator[dict[str, Any]]:
    """One record a picture in the order of the table, streamed."""
    for item in store.items(job.job_id):
        if item.state != ItemState.VANISHED:
            yield record_of(item)


def record_of(item: Item) -> dict[str, Any]:
    """What manifest and report say of one picture, then the row as it stood in the table."""
    result, request = item.result, item.request
    details = result.details if result else {}
    own = {
        "row_key": item.row_key,
        "picture": result.file if result else None,
        "state": item.state.value,
        "prompt": request["prompt"],
        "seed": details.get("seed", request["seed"]),
        "width": request["width"],
        "height": request["height"],
        "model": request["model"],
        "sha256": result.file_sha256 if result else None,
        "produce_id": result.produce_id if result else None,
        **quality_columns(details),
        "attempts": item.attempt,
        "reason": (item.error or {}).get("detail") if not result else None,
    }
    return {**own, **{_column(name): cell for name, cell in item.row.items()}}


def _column(name: str) -> str:
    return f"row.{name}" if name in OWN_COLUMNS else name


def _columns_of_table(store: JobStore, job: Job) -> list[str]:
    """As they stand in the table; then those that only some objects of a JSONL file have."""
    names = dict.fromkeys(map(_column, job.params.get("columns", ())))
    for item in store.items(job.job_id):
        names.update(dict.fromkeys(map(_column, item.row)))
    return list(names)


def as_json(value: Any) -> str:
    """Compact JSON that can stand within a script element of a page."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
