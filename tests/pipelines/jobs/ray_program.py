"""Jobs on a local Ray cluster, in a process of its own; prints what a test looks at."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from planning import MAKER, faults, hashes, plan, prompts

from mmgen.home import database_path
from mmgen.jobs.store import JobStore
from pipelines.ray_engine import Cluster, _connected
from pipelines.run_job import run_job

COUNT = 20
STEP_S = 1.0
"""Stands for GPU time: it is spent asleep."""


def main():
    folder = Path(sys.argv[1])
    # One cluster for all: its start takes longer than what is looked at.
    with _connected(None, 2):
        print(json.dumps(look(folder)))


def look(folder):
    store = JobStore(database_path())
    told, rates = {}, {}
    for workers in (1, 2):
        job = plan(store, folder / f"by-{workers}", prompts(COUNT))
        rates[workers] = rate(store, job, workers)
        told[f"faults of {workers}"] = faults(store, job, COUNT)
    told["times"] = rates[2] / rates[1]
    killed = plan(store, folder / "killed", prompts(COUNT))
    events = []
    code = run_job(
        store, killed, maker=MAKER, options={"dies_once": str(folder / "died")}, workers=2,
        cluster=Cluster(), on_event=lambda event: events.append(event["event"]),
    ).exit_code  # fmt: skip
    told["killed"] = [code, events.count("worker.died"), faults(store, killed, COUNT)]
    told["same bytes"] = hashes(store, job) == hashes(store, killed)
    far = plan(store, folder / "far", prompts(4))
    url = (folder / "bucket").as_uri()
    run_job(store, far, maker=MAKER, cluster=Cluster(output=url))
    there = {path.name for path in (folder / "bucket").rglob("*.png")}
    told["uploaded"] = [sorted(there), store.progress(far).counts["done"]]
    return told


def rate(store, job, workers):
    """Pictures a second from when all actors are ready."""
    ready, done = [], []

    def listen(event):
        if event["event"] in ("ready", "done"):
            (ready if event["event"] == "ready" else done).append(time.monotonic())

    outcome = run_job(
        store, job, maker=MAKER, options={"step_s": STEP_S}, workers=workers,
        cluster=Cluster(), on_event=listen,
    )  # fmt: skip
    assert outcome.exit_code == 0
    assert len(ready) == workers
    counted = [moment for moment in done if moment > ready[-1]]
    return len(counted) / (done[-1] - ready[-1])


if __name__ == "__main__":
    main()
