"""Workers in forked children: they die as real ones do, and start in no time."""

from __future__ import annotations

import os
import signal
import time
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


def draw_and_die(database, job, chance):
    """The same in a child that is killed after some events and some milliseconds."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        draw_all(database, job, tell=lambda event: os.write(writer, b"."))
        os._exit(0)
    os.close(writer)
    # Two events a picture: it is begun, it is done.
    for _ in range(1 + chance.randrange(12)):
        os.read(reader, 1)
    time.sleep(chance.random() * 0.03)
    os.kill(pid, signal.SIGKILL)
    os.close(reader)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def draw_all(database, job, *, crash_at=None, tell=lambda event: None):
    """Recover, then draw what is left, in this process; optionally die on the way."""
    calls = count_calls(crash_at) if crash_at is not None else None
    store = JobStore(database)
    items = ItemQueue(store)
    there = store.job(job)
    items.recover(job, process.is_alive, lambda item: find_picture(there, item))
    maker = ItemMaker(NumpyGenerator(), there)
    name = process.identity(os.getpid())
    Worker(items, maker, job=job, name=name, lease_s=900, tell=tell).run()
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
