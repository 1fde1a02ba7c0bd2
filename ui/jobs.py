"""`mmgen jobs`: what stands in the store, and running a job in the foreground."""

from __future__ import annotations

import dataclasses
import json
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from types import FrameType
from typing import TYPE_CHECKING, Any

from mmgen.home import database_path
from mmgen.jobs.items import Item, ItemState, Job, JobState
from mmgen.jobs.store import JobStore, Progress
from mmgen.settings import load_settings
from ui.engine import Engine
from ui.words import duration, phrase, say

if TYPE_CHECKING:
    from pipelines.run_job import Outcome

_QUIET_S = 2.0
_SHORT_ID = 8
_NOT_WHOLE = 1


def list_jobs(*, as_json: bool) -> None:
    """One line a job, the latest first."""
    store = JobStore(database_path())
    jobs = store.jobs()
    if not jobs and not as_json:
        print(say("jobs.none"), file=sys.stderr)
    for job in jobs:
        if as_json:
            _print_json(_facts(store, job))
            continue
        progress = store.progress(job.job_id)
        print(
            say(
                "jobs.line",
                job=job.job_id[:_SHORT_ID],
                state=_state(job, progress),
                done=progress.counts[ItemState.DONE],
                total=progress.total,
                failed=progress.counts[ItemState.FAILED],
                folder=job.folder,
            )
        )


def show_job(typed: str, *, as_json: bool) -> None:
    """State, counts, rate, and every failed row with its reason."""
    store = JobStore(database_path())
    job = store.find_job(typed)
    failed = list(store.items(job.job_id, ItemState.FAILED))
    if as_json:
        rows = [
            {"row_key": item.row_key, "attempt": item.attempt, "error": item.error}
            for item in failed
        ]
        _print_json({**_facts(store, job), "failed_items": rows})
        return
    progress = store.progress(job.job_id)
    print(f"{job.job_id}  {_state(job, progress)}")
    print(job.folder)
    if job.reason:
        print(say("jobs.reason", reason=phrase(job.reason)))
    print(say("jobs.counts", **{state.value: count for state, count in progress.counts.items()}))
    if progress.rate and progress.seconds_left and job.state == JobState.ACTIVE:
        left = duration(progress.seconds_left)
        print(say("jobs.rate", rate=progress.rate * 60, left=left))
    for item in failed:
        print(_failure(item))


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Running:
    """What was typed about how a job is to run."""

    engine: Engine
    model: str | None = None
    device: str | None = None


def resume_job(typed: str, how: Running, *, as_json: bool) -> int:
    """Draw what is left of a job, and write its results anew; returns the exit code."""
    from ui.batch import write_results

    store = JobStore(database_path())
    job, began = store.find_job(typed).job_id, time.monotonic()
    code = draw_job(store, job, how, as_json=as_json)
    write_results(store, job, time.monotonic() - began, as_json=as_json)
    return code


def report_job(typed: str, *, as_json: bool) -> None:
    """Write the manifest and the report of a job as it is now."""
    from ui.batch import write_results

    store = JobStore(database_path())
    write_results(store, store.find_job(typed).job_id, 0.0, as_json=as_json)


def draw_job(store: JobStore, job: str, how: Running, *, as_json: bool) -> int:
    """Run a planned job in the foreground, telling how it goes; returns the exit code."""
    from pipelines.run_job import run_job

    cluster = how.engine.cluster()
    load_settings({"model": how.model, "device": how.device})
    typed_options = {"model": how.model, "device": how.device}
    with JobWatch(store, job, as_json=as_json) as watch:
        outcome = run_job(
            store,
            job,
            options={name: value for name, value in typed_options.items() if value},
            workers=how.engine.workers,
            cluster=cluster,
            on_event=watch.on_event,
            asked=watch.asked,
        )
    watch.summary(outcome)
    return outcome.exit_code


def retry_job(typed: str, rows: Sequence[str] | None, *, as_json: bool) -> None:
    """Three new attempts for failed and cancelled rows, all or those of these keys."""
    store = JobStore(database_path())
    job = store.find_job(typed)
    wanted = None
    if rows:
        items = store.items(job.job_id, ItemState.FAILED, ItemState.CANCELLED)
        wanted = [item.item_id for item in items if item.row_key in rows]
    count = store.retry(job.job_id, wanted)
    if as_json:
        _print_json({"job": job.job_id, "retried": count})
    else:
        print(say("jobs.retried", count=count, job=job.job_id[:_SHORT_ID]))


def pause_job(typed: str, *, as_json: bool) -> None:
    """Workers finish the picture in work and end; `resume` goes on."""
    store = JobStore(database_path())
    job = store.find_job(typed)
    store.set_state(job.job_id, JobState.PAUSED, "by request")
    _tell_state(store, job, "jobs.paused", as_json=as_json)


def cancel_job(typed: str, *, as_json: bool) -> None:
    """Rows not drawn are cancelled; a picture in work stops within a step."""
    store = JobStore(database_path())
    job = store.find_job(typed)
    store.set_state(job.job_id, JobState.CANCELLED)
    _tell_state(store, job, "jobs.cancelled", as_json=as_json)


