"""What a table job made -> report.html: one file that opens from disk, offline."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import itertools
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mmgen.assets import asset_path
from mmgen.jobs.items import ItemState, Job
from mmgen.jobs.store import JobStore
from mmgen.tables.row import text_of
from mmgen.tables.write import write_text
from pipelines.manifest import as_json, record_of
from pipelines.quality import SharedLook, shared_look

MOST_ROWS = 20_000
"""A page with more would no longer be pleasant; the manifest has all."""
_SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """Where the report is, and what it says of the whole."""

    path: Path
    look: SharedLook | None


def write_report(store: JobStore, job: Job, *, words: Mapping[str, str]) -> Report:
    """Write report.html into the job's folder.

    The page links the pictures beside it, asks for nothing from outside, and sets
    all text of the table as text: its policy lets no script run but its own. `words`:
    the texts that it shows; `counts`, `look` and `cut` have placeholders. Raises
    `OutputNotWritable` and `OutputDiskFull`.
    """
    look = shared_look(_vectors(store, job))
    progress = store.progress(job.job_id)
    counts = {state.value: count for state, count in progress.counts.items()}
    facts = [Path(job.folder).name, words["counts"].format(total=progress.total, **counts)]
    if look:
        facts.append(words["look"].format(within=look.within, across=look.across))
    if progress.total > MOST_ROWS:
        facts.append(words["cut"].format(shown=MOST_ROWS))
    rows = list(itertools.islice(_rows(store, job), MOST_ROWS))
    shown = {name: text for name, text in words.items() if "{" not in text}
    page = asset_path("report/report.html").read_text(encoding="utf-8")
    page = page.replace("@SCRIPT_SHA@", _script_hash(page))
    page = page.replace("@DATA@", as_json({"words": shown, "facts": facts, "rows": rows}))
    path = Path(job.folder) / "report.html"
    write_text(path, page)
    return Report(path=path, look=look)


def _rows(store: JobStore, job: Job) -> Iterator[dict[str, Any]]:
    names = ("row_key", "picture", "state", "prompt", "seed", "text_image", "mismatch", "reason")
    for item in store.items(job.job_id):
        if item.state == ItemState.VANISHED:
            continue
        record = record_of(item)
        row = {name: record[name] for name in names}
        row["state"] = "pending" if item.state == ItemState.RUNNING else item.state.value
        # Every cell can be searched for, shown or not.
        row["values"] = " ".join(filter(None, map(text_of, item.row.values())))
        row["seen"] = _seen(record["seen"])
        yield row


def _seen(seen: Mapping[str, Any] | None) -> str | None:
    """What was seen in the picture, as a line of words."""
    if not seen:
        return None
    return " ".join(filter(None, (text_of(value) for value in seen.values())))


def _vectors(store: JobStore, job: Job) -> Iterator[tuple[str, str]]:
    for item in store.items(job.job_id, ItemState.DONE):
        if item.result and (vector := item.result.details.get("vector")):
            # Rows of one id share a folder.
            yield item.subfolder, vector


def _script_hash(page: str) -> str:
    """The hash by which the page's policy knows its own script."""
    (script,) = _SCRIPT.findall(page)
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
