"""Jobs and their items in SQLite: what was asked for, what became of it.

    store = JobStore(database_path())
    job = store.create_job(kind="batch", folder="/data/out", params={...})
    store.put_items(job, items)          # again and again: unchanged items are kept
    for item in store.items(job): ...

Lending items to workers and taking results is `queue.py`. Nothing here loads
torch or reads a picture.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmgen.errors import DataError
from mmgen.home import LOCAL_OWNER
from mmgen.jobs.database import Database
from mmgen.jobs.items import (
    Item,
    ItemState,
    Job,
    JobClass,
    JobState,
    NewItem,
    Outline,
    Planned,
    Result,
    group_of,
    job_id,
)
from mmgen.jobs.schema import MIGRATIONS
from mmgen.values import canonical_json

_PUT_AT_ONCE = 2_000
"""Items a transaction: memory stays small and other writers get their turn."""
_LATEST = 20
"""Pictures that the present rate is taken from."""


class JobMissing(DataError):
    code = "job.missing"
    template = "there is no job {got}; `mmgen jobs list` shows all"


class JobAmbiguous(DataError):
    code = "job.ambiguous"
    template = "{got} is the beginning of {count} jobs; give more of it"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """How far a job is."""

    counts: Mapping[ItemState, int]
    """Every state, 0 where there is none."""
    rate: float | None
    """Pictures a second over the latest ones; None before the second picture."""

    @property
    def total(self) -> int:
        """All items that are still in the table."""
        return sum(self.counts.values()) - self.counts[ItemState.VANISHED]

    @property
    def left(self) -> int:
        """Items still to be made."""
        return self.counts[ItemState.PENDING] + self.counts[ItemState.RUNNING]

    @property
    def seconds_left(self) -> float | None:
        return None if not self.rate else self.left / self.rate


class JobStore:
    """The jobs of one `mmgen.sqlite`; safe to open from many processes and threads."""

    def __init__(self, path: Path | str) -> None:
        self.database = Database(path, MIGRATIONS)

    def close(self) -> None:
        """Close every connection; none may be in use."""
        self.database.close()

    # --- jobs -----------------------------------------------------------------

    def create_job(
        self,
        *,
        folder: Path | str,
        kind: str = "batch",
        job_class: str = JobClass.BATCH,
        owner: str = LOCAL_OWNER,
        params: Mapping[str, Any] | None = None,
    ) -> str:
        """The id of the job that writes into `folder`; made if need be, params renewed.

        A new job is `planning` until `put_items` has ended.
        """
        folder = str(Path(folder).resolve())
        identity = job_id(owner, folder)
        with self.database.change() as change:
            change.run(
                """INSERT INTO jobs (job_id, owner, kind, job_class, folder, params, state, created)
                   VALUES (?, ?, ?, ?, ?, ?, 'planning', ?)
                   ON CONFLICT (job_id) DO UPDATE SET params = excluded.params""",
                (
                    identity, owner, kind, job_class, folder,
                    canonical_json(dict(params or {})), time.time(),
                ),
            )  # fmt: skip
        return identity

    def job(self, job: str) -> Job:
        """The job of that id; raises `JobMissing`."""
        rows = self.database.read(f"{_JOB} WHERE job_id = ?", (job,))
        if not rows:
            raise JobMissing(got=job)
        return _job_of(rows[0])

    def find_job(self, typed: str, owner: str = LOCAL_OWNER) -> Job:
        """The job meant by an id, the beginning of one, or its folder.

        Raises `JobMissing` and `JobAmbiguous`.
        """
        found = [job for job in self.jobs(owner) if job.job_id.startswith(typed.lower())]
        folder = str(Path(typed).resolve())
        found = [job for job in self.jobs(owner) if job.folder == folder] or found
        if not found or not typed:
            raise JobMissing(got=typed)
        if len(found) > 1:
            raise JobAmbiguous(got=typed, count=len(found))
        return found[0]

    def jobs(self, owner: str = LOCAL_OWNER) -> list[Job]:
        """All jobs of an owner, the latest first."""
        sql = f"{_JOB} WHERE owner = ? ORDER BY created DESC, job_id"
        return [_job_of(row) for row in self.database.read(sql, (owner,))]

    def set_state(self, job: str, state: JobState, reason: str | None = None) -> None:
        """Pause, resume (`ACTIVE`) or cancel; without effect where that makes no sense.

        Cancelling ends pending items; running ones end themselves. A job that is
        `planning` can only be cancelled: its plan must be put again.
        """
        with self.database.change() as change:
            changed = change.run(
                """UPDATE jobs SET state = ?, reason = ?, streak = 0 WHERE job_id = ?
                   AND state IN (SELECT value FROM json_each(?))""",
                (state, reason, job, canonical_json(_MAY_BECOME[state])),
            )
            if changed and state == JobState.CANCELLED:
                change.run(
                    """UPDATE items SET state = 'cancelled', ended = ?
                       WHERE job_id = ? AND state = 'pending'""",
                    (time.time(), job),
                )
            if changed:
                self._note(job, None, f"job.{state}", {"reason": reason})

    def limit_micro_batch(self, job: str, size: int) -> None:
        """Remember that memory allows no more than `size` pictures at once; never grows."""
        with self.database.change() as change:
            change.run(
                """UPDATE jobs SET micro_batch = min(coalesce(micro_batch, ?), ?)
                   WHERE job_id = ?""",
                (size, size, job),
            )

    def retry(self, job: str, item_ids: Sequence[str] | None = None) -> int:
        """Give failed and cancelled items three new attempts; returns how many.

        A cancelled job is active again.
        """
        changed = 0
        with self.database.change() as change:
            change.run(
                """UPDATE jobs SET state = 'active', reason = NULL
                   WHERE job_id = ? AND state = 'cancelled'""",
                (job,),
            )
            for one in [None] if item_ids is None else item_ids:
                changed += change.run(
                    """UPDATE items SET state = 'pending', attempt = 0, alone = 0, error = NULL
                       WHERE job_id = ? AND state IN ('failed', 'cancelled')
                       AND item_id = coalesce(?, item_id)""",
                    (job, one),
                )
            self._note(job, None, "job.retry", {"items": changed})
        return changed

    # --- items ----------------------------------------------------------------

    def put_items(self, job: str, items: Iterable[NewItem]) -> Planned:
        """Make the job's items those of `items`, streamed: new ones are added, others kept.

        An item that is not among them becomes `vanished`, unless it is being made; its
        picture stays. One that was cancelled or vanished is wanted again; one that failed
        waits for `retry`. The job is `planning` until all are put, so that a half-read
        table never runs; then it is active. Putting the same again changes nothing.
        """
        with self.database.change() as change:
            change.run(
                "UPDATE jobs SET plan = plan + 1, state = 'planning' WHERE job_id = ?", (job,)
            )
            rows = change.read("SELECT plan FROM jobs WHERE job_id = ?", (job,))
        if not rows:
            raise JobMissing(got=job)
        plan = rows[0]["plan"]
        before = self._count(job)
        put = 0
        iterator = iter(items)
        while chunk := list(itertools.islice(iterator, _PUT_AT_ONCE)):
            with self.database.change() as change:
                change.run_many(_PUT, (_row_of(job, plan, item) for item in chunk))
            put += len(chunk)
        with self.database.change() as change:
            vanished = change.run(
                """UPDATE items SET state = 'vanished' WHERE job_id = ? AND plan < ?
                   AND state NOT IN ('vanished', 'running')""",
                (job, plan),
            )
            change.run(
                "UPDATE jobs SET state = 'active', reason = NULL, streak = 0 WHERE job_id = ?",
                (job,),
            )
        new = self._count(job) - before
        return Planned(new=new, kept=put - new, vanished=vanished)

    def items(self, job: str, *states: ItemState) -> Iterator[Item]:
        """The items of a job in the order of the table, streamed; all states or those named."""
        wanted = ",".join("?" * len(states))
        only = f"AND state IN ({wanted})" if states else ""
        sql = f"SELECT * FROM items WHERE job_id = ? {only} ORDER BY position, item_id"
        for row in self.database.stream(sql, (job, *states)):
            yield item_of(row)

    def outlines(self, job: str) -> Iterator[Outline]:
        """The items of a job in no order, streamed, without what was asked for."""
        sql = """SELECT item_id, row_key, state, file_sha256 IS NOT NULL AS has_picture
                 FROM items WHERE job_id = ?"""
        for row in self.database.stream(sql, (job,)):
            has_picture = bool(row["has_picture"])
            yield Outline(row["item_id"], row["row_key"], ItemState(row["state"]), has_picture)

    def item(self, identity: str) -> Item | None:
        """The item of that id, or None."""
        rows = self.database.read("SELECT * FROM items WHERE item_id = ?", (identity,))
        return item_of(rows[0]) if rows else None

    def add_details(self, item: str, details: Mapping[str, Any]) -> None:
        """Merge `details` (plain JSON) into those of a finished item's result."""
        with self.database.change() as change:
            change.run(
                """UPDATE items SET details = json_patch(coalesce(details, '{}'), ?)
                   WHERE item_id = ? AND state = 'done'""",
                (canonical_json(dict(details)), item),
            )

    def progress(self, job: str) -> Progress:
        """Counts of all states, and the present rate."""
        sql = "SELECT state, count(*) AS n FROM items WHERE job_id = ? GROUP BY state"
        found = {row["state"]: row["n"] for row in self.database.read(sql, (job,))}
        sql = """SELECT ended FROM items WHERE job_id = ? AND state = 'done'
                 ORDER BY ended DESC LIMIT ?"""
        times = [row["ended"] for row in self.database.read(sql, (job, _LATEST))]
        lasted = times[0] - times[-1] if len(times) > 1 else 0.0
        return Progress(
            counts={state: found.get(state, 0) for state in ItemState},
            rate=(len(times) - 1) / lasted if lasted > 0 else None,
        )

    # --- events ---------------------------------------------------------------

    def events(self, job: str, after: int = 0) -> Iterator[dict[str, Any]]:
        """What happened to a job and its items: event_id, item_id, time, kind, detail."""
        sql = "SELECT * FROM events WHERE job_id = ? AND event_id > ? ORDER BY event_id"
        for row in self.database.stream(sql, (job, after)):
            yield {**row, "detail": json.loads(row["detail"])}

    def note(self, job: str, kind: str, detail: Mapping[str, Any], item: str | None = None) -> None:
        """Write down an event, such as `worker.died`, with plain JSON details."""
        with self.database.change():
            self._note(job, item, kind, detail)

    def _note(self, job: str, item: str | None, kind: str, detail: Mapping[str, Any]) -> None:
        note(self.database, job, item, kind, detail)

    def _count(self, job: str) -> int:
        sql = "SELECT count(*) AS n FROM items WHERE job_id = ?"
        return int(self.database.read(sql, (job,))[0]["n"])