def check(typed: str, *, as_json: bool) -> int:
    """Print every disagreement of store and folder; returns 0 when there is none."""
    from pipelines.check_job import check_job

    store = JobStore(database_path())
    job = store.find_job(typed)
    found = 0
    for finding in check_job(store, job):
        found += 1
        if as_json:
            _print_json(dataclasses.asdict(finding))
        else:
            row, path = finding.row_key or "", finding.path or ""
            print(say("jobs.finding", what=phrase(finding.code), row=row, path=path).rstrip())
    done = store.progress(job.job_id).counts[ItemState.DONE]
    told = say("jobs.not_whole", count=found) if found else say("jobs.whole", count=done)
    print(told, file=sys.stderr if as_json else sys.stdout)
    return _NOT_WHOLE if found else 0


class JobWatch:
    """Events of a running job for people (stderr) or programs (stdout), and Ctrl-C.

    Within `with`, the first SIGINT or SIGTERM stops the job within a step and the
    second at once; `asked` is what `run_job` polls.
    """

    def __init__(self, store: JobStore, job: str, *, as_json: bool) -> None:
        self._store, self._job, self._as_json = store, job, as_json
        self._signals = 0
        self._before: dict[int, Any] = {}
        self._told = 0.0

    def __enter__(self) -> JobWatch:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self._signals += 1
        if self._signals == 1:
            print("\n" + say("stopping"), file=sys.stderr, flush=True)

    def asked(self) -> int:
        """How often a stop was asked for."""
        return self._signals

    def on_event(self, event: Mapping[str, Any]) -> None:
        """Say what happened: every event as JSON, for people what matters and the progress."""
        if self._as_json:
            _print_json(event)
            return
        kind = event["event"]
        if kind == "ready":
            _say("jobs.progress", **self._progress())
        elif kind == "worker.died":
            _say("jobs.worker_died", reason=phrase(event["reason"]))
        elif kind == "micro_batch":
            _say("jobs.micro_batch", size=event["size"])
        elif kind == "failed":
            item = self._store.item(event["item"])
            row = item.row_key if item else event["item"]
            _say("jobs.attempt_failed", row=row, reason=phrase(event["error"]["detail"]))
        elif kind == "done" and time.monotonic() - self._told > _QUIET_S:
            self._told = time.monotonic()
            _say("jobs.progress", **self._progress())

    def summary(self, outcome: Outcome) -> None:
        """How the run ended, in words or as a last event."""
        counts = outcome.progress.counts
        if self._as_json:
            plain = {state.value: count for state, count in counts.items()}
            ended = {"event": "ended", "job": self._job, "state": outcome.state.value}
            _print_json({**ended, "reason": outcome.reason, "items": plain})
            return
        for item in self._store.items(self._job, ItemState.FAILED):
            print(_failure(item), file=sys.stderr)
        if outcome.state == JobState.PAUSED and outcome.reason:
            _say("jobs.reason", reason=phrase(outcome.reason))
        state = "done" if not outcome.progress.left else outcome.state.value
        done, failed = counts[ItemState.DONE], counts[ItemState.FAILED]
        left = outcome.progress.left
        print(say("jobs.ended", state=phrase(state), done=done, failed=failed, left=left))
        if left and outcome.state != JobState.CANCELLED:
            _say("jobs.resume_hint", job=self._job[:_SHORT_ID])

    def _progress(self) -> dict[str, int]:
        progress = self._store.progress(self._job)
        counts = progress.counts
        done, failed = counts[ItemState.DONE], counts[ItemState.FAILED]
        return {"done": done, "total": progress.total, "failed": failed}


def _facts(store: JobStore, job: Job) -> dict[str, Any]:
    progress = store.progress(job.job_id)
    return {
        "job": job.job_id,
        "kind": job.kind,
        "folder": job.folder,
        "state": job.state.value,
        "reason": job.reason,
        "items": {state.value: count for state, count in progress.counts.items()},
        "rate": progress.rate,
        "seconds_left": progress.seconds_left,
    }


def _state(job: Job, progress: Progress) -> str:
    """The state in words; a job with nothing left is done, whatever it may still take on."""
    is_done = job.state == JobState.ACTIVE and progress.total and not progress.left
    return phrase("done" if is_done else job.state.value)


def _tell_state(store: JobStore, job: Job, key: str, *, as_json: bool) -> None:
    if as_json:
        _print_json(_facts(store, store.job(job.job_id)))
    else:
        print(say(key, job=job.job_id[:_SHORT_ID], folder=job.folder))


def _failure(item: Item) -> str:
    reason = phrase((item.error or {}).get("detail", "-"))
    return say("jobs.failed_item", row=item.row_key, attempt=item.attempt, reason=reason)


def _say(key: str, **params: Any) -> None:
    print(say(key, **params), file=sys.stderr, flush=True)


def _print_json(facts: Mapping[str, Any]) -> None:
    print(json.dumps(facts, ensure_ascii=False), flush=True)
