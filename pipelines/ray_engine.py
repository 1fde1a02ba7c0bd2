"""A job on a Ray cluster: actors hold the model, our store decides all else.

Ray only carries items to actors and results back: it retries nothing and
restarts nothing. This process alone claims, counts attempts and ends items, as
the supervisor of local workers does; the folder is shared by all nodes, or lies
in an object store that fsspec knows (extra `ray`).
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import ipaddress
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from mmgen.errors import DeviceError
from mmgen.jobs.items import Claim, Item, Job, JobState, Result
from mmgen.jobs.queue import Find, ItemQueue
from mmgen.jobs.store import JobStore
from mmgen.jobs.supervisor import Limits, OnEvent
from mmgen.jobs.worker import Maker, describe, is_of_the_disk, is_out_of_memory
from mmgen.process import identity, is_alive
from pipelines.item_maker import find_picture

_WAIT_S = 0.5
_IN_FLIGHT = 2
"""Groups an actor: one is drawn while the other is written."""
_MOST_STARTS_IN_ROW = 3
_ROOT = Path(__file__).resolve().parent.parent


class RayUnguarded(DeviceError):
    code = "ray.unguarded"
    template = (
        "whoever reaches the Ray cluster {address} can run code there; "
        "set RAY_AUTH_MODE=token on every node and here (now {got})"
    )


class RayMissing(DeviceError):
    code = "ray.missing"
    template = "Ray cannot be used ({reason}); install mmgen[ray], and look at --address"


class RayActorsFailing(DeviceError):
    code = "ray.actors_failing"
    template = "actors ended {times} times before they could draw ({reason})"


class Studio:
    """What runs in an actor: a `Maker`, one picture group at a time, writing beside drawing."""

    def __init__(
        self, maker: str, job: Job, options: Mapping[str, Any], output: str | None
    ) -> None:
        self._folder = tempfile.TemporaryDirectory() if output else None
        self._output = output
        if self._folder:
            job = dataclasses.replace(job, folder=self._folder.name)
        module, _, function = maker.partition(":")
        self._maker: Maker = getattr(importlib.import_module(module), function)(job, options)
        self._one_at_a_time = threading.Lock()

    def size(self) -> int:
        """Pictures a call of the model."""
        return self._maker.micro_batch

    def make(self, items: list[Item], size: int) -> list[tuple[Result | None, dict[str, Any]]]:
        """Draw and keep; (result, {}) or (None, error) for each item.

        A group that fails as a whole has the same error everywhere.
        """
        try:
            with self._one_at_a_time:
                self._maker.micro_batch = size
                drawn = self._maker.draw(items, lambda step: True)
        except Exception as error:  # the row loop: where the errors of items end
            return [(None, _told(error))] * len(items)
        return [self._keep(item, one) for item, one in zip(items, drawn, strict=True)]

    def _keep(self, item: Item, drawn: Any) -> tuple[Result | None, dict[str, Any]]:
        try:
            result = self._maker.keep(item, drawn)
            if self._folder and self._output:
                _upload(Path(self._folder.name), self._output, result.file)
        except Exception as error:
            return None, _told(error)
        return result, {}


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Cluster:
    """Where and how actors run."""

    address: str | None = None
    """Of a running cluster (`host:port`, `ray://...`, `auto`); None: one on this machine."""
    gpus: float = 0.0
    """For each actor."""
    output: str | None = None
    """An fsspec URL such as `s3://bucket/summer` to write to in place of the job's folder."""


def run_on_ray(
    store: JobStore,
    job: Job,
    cluster: Cluster,
    *,
    maker: str,
    options: Mapping[str, Any],
    workers: int,
    limits: Limits,
    on_event: OnEvent = lambda event: None,
    asked: Callable[[], int] = lambda: 0,
) -> None:
    """Draw an active job with `workers` actors; returns when none is needed any more.

    The parameters are those of `run_job`. Raises `RayUnguarded`, `RayMissing`,
    `RayActorsFailing`.
    """
    check_guarded(cluster.address)
    with _connected(cluster.address, workers) as ray:
        kind = ray.remote(max_restarts=0, max_task_retries=0, max_concurrency=_IN_FLIGHT)(Studio)
        resources = {"num_cpus": 0 if cluster.gpus else 1, "num_gpus": cluster.gpus}

        def start() -> Any:
            return kind.options(**resources).remote(maker, job, dict(options), cluster.output)

        def find(item: Item) -> Result | None:
            # Nothing is looked up in an object store: what is drawn again is the same.
            return None if cluster.output else find_picture(job, item)

        _Driver(ray, store, job, start, find, workers, limits, on_event, asked).run()


