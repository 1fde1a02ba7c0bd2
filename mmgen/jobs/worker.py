"""The loop of one worker: claim, draw, hand over to the writer, claim again.

While the model draws the next pictures a second thread encodes, labels, writes
and commits the last ones. Whatever an item does to its own drawing ends here as
a failed attempt; what it does to the process is the supervisor's business.
"""

from __future__ import annotations

import contextlib
import errno
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, TypeGuard

from mmgen.errors import Cancelled, MmgenError, OutputDiskFull, OutputNotWritable
from mmgen.jobs.items import Claim, Item, JobState, Result
from mmgen.jobs.queue import ItemQueue
from mmgen.values import Step

Tell = Callable[[dict[str, Any]], None]
"""Sends an event to whoever watches."""

_POLL_S = 0.2
_LOOK_EVERY_S = 0.5
"""How often the state of the job is looked up while pictures are drawn."""
_DISK_TROUBLE = (errno.EIO, errno.EROFS, errno.EACCES, errno.EPERM, errno.ESTALE, errno.ENODEV)
_GROUPS_WAITING = 2
"""Groups that may wait for the writer: more would be lost with the process."""


class Maker(Protocol):
    """Turns items into pictures on disk; `pipelines/item_maker.py` is the one that ships."""

    micro_batch: int
    """Pictures a call; the worker lowers it when memory runs out."""

    def draw(self, items: Sequence[Item], on_step: Callable[[Step], bool]) -> list[Any]:
        """One picture an item, in memory. Raises `Cancelled` when `on_step` says False."""
        ...

    def keep(self, item: Item, drawn: Any) -> Result:
        """Put a picture on disk, durably; called from another thread than `draw`."""
        ...

    def has_room(self) -> bool:
        """Whether the disk has room for more pictures."""
        ...


class Worker:
    """Draws the items of one job until none is left or it is told to stop."""

    def __init__(
        self, items: ItemQueue, maker: Maker, *, job: str, name: str, lease_s: float, tell: Tell
    ) -> None:
        self._items, self._maker, self._tell = items, maker, tell
        self._job, self._name, self._lease_s = job, name, lease_s
        self._writer = _Writer(self)
        self._drawing: list[Claim] = []
        self._looked = self._renewed = 0.0
        self.stop_asked = False
        """Set from outside: the picture in work is given back within a step."""
        self.must_restart = False
        """The device is in a state that only a new process gets out of."""

    def run(self) -> None:
        """Returns when nothing is left, the job is not active or `stop_asked` is set."""
        with self._writer:
            for claims in self._claims():
                # Where one of two could have killed a worker, they meet no more.
                is_alone = claims[0].alone
                if is_alone:
                    self._writer.wait()
                self._draw(claims)
                if is_alone:
                    self._writer.wait()

    def _claims(self) -> Iterator[list[Claim]]:
        while not self.stop_asked and not self.must_restart:
            job = self._items.store.job(self._job)
            if job.state != JobState.ACTIVE:
                return
            if job.micro_batch:
                self._maker.micro_batch = min(self._maker.micro_batch, job.micro_batch)
            if not self._maker.has_room():
                self.pause(OutputDiskFull(path=job.folder))
                return
            claims = self._items.claim(
                self._job, self._name, lease_s=self._lease_s, count=self._maker.micro_batch
            )
            if claims:
                yield claims
            elif self._items.is_open(self._job):
                # Others are at the last items and may give some back.
                self._tell({"event": "beat"})
                time.sleep(_POLL_S)
            else:
                return

    def _draw(self, claims: list[Claim]) -> None:
        self._drawing, self._renewed = claims, time.monotonic()
        self._tell({"event": "drawing", "items": [claim.item.item_id for claim in claims]})
        problem: Exception | None = None
        try:
            drawn = self._maker.draw([claim.item for claim in claims], self._on_step)
        except Exception as error:  # the row loop: one of the two places where errors end
            # Answered outside: here the frames of the failed call still hold its memory.
            problem = error.with_traceback(None)
        if problem is None:
            self._writer.put(claims, drawn)
        else:
            self._answer(claims, problem)
        self._drawing = []

    def _answer(self, claims: list[Claim], problem: Exception) -> None:
        """What a failed call means for the items that were in it."""
        if isinstance(problem, Cancelled):
            self._give_back(claims)
        elif is_out_of_memory(problem) and self._maker.micro_batch > 1:
            self._step_down(claims)
        elif len(claims) > 1:
            self._give_back(claims, alone=True)
        else:
            self.fail(claims[0], problem)
        self.must_restart = _needs_new_process(problem)

    def _step_down(self, claims: list[Claim]) -> None:
        size = self._maker.micro_batch // 2
        self._maker.micro_batch = size
        self._items.store.limit_micro_batch(self._job, size)
        self._items.store.note(self._job, "job.micro_batch", {"size": size})
        self._tell({"event": "micro_batch", "size": size})
        self._give_back(claims)

    def _give_back(self, claims: Sequence[Claim], *, alone: bool = False) -> None:
        for claim in claims:
            self._items.give_back(claim, alone=alone)
        self._tell({"event": "given_back", "items": [claim.item.item_id for claim in claims]})

    def _on_step(self, step: Step) -> bool:
        """Keeps the lease and looks for orders; False stops the drawing."""
        now = time.monotonic()
        if now - self._renewed > self._lease_s / 3:
            self._renewed = now
            if not self._items.renew(self._drawing, lease_s=self._lease_s):
                return False
        if now - self._looked > _LOOK_EVERY_S:
            self._looked = now
            self._tell({"event": "step", "index": step.index, "of": step.of})
            if self._items.store.job(self._job).state == JobState.CANCELLED:
                return False
        return not self.stop_asked

    def keep(self, claim: Claim, drawn: Any) -> None:
        """In the writer's thread: picture to disk, then the commit that says so."""
        try:
            result = self._maker.keep(claim.item, drawn)
            if self._items.finish(claim, result):
                self._tell({"event": "done", "item": claim.item.item_id, "file": result.file})
        except Exception as error:
            if is_of_the_disk(error):
                self.pause(error)
                with contextlib.suppress(MmgenError):
                    self._give_back([claim])
            else:
                self.fail(claim, error.with_traceback(None))

    def fail(self, claim: Claim, problem: Exception) -> None:
        """One attempt is lost, with its reason."""
        error = describe(problem)
        self._items.fail(claim, error)
        self._tell({"event": "failed", "item": claim.item.item_id, "error": error})

    def pause(self, error: MmgenError) -> None:
        """The output cannot be written: no fault of any item, and no use in going on."""
        self.stop_asked = True
        self._tell({"event": "paused", "reason": error.code, "params": describe(error)["params"]})
        # A full disk may hold the database too; the supervisor has been told.
        with contextlib.suppress(MmgenError):
            self._items.store.set_state(self._job, JobState.PAUSED, error.code)


