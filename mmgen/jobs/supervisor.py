"""Keeps workers running and sees how they end: by themselves, by a fault, or never.

Each worker is a process of its own that tells what it does, one JSON object a
line on its standard output. A worker that dies, falls silent or takes too much
memory is replaced; the picture it was drawing has lost one attempt, nothing
else has. When the supervisor itself dies the workers see their standard input
close, and end.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from typing import Any

from mmgen import process
from mmgen.errors import DeviceError, MmgenError, OutputDiskFull
from mmgen.jobs.items import Item, JobState, Result
from mmgen.jobs.queue import ItemQueue

OnEvent = Callable[[Mapping[str, Any]], None]
"""Called with `event`: ready, drawing, done, failed, micro_batch, paused, worker.died ..."""

_WAIT_S = 0.2
_RECOVER_EVERY_S = 1.0
_KILL_AFTER_S = 30.0
"""How long a worker may take to give back what it holds."""
_MOST_STARTS_IN_ROW = 3
_READ_BYTES = 65_536


class WorkerNotStarting(DeviceError):
    code = "worker.not_starting"
    template = "the worker ended {times} times before it could draw ({reason}); see {log}"


class WorkerRefused(DeviceError):
    code = "worker.refused"
    template = "the worker cannot draw: {reason}"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """When a worker is taken for lost."""

    load_s: float = 900.0
    """From its start until it is ready."""
    step_s: float = 600.0
    """Between two signs of life."""
    memory_bytes: int | None = None
    """Resident memory; None: no limit of ours."""


class Supervisor:
    """Runs `workers` processes on one job until it is done, paused, cancelled or stopped.

    `start` begins a worker process with pipes for standard input and output.
    `find` looks for the picture of an item on disk (see `ItemQueue.recover`).
    `asked` is polled: 1 stops the workers within a step, 2 kills them at once.
    """

    def __init__(
        self,
        items: ItemQueue,
        job: str,
        *,
        start: Callable[[], subprocess.Popen[bytes]],
        find: Callable[[Item], Result | None],
        workers: int = 1,
        limits: Limits | None = None,
        on_event: OnEvent = lambda event: None,
        asked: Callable[[], int] = lambda: 0,
        log: str = "-",
    ) -> None:
        self._items, self._job = items, job
        self._start, self._find, self._asked = start, find, asked
        self._count, self._limits, self._log = workers, limits or Limits(), log
        self._on_event = on_event
        self._selector = selectors.DefaultSelector()
        self._running: list[_Watched] = []
        self._bad_starts = 0
        self._recovered = 0.0

    def run(self) -> None:
        """Returns when no worker runs and none is needed.

        Raises `WorkerNotStarting`, and `WorkerRefused` with what a worker said.
        """
        try:
            while self._is_needed() or self._running:
                self._recover()
                self._fill()
                self._listen()
                self._obey()
                for watched in list(self._running):
                    self._check(watched)
        finally:
            for watched in list(self._running):
                watched.stopping_since = watched.stopping_since or time.monotonic()
                watched.kill()
                self._bury(watched, blamed=[])
            self._selector.close()

    def _is_needed(self) -> bool:
        if self._asked():
            return False
        is_active = self._items.store.job(self._job).state == JobState.ACTIVE
        return is_active and self._items.is_open(self._job)

    def _fill(self) -> None:
        while len(self._running) < self._count and self._is_needed():
            watched = _Watched(self._start())
            self._running.append(watched)
            self._selector.register(watched.output, selectors.EVENT_READ, watched)

    def _listen(self) -> None:
        if not self._running:
            time.sleep(_WAIT_S)
        for key, _ in self._selector.select(_WAIT_S) if self._running else ():
            for message in key.data.read():
                self._hear(key.data, message)

    def _hear(self, watched: _Watched, message: dict[str, Any]) -> None:
        watched.heard = time.monotonic()
        kind = message.get("event")
        if kind == "ready":
            watched.is_ready, self._bad_starts = True, 0
        elif kind == "drawing":
            watched.in_work |= set(message["items"])
        elif kind in ("done", "failed"):
            watched.in_work.discard(message["item"])
        elif kind == "given_back":
            watched.in_work -= set(message["items"])
        elif kind == "refused":
            self._refused(message["error"])
        if kind not in ("beat", "step"):
            self._on_event(message)

    def _refused(self, error: Mapping[str, Any]) -> None:
        """A worker ended by an error that is no item's fault."""
        if error["code"] != OutputDiskFull.code:
            raise _rebuilt(error)
        self._on_event({"event": "paused", "reason": error["code"], "params": error["params"]})

    def _obey(self) -> None:
        asked = self._asked()
        for watched in self._running:
            if asked and not watched.stopping_since:
                watched.stop()
            if asked > 1:
                watched.kill()

    def _check(self, watched: _Watched) -> None:
        """End what is lost and take leave of what has ended."""
        watched.fault = watched.fault or self._fault(watched)
        if watched.fault:
            watched.kill()
        elif watched.child.poll() is None:
            return
        watched.child.wait()
        for message in watched.read(to_end=True):
            self._hear(watched, message)
        is_stopped = watched.stopping_since and not watched.fault
        self._bury(watched, blamed=[] if is_stopped else sorted(watched.in_work))

    def _fault(self, watched: _Watched) -> str | None:
        """Why a worker that runs must be ended, or None."""
        now = time.monotonic()
        silent = now - watched.heard
        memory = self._limits.memory_bytes
        if watched.stopping_since and now - watched.stopping_since > _KILL_AFTER_S:
            return "it did not stop in time"
        if silent > (self._limits.step_s if watched.is_ready else self._limits.load_s):
            return f"no sign of life for {silent:.0f} s"
        if memory and process.memory_bytes(watched.child.pid) > memory:
            return f"more than {memory >> 20} MB of memory"
        return None

    def _bury(self, watched: _Watched, *, blamed: list[str]) -> None:
        code = watched.child.wait()
        self._selector.unregister(watched.output)
        watched.close()
        self._running.remove(watched)
        reason = watched.fault or _how_it_ended(code)
        error = {"code": "worker.died", "detail": reason, "params": {"reason": reason}}
        has_died = bool(watched.fault or (code and not watched.stopping_since))
        # Where the disk is full the next run takes back what this one held.
        with contextlib.suppress(OutputDiskFull):
            self._items.release(watched.name, blamed, error, self._find)
            if has_died:
                detail = {"reason": reason, "items": blamed}
                self._items.store.note(self._job, "worker.died", detail)
        if not has_died:
            return
        self._on_event({"event": "worker.died", "reason": reason, "items": blamed})
        if not watched.is_ready:
            self._bad_starts += 1
            if self._bad_starts >= _MOST_STARTS_IN_ROW:
                raise WorkerNotStarting(times=self._bad_starts, reason=reason, log=self._log)

    def _recover(self) -> None:
        """Take back what workers of an earlier run, or of another one, left behind."""
        if time.monotonic() - self._recovered < _RECOVER_EVERY_S:
            return
        self._recovered = time.monotonic()
        ours = {watched.name for watched in self._running}
        self._items.recover(
            self._job, lambda name: name in ours or process.is_alive(name), self._find
        )