def check_guarded(address: str | None, environ: Mapping[str, str] = os.environ) -> None:
    """Raise `RayUnguarded` unless the cluster asks for a token or is out of others' reach."""
    mode = environ.get("RAY_AUTH_MODE", "")
    # A cluster of our own gets token mode, unless somebody switched it off.
    is_ours_and_guarded = address is None and mode != "disabled"
    if mode != "token" and not is_ours_and_guarded and not _is_loopback(address):
        raise RayUnguarded(address=address or "of this machine", got=mode or "unset")


def _is_loopback(address: str | None) -> bool:
    host = (address or "").partition("://")[2] or (address or "")
    host = host.rpartition(":")[0].strip("[]") or host
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


@contextlib.contextmanager
def _connected(address: str | None, workers: int) -> Iterator[Any]:
    """Ray, connected; a cluster of our own ends with the run.

    Where this process is connected already, that connection is used and left.
    """
    if address is None:
        os.environ.setdefault("RAY_AUTH_MODE", "token")
    try:
        import ray
    except ImportError as error:
        raise RayMissing(reason=error) from error
    if ray.is_initialized():
        yield ray
        return
    ours = {"num_cpus": workers, "include_dashboard": False} if address is None else {}
    try:
        with _our_code_on_path():
            ray.init(address=address, log_to_driver=False, configure_logging=False, **ours)
    except Exception as error:  # Ray raises bare ones too
        raise RayMissing(reason=str(error)[:200]) from error
    try:
        yield ray
    finally:
        ray.shutdown()


