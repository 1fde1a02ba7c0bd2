"""A planned job -> its pictures, whatever happens to the processes that draw them.

store = JobStore(database_path())
outcome = run_job(store, job, options={"device": "cpu"})
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import IO, Any

from mmgen.errors import DataError
from mmgen.home import home_path, private_folder
from mmgen.jobs.items import ItemState, JobState
from mmgen.jobs.queue import ItemQueue
from mmgen.jobs.store import JobStore, Progress
from mmgen.jobs.supervisor import Limits, OnEvent, Supervisor
from pipelines.item_maker import find_picture
from pipelines.job_worker import WorkerOrder, start_worker
from pipelines.ray_engine import Cluster, run_on_ray

SOME_FAILED = 3
PAUSED = 4
STOPPED = 130
MAKERS = {"batch": "pipelines.batch_maker:load_maker"}
"""Kind of job -> what its workers draw with, see `WorkerOrder.maker`."""
_LARGEST_LOG_BYTES = 2**20


class JobNotRunnable(DataError):
    code = "job.not_runnable"
    template = "the job {job} is {state}; {advice}"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """How a run ended."""

    state: JobState
    reason: str | None
    """Why the job is paused."""
    progress: Progress
    is_stopped: bool
    """On request, by Ctrl-C or SIGTERM."""

    @property
    def exit_code(self) -> int:
        """0 all done, 3 some failed, 4 paused, 130 stopped."""
        if self.is_stopped:
            return STOPPED
        if self.state == JobState.PAUSED:
            return PAUSED
        return SOME_FAILED if self.progress.counts[ItemState.FAILED] else 0


def run_job(
    store: JobStore,
    job: str,
    *,
    options: Mapping[str, Any] | None = None,
    maker: str | None = None,
    workers: int = 1,
    limits: Limits | None = None,
    cluster: Cluster | None = None,
    on_event: OnEvent = lambda event: None,
    asked: Callable[[], int] = lambda: 0,
) -> Outcome:
    """Draw what is pending in `job`, which is set going again if it was paused.

    `options` are those of `job.params["options"]` with these instead where both name
    one; the default maker knows `model` and `device`. `maker` replaces that of the
    job's kind. `workers`: processes, each with the model loaded, here or as actors of
    a Ray `cluster`. `asked`: polled; 1 stops soon, 2 at once. Raises
    `JobMissing`, `JobNotRunnable`, `WorkerNotStarting`, `WorkerRefused` and what the
    cluster raises.
    """
    limits = limits or Limits()
    _set_going(store, job)
    planned = store.job(job)
    maker = maker or MAKERS[planned.kind]
    options = {**planned.params.get("options", {}), **(options or {})}
    paused: list[str] = []

    def listen(event: Mapping[str, Any]) -> None:
        if event["event"] == "paused":
            paused.append(event["reason"])
        on_event(event)

    def stops() -> int:
        return asked() or len(paused[:1])

    if cluster is not None:
        run_on_ray(
            store, planned, cluster, maker=maker, options=options, workers=workers,
            limits=limits, on_event=listen, asked=stops,
        )  # fmt: skip
        return _outcome(store, job, paused, is_stopped=bool(asked()))
    order = WorkerOrder(
        database=str(store.database.path),
        job=job,
        maker=maker,
        options=options,
        lease_s=limits.step_s + 120,
    )
    with _log(job) as log:
        Supervisor(
            ItemQueue(store),
            job,
            start=partial(start_worker, order, log),
            find=partial(find_picture, planned),
            workers=workers,
            limits=limits,
            on_event=listen,
            asked=stops,
            log=log.name,
        ).run()
    return _outcome(store, job, paused, is_stopped=bool(asked()))


def _set_going(store: JobStore, job: str) -> None:
    state = store.job(job).state
    if state == JobState.PLANNING:
        raise JobNotRunnable(job=job, state=state, advice="run `mmgen batch` with its table again")
    if state == JobState.CANCELLED:
        raise JobNotRunnable(job=job, state=state, advice="`mmgen jobs retry` brings it back")
    store.set_state(job, JobState.ACTIVE)


@contextmanager
def _log(job: str) -> Iterator[IO[bytes]]:
    """Where the workers' standard error goes; begun anew when it has grown large."""
    path = private_folder(home_path() / "logs") / f"{job}.log"
    is_large = path.exists() and path.stat().st_size > _LARGEST_LOG_BYTES
    with open(path, "wb" if is_large else "ab") as log:
        yield log


def _outcome(store: JobStore, job: str, paused: list[str], *, is_stopped: bool) -> Outcome:
    now = store.job(job)
    # A full disk may have kept the store from writing down that the job is paused.
    state = JobState.PAUSED if paused and now.state == JobState.ACTIVE else now.state
    return Outcome(
        state=state,
        reason=now.reason or (paused[0] if paused else None),
        progress=store.progress(job),
        is_stopped=is_stopped and ItemQueue(store).is_open(job),
    )