class _Watched:
    """One worker process and what is known of it."""

    def __init__(self, child: subprocess.Popen[bytes]) -> None:
        assert child.stdout is not None
        self.child, self.output = child, child.stdout
        self.name = process.identity(child.pid)
        self.heard = time.monotonic()
        self.is_ready = False
        self.in_work: set[str] = set()
        """Being drawn or written."""
        self.stopping_since = 0.0
        self.fault: str | None = None
        self._rest = b""
        os.set_blocking(self.output.fileno(), False)

    def read(self, *, to_end: bool = False) -> list[dict[str, Any]]:
        """The messages that have come; a worker that died may have left half a line."""
        while data := self._some():
            self._rest += data
            if not to_end:
                break
        *lines, self._rest = self._rest.split(b"\n")
        return [json.loads(line) for line in lines if line]

    def _some(self) -> bytes:
        with contextlib.suppress(BlockingIOError):
            return os.read(self.output.fileno(), _READ_BYTES)
        return b""

    def stop(self) -> None:
        """Ask it to give back what it draws, to write what is drawn, and to end."""
        self.stopping_since = time.monotonic()
        with contextlib.suppress(ProcessLookupError):
            self.child.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it and whatever it started, now."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.child.pid, signal.SIGKILL)

    def close(self) -> None:
        for pipe in (self.child.stdin, self.child.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()


def _rebuilt(error: Mapping[str, Any]) -> MmgenError:
    """The error that a worker told of, if it is of a kind known here."""
    kinds: list[type[MmgenError]] = [MmgenError]
    for kind in kinds:
        if kind.code == error["code"] and kind.template != MmgenError.template:
            return kind(**error["params"])
        kinds.extend(kind.__subclasses__())
    return WorkerRefused(reason=error["detail"])


def _how_it_ended(code: int) -> str:
    if code >= 0:
        return f"it ended with {code}"
    with contextlib.suppress(ValueError):
        return f"it was ended by {signal.Signals(-code).name}"
    return f"it was ended by signal {-code}"
