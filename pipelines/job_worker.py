"""The program of a worker process: `python -m pipelines.job_worker`.

Its order is one JSON line on standard input, which stays open: when it closes,
whoever started the worker is gone. What happens is told on standard output.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from mmgen.errors import MmgenError, MmgenWarning
from mmgen.jobs.queue import ItemQueue
from mmgen.jobs.store import JobStore
from mmgen.jobs.worker import Maker, Tell, Worker, describe
from mmgen.process import identity

_LAST_WORDS_S = 10.0
"""Time to give back what is held after the supervisor is gone."""
_ROOT = Path(__file__).resolve().parent.parent


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class WorkerOrder:
    """What a worker is started with."""

    database: str
    job: str
    maker: str
    """`module:function` of (job, options) that gives the `Maker`."""
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    lease_s: float = 900.0


def start_worker(order: WorkerOrder, log: IO[bytes] | int) -> subprocess.Popen[bytes]:
    """A new worker process in a session of its own, so that Ctrl-C reaches it through us."""
    paths = [str(_ROOT), os.environ.get("PYTHONPATH", "")]
    child = subprocess.Popen(
        [sys.executable, "-P", "-m", "pipelines.job_worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
    )
    assert child.stdin is not None
    with contextlib.suppress(BrokenPipeError):  # it died at once: the supervisor will see
        child.stdin.write(json.dumps(dataclasses.asdict(order)).encode() + b"\n")
        child.stdin.flush()
    return child


def main() -> int:
    """Draw until nothing is left; 0, or 1 when the process must be replaced."""
    order = WorkerOrder(**json.loads(sys.stdin.readline()))
    # What libraries print goes to the log, not between our messages.
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    warnings.simplefilter("ignore", MmgenWarning)
    lock = threading.Lock()

    def tell(event: dict[str, Any]) -> None:
        # Nobody may be listening any more; standard input will have closed too.
        with lock, contextlib.suppress(BrokenPipeError):
            channel.write(json.dumps(event, ensure_ascii=False) + "\n")
            channel.flush()

    try:
        return _work(order, tell)
    except MmgenError as error:
        tell({"event": "refused", "error": describe(error)})
        return 0


def _work(order: WorkerOrder, tell: Tell) -> int:
    store = JobStore(order.database)
    maker = _load_maker(order, store)
    worker = Worker(
        ItemQueue(store),
        maker,
        job=order.job,
        name=identity(os.getpid()),
        lease_s=order.lease_s,
        tell=tell,
    )
    signal.signal(signal.SIGTERM, lambda number, frame: setattr(worker, "stop_asked", True))
    threading.Thread(target=_watch_parent, args=(worker,), daemon=True).start()
    tell({"event": "ready", "pid": os.getpid(), "micro_batch": maker.micro_batch})
    worker.run()
    store.close()
    return 1 if worker.must_restart else 0


def _load_maker(order: WorkerOrder, store: JobStore) -> Maker:
    module, _, function = order.maker.partition(":")
    maker: Maker = getattr(importlib.import_module(module), function)(
        store.job(order.job), order.options
    )
    return maker


def _watch_parent(worker: Worker) -> None:
    """End when standard input does: nobody is left to watch over this process."""
    while os.read(0, 4096):
        pass
    worker.stop_asked = True
    time.sleep(_LAST_WORDS_S)
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