def note(
    database: Database, job: str, item: str | None, kind: str, detail: Mapping[str, Any]
) -> None:
    """An event, within the change that it tells of."""
    database.run(
        "INSERT INTO events (job_id, item_id, time, kind, detail) VALUES (?, ?, ?, ?, ?)",
        (job, item, time.time(), kind, canonical_json(dict(detail))),
    )


_MAY_BECOME = {
    JobState.PAUSED: ["active"],
    JobState.ACTIVE: ["paused"],
    JobState.CANCELLED: ["planning", "active", "paused"],
}
"""State -> those it can follow."""

_JOB = """SELECT job_id, owner, kind, job_class, folder, params, state, reason, created,
          micro_batch FROM jobs"""

_PUT = """
INSERT INTO items (item_id, job_id, row_key, position, state, plan, request, name, subfolder,
                   pictures, row, options, draw_group)
VALUES (?, ?, ?, ?, 'pending', ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (item_id) DO UPDATE SET
    plan = excluded.plan, position = excluded.position, row = excluded.row,
    pictures = excluded.pictures,
    attempt = CASE WHEN state IN ('vanished', 'cancelled') THEN 0 ELSE attempt END,
    state = CASE WHEN state NOT IN ('vanished', 'cancelled') THEN state
                 WHEN file_sha256 IS NULL THEN 'pending' ELSE 'done' END
"""