class _Writer:
    """The second thread; within `with` it takes groups, on leaving it has written all."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self.error: Exception | None = None
        self._waiting: queue.Queue[tuple[Claim, Any] | None] = queue.Queue(_GROUPS_WAITING)
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)

    def __enter__(self) -> _Writer:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._waiting.put(None)
        self._thread.join()
        if self.error is not None and exception[0] is None:
            raise self.error

    def put(self, claims: Sequence[Claim], drawn: Sequence[Any]) -> None:
        for pair in zip(claims, drawn, strict=True):
            self._waiting.put(pair)

    def wait(self) -> None:
        """Until everything that was put is written."""
        self._waiting.join()

    def _run(self) -> None:
        while (pair := self._waiting.get()) is not None:
            try:
                self._worker.keep(*pair)
            except Exception as error:  # the store itself: what is claimed is taken back later
                self._worker.stop_asked = True
                self.error = error
            finally:
                self._waiting.task_done()


def describe(error: BaseException) -> dict[str, Any]:
    """An error as plain JSON: code, detail and params, without traceback."""
    code = error.code if isinstance(error, MmgenError) else type(error).__name__
    params = error.params if isinstance(error, MmgenError) else {}
    plain = {key: value if isinstance(value, int | float) else str(value)[:500]
             for key, value in params.items()}  # fmt: skip
    return {"code": code, "detail": str(error)[:1000], "params": plain}


def is_of_the_disk(error: Exception) -> TypeGuard[MmgenError]:
    """Whether no other picture could be written either."""
    if isinstance(error, OutputDiskFull):
        return True
    number = getattr(error.__cause__, "errno", None)
    return isinstance(error, OutputNotWritable) and number in _DISK_TROUBLE


def is_out_of_memory(error: Exception) -> bool:
    """torch.OutOfMemoryError, known by name: torch is not imported here."""
    return isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"


def _needs_new_process(error: Exception) -> bool:
    """A CUDA error other than memory poisons every later call of the process."""
    return type(error).__name__ == "AcceleratorError" or "CUDA error" in str(error)
