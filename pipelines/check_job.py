"""Whether store and folder of a job still say the same: rows, files, hashes, labels, records."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from mmgen.errors import RequestError
from mmgen.files.publish import PART_PREFIX, record_path_of
from mmgen.files.read import examine, read_record
from mmgen.jobs.items import MOST_ATTEMPTS, Item, ItemState, Job, Result, item_id
from mmgen.jobs.store import JobStore
from mmgen.process import is_alive
from mmgen.values import ImageRequest

_PICTURES = (".png", ".jpg", ".webp")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One thing that does not agree."""

    code: str
    """Stable, such as `file.missing`."""
    row_key: str | None
    path: str | None
    """Relative to the job's folder."""


def check_job(store: JobStore, job: Job) -> Iterator[Finding]:
    """Everything that is wrong with a job, as it is found; nothing is changed.

    Reads every picture once. A job that runs meanwhile may show a picture that is
    on disk and not yet committed as `file.unclaimed`.
    """
    for problem in store.database.read("PRAGMA quick_check"):
        if problem != {"quick_check": "ok"}:
            yield Finding(code="store.broken", row_key=None, path=None)
    claimed: dict[str, str] = {}
    for item in store.items(job.job_id):
        for code in _row_faults(item):
            yield Finding(code=code, row_key=item.row_key, path=None)
        result = item.result
        if result is None or item.state not in (ItemState.DONE, ItemState.VANISHED):
            continue
        if result.file in claimed:
            yield Finding(code="file.shared", row_key=item.row_key, path=result.file)
        claimed[result.file] = item.item_id
        for code in _file_faults(job, item, result):
            yield Finding(code=code, row_key=item.row_key, path=result.file)
    yield from _left_over(job, claimed)


def _row_faults(item: Item) -> Iterator[str]:
    """What a row says against itself."""
    if not 0 <= item.attempt <= MOST_ATTEMPTS:
        yield "item.attempts"
    if item.state == ItemState.DONE and item.result is None:
        yield "item.no_result"
    if item.state == ItemState.FAILED and not item.error:
        yield "item.no_reason"
    if item.state == ItemState.RUNNING and not is_alive(item.worker or "::"):
        yield "item.abandoned"
    try:
        is_same = item_id(item.job_id, item.row_key, ImageRequest.from_dict(item.request))
    except (RequestError, TypeError):
        yield "item.request"
        return
    if is_same != item.item_id:
        yield "item.request"


def _file_faults(job: Job, item: Item, result: Result) -> Iterator[str]:
    """Whether the picture of a finished item is there, whole, labelled and recorded."""
    path = Path(job.folder) / result.file
    if ".." in Path(result.file).parts or Path(result.file).is_absolute():
        yield "file.outside"
        return
    if not path.is_file():
        yield "file.missing"
        return
    data = path.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    if digest != result.file_sha256:
        yield "file.changed"
    verdict = examine(data, path)
    if not verdict or verdict.label is None:
        yield "label.broken"
    elif verdict.label.produce_id != result.produce_id:
        yield "label.other"
    if not record_path_of(path).is_file():
        yield "record.missing"
        return
    record = read_record(record_path_of(path))
    if record is None or record.file.get("sha256") != digest:
        yield "record.broken"
    elif (record.job or {}).get("item") != item.item_id:
        yield "record.other_item"


def _left_over(job: Job, claimed: dict[str, str]) -> Iterator[Finding]:
    """Pictures of this job that no item knows, and what a killed writer left."""
    for folder, _, names in os.walk(job.folder):
        for name in sorted(names):
            path = Path(folder) / name
            relative = path.relative_to(job.folder).as_posix()
            if name.startswith(PART_PREFIX):
                yield Finding(code="file.half_written", row_key=None, path=relative)
            elif path.suffix in _PICTURES and relative not in claimed:
                record = read_record(record_path_of(path))
                if record is not None and (record.job or {}).get("job") == job.job_id:
                    row_key = str((record.job or {}).get("row_key"))
                    yield Finding(code="file.unclaimed", row_key=row_key, path=relative)