@contextlib.contextmanager
def _our_code_on_path() -> Iterator[None]:
    """What Ray starts here imports what runs here; other nodes have mmgen installed."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(_ROOT), before]))
    try:
        yield
    finally:
        os.environ.pop("PYTHONPATH")
        if before is not None:
            os.environ["PYTHONPATH"] = before


@dataclasses.dataclass(slots=True, eq=False)
class _Actor:
    """One actor and the groups it works on."""

    handle: Any
    name: str
    """As a worker in the store: this process and a number."""
    size: int | None = None
    """Its micro-batch; None until it has loaded the model."""
    asked_size: Any = None
    heard: float = dataclasses.field(default_factory=time.monotonic)
    groups: dict[Any, list[Claim]] = dataclasses.field(default_factory=dict)

    @property
    def is_alone(self) -> bool:
        return any(claims[0].alone for claims in self.groups.values())


class _Driver:
    """Feeds actors and hears from them; the only one that talks to the store."""

    def __init__(
        self,
        ray: Any,
        store: JobStore,
        job: Job,
        start: Callable[[], Any],
        find: Find,
        workers: int,
        limits: Limits,
        on_event: OnEvent,
        asked: Callable[[], int],
    ) -> None:
        self._ray, self._start, self._find, self._count = ray, start, find, workers
        self._store, self._job, self._items = store, job, ItemQueue(store)
        self._limits, self._on_event, self._asked = limits, on_event, asked
        self._actors: list[_Actor] = []
        self._started = self._bad_starts = 0

    def run(self) -> None:
        try:
            while self._is_needed() or any(actor.groups for actor in self._actors):
                self._items.recover(self._job.job_id, is_alive, self._find)
                while len(self._actors) < self._count and self._is_needed():
                    self._add_actor()
                for actor in self._actors:
                    self._feed(actor)
                self._hear()
                self._end_the_silent()
                if self._asked() > 1:
                    return
        finally:
            for actor in list(self._actors):
                self._drop(actor, "stopped", blamed=[])

    def _is_needed(self) -> bool:
        is_active = self._store.job(self._job.job_id).state == JobState.ACTIVE
        return not self._asked() and is_active and self._items.is_open(self._job.job_id)

    def _add_actor(self) -> None:
        self._started += 1
        handle = self._start()
        actor = _Actor(handle=handle, name=f"{identity(os.getpid())}:{self._started}")
        actor.asked_size = handle.size.remote()
        self._actors.append(actor)

    def _feed(self, actor: _Actor) -> None:
        """Give an actor its next group, unless one of two could be a killer."""
        if actor.size is None or len(actor.groups) >= _IN_FLIGHT or not self._is_needed():
            return
        if actor.is_alone:
            return
        limit = self._store.job(self._job.job_id).micro_batch
        size = min(actor.size, limit or actor.size)
        lease = 2 * self._limits.step_s + 120
        claims = self._items.claim(self._job.job_id, actor.name, lease_s=lease, count=size)
        if not claims:
            return
        if claims[0].alone and actor.groups:
            for claim in claims:
                self._items.give_back(claim)
            return
        if not actor.groups:
            actor.heard = time.monotonic()
        items = [claim.item for claim in claims]
        actor.groups[actor.handle.make.remote(items, size)] = claims
        self._on_event({"event": "drawing", "items": [item.item_id for item in items]})

    def _hear(self) -> None:
        waiting = {ref: actor for actor in self._actors for ref in actor.groups}
        waiting |= {actor.asked_size: actor for actor in self._actors if actor.size is None}
        if not waiting:
            time.sleep(_WAIT_S)
            return
        ready, _ = self._ray.wait(list(waiting), num_returns=1, timeout=_WAIT_S)
        for ref in ready:
            actor = waiting[ref]
            if actor not in self._actors:
                continue
            try:
                answer = self._ray.get(ref)
            except self._ray.exceptions.RayError as error:
                self._lose(actor, f"{type(error).__name__}: {str(error)[:300]}")
                continue
            actor.heard = time.monotonic()
            if actor.size is None:
                actor.size, self._bad_starts = answer, 0
                self._on_event({"event": "ready", "micro_batch": answer})
            else:
                self._take(actor.groups.pop(ref), answer)

    def _take(self, claims: list[Claim], answers: list[Any]) -> None:
        failed = [answer[1] for answer in answers if answer[0] is None]
        if len(failed) == len(claims) and self._answer_group(claims, failed[0]):
            return
        for claim, (result, error) in zip(claims, answers, strict=True):
            if result is not None and self._items.finish(claim, result):
                event = {"event": "done", "item": claim.item.item_id, "file": result.file}
                self._on_event(event)
            elif result is None and error["is_of_the_disk"]:
                self._pause([claim], error)
            elif result is None:
                self._items.fail(claim, error)
                event = {"event": "failed", "item": claim.item.item_id, "error": error}
                self._on_event(event)

    def _answer_group(self, claims: list[Claim], error: Mapping[str, Any]) -> bool:
        """Whether the failure of a whole group is answered by trying again in smaller ones."""
        if len(claims) == 1:
            return False
        if error["is_out_of_memory"]:
            self._store.limit_micro_batch(self._job.job_id, len(claims) // 2)
        for claim in claims:
            self._items.give_back(claim, alone=not error["is_out_of_memory"])
        return True

    def _pause(self, claims: list[Claim], error: Mapping[str, Any]) -> None:
        for claim in claims:
            self._items.give_back(claim)
        self._store.set_state(self._job.job_id, JobState.PAUSED, error["code"])
        self._on_event({"event": "paused", "reason": error["code"], "params": error["params"]})

    def _end_the_silent(self) -> None:
        for actor in list(self._actors):
            silent = time.monotonic() - actor.heard
            limit = self._limits.load_s if actor.size is None else self._limits.step_s
            if silent > limit and (actor.groups or actor.size is None):
                self._lose(actor, f"no sign of life for {silent:.0f} s")

    def _lose(self, actor: _Actor, reason: str) -> None:
        """An actor died or hangs: what it had in work is to blame."""
        blamed = [claim.item.item_id for claims in actor.groups.values() for claim in claims]
        self._drop(actor, reason, blamed)
        self._on_event({"event": "worker.died", "reason": reason, "items": blamed})
        detail = {"reason": reason, "items": blamed}
        self._store.note(self._job.job_id, "worker.died", detail)
        if actor.size is None:
            self._bad_starts += 1
            if self._bad_starts >= _MOST_STARTS_IN_ROW:
                raise RayActorsFailing(times=self._bad_starts, reason=reason)

    def _drop(self, actor: _Actor, reason: str, blamed: list[str]) -> None:
        self._actors.remove(actor)
        self._ray.kill(actor.handle)
        error = {"code": "worker.died", "detail": reason, "params": {"reason": reason}}
        self._items.release(actor.name, blamed, error, self._find)


def _told(error: Exception) -> dict[str, Any]:
    """An error as plain JSON, with what the driver must know of it."""
    return {
        **describe(error),
        "is_of_the_disk": is_of_the_disk(error),
        "is_out_of_memory": is_out_of_memory(error),
    }


def _upload(folder: Path, output: str, file: str) -> None:
    """Picture, then record, from an actor's own disk to where the job is to lie."""
    import fsspec

    for name in (file, f"{file}.json"):
        target = f"{output.rstrip('/')}/{name}"
        system, path = fsspec.core.url_to_fs(target)
        system.makedirs(path.rpartition("/")[0], exist_ok=True)
        system.put_file(str(folder / name), path)
        (folder / name).unlink()
