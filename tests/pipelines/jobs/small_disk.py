"""Runs in a mount namespace of its own: a job on a disk of 20 MB that fills up and is grown."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

from planning import MAKER, faults, new_items

from mmgen.home import database_path
from mmgen.jobs.items import item_id
from mmgen.jobs.store import JobStore
from pipelines.check_job import check_job
from pipelines.run_job import run_job

COUNT = 200


def main():
    disk = Path(sys.argv[1]) / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=20m", "tmpfs", str(disk)], check=True)
    if sys.argv[2] == "1":
        os.environ["MMGEN_HOME"] = str(disk / "home")
    store = JobStore(database_path())
    job = store.create_job(folder=disk / "out")
    # 200 x 192 KB of noise.
    wide = {"height": 256, "width": 256}
    items = [
        dataclasses.replace(item, request=dataclasses.replace(item.request, **wide))
        for item in new_items(job, [f"第{n}件连衣裙" for n in range(COUNT)])
    ]
    store.put_items(job, [with_id(job, item) for item in items])
    # Without the guard every byte is taken: the disk is full in the middle of a write.
    options = {"ignores_room": True}
    paused = run_job(store, job, maker=MAKER, options=options)
    done = paused.progress.counts["done"]
    full = faults(store, job, done) if 20 < done < COUNT else [f"{done} done"]
    subprocess.run(["mount", "-o", "remount,size=200m", str(disk)], check=True)
    ended = run_job(store, job, maker=MAKER, options=options)
    grown = faults(store, job, COUNT) + [f.code for f in check_job(store, store.job(job))]
    told = {"full": full, "code": paused.exit_code, "reason": paused.reason}
    print(json.dumps({**told, "grown": grown, "end": ended.exit_code}))


def with_id(job, item):
    return dataclasses.replace(item, item_id=item_id(job, item.row_key, item.request))


if __name__ == "__main__":
    main()