def _row_of(job: str, plan: int, item: NewItem) -> tuple[Any, ...]:
    return (
        item.item_id, job, item.row_key, item.position, plan, item.request.canonical_json(),
        item.name, item.subfolder, canonical_json(dict(item.pictures)),
        canonical_json(dict(item.row)), canonical_json(dict(item.options)),
        group_of(item.request, item.options),
    )  # fmt: skip


def _job_of(row: Mapping[str, Any]) -> Job:
    values = {**row, "params": json.loads(row["params"]), "state": JobState(row["state"])}
    return Job(**values)


def item_of(row: Mapping[str, Any]) -> Item:
    """A row of the table `items` as a value."""
    result = None
    if row["file_sha256"] is not None:
        result = Result(
            file=row["file"],
            file_sha256=row["file_sha256"],
            pixels_sha256=row["pixels_sha256"],
            produce_id=row["produce_id"],
            file_bytes=row["file_bytes"],
            details=json.loads(row["details"] or "{}"),
        )
    plain = ("job_id", "item_id", "row_key", "position", "attempt", "name", "subfolder")
    return Item(
        **{name: row[name] for name in (*plain, "worker", "began", "ended")},
        **{name: json.loads(row[name]) for name in ("request", "pictures", "row", "options")},
        state=ItemState(row["state"]),
        result=result,
        error=json.loads(row["error"]) if row["error"] else None,
    )
