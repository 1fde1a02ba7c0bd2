"""Workers in forked children: they die as real ones do, and start in no time."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from job_makers import NumpyGenerator

from mmgen import process
from mmgen.jobs.database import Database
from mmgen.jobs.queue import ItemQueue
from mmgen.jobs.store import JobStore
from mmgen.jobs.worker import Worker
from pipelines.item_maker import ItemMaker, find_picture

STEPS = ("open", "fsync", "link", "unlink", "mkdir", "commit")


def in_child(function, *arguments):
    """Run in a forked child; its exit code, or minus the signal that ended it.

    No store may be open: SQLite must not be carried across a fork.
    """
    pid = os.fork()
    if pid == 0:
        try:
            function(*arguments)
            os._exit(0)
        except BaseException:
            import traceback

            traceback.print_exc()
            os._exit(99)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def draw_all(database, job, *, crash_at=None, step_s=0.0, recover=True):
    """Recover, then draw what is left, in this process; optionally die on the way."""
    calls = count_calls(crash_at) if crash_at is not None else None
    store = JobStore(database)
    items = ItemQueue(store)
    if recover:
        there = store.job(job)
        items.recover(job, process.is_alive, lambda item: find_picture(there, item))
    maker = ItemMaker(NumpyGenerator(step_s=step_s), store.job(job))
    name = process.identity(os.getpid())
    Worker(items, maker, job=job, name=name, lease_s=900, tell=lambda event: None).run()
    store.close()
    return calls


def count_calls(crash_at):
    """Count every step of the write order; `(step, n)` kills the process after the n-th."""
    calls = dict.fromkeys(STEPS, 0)

    def wrap(step, real):
        def call(*arguments, **options):
            calls[step] += 1
            try:
                return real(*arguments, **options)
            finally:
                if crash_at == (step, calls[step]):
                    os.kill(os.getpid(), signal.SIGKILL)

        return call

    os.open, os.fsync = wrap("open", os.open), wrap("fsync", os.fsync)
    os.link, os.mkdir = wrap("link", os.link), wrap("mkdir", os.mkdir)
    Path.unlink = wrap("unlink", Path.unlink)
    Database._commit = wrap("commit", Database._commit)
    return calls
