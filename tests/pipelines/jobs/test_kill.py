"""kill -9 anywhere: nothing lost, nothing double, nothing left over, the same bytes."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from forked import STEPS, draw_all, draw_and_die, in_child
from planning import MAKER, faults, hashes, plan, prompts

from mmgen.home import database_path
from mmgen.jobs.queue import ItemQueue
from mmgen.jobs.store import JobStore
from pipelines.check_job import check_job
from pipelines.run_job import run_job

HERE = Path(__file__).resolve().parent


def planned(folder, count):
    store = JobStore(database_path())
    job = plan(store, folder, prompts(count))
    store.close()
    return job


def judged(job, count):
    """What the oracle and `jobs check` find, and the pictures."""
    store = JobStore(database_path())
    try:
        found = faults(store, job, count)
        found += [finding.code for finding in check_job(store, store.job(job))]
        return found, hashes(store, job)
    finally:
        store.close()


@pytest.fixture
def unbroken(makers, tmp_path):
    """The pictures of two rows drawn without an accident, and all steps that took."""
    job = planned(tmp_path / "unbroken", 2)
    told = tmp_path / "calls.json"

    def draw():
        told.write_text(json.dumps(draw_all(database_path(), job, crash_at=())))

    assert in_child(draw) == 0
    found, pictures = judged(job, 2)
    assert found == []
    return pictures, json.loads(told.read_text())


def test_killed_at_every_step_of_the_write_order(unbroken, tmp_path):
    pictures, calls = unbroken
    assert all(calls[step] >= 2 for step in STEPS), calls
    points = [(step, number) for step in STEPS for number in range(1, calls[step] + 1)]
    for number, point in enumerate(points):
        job = planned(tmp_path / f"{number}", 2)

        def draw(job=job, point=point):
            draw_all(database_path(), job, crash_at=point)

        assert in_child(draw) == -signal.SIGKILL, point
        assert in_child(draw_all, database_path(), job) == 0, point
        assert judged(job, 2) == ([], pictures), point


@pytest.mark.slow
def test_a_worker_killed_at_50_random_points_of_200_rows(makers, tmp_path):
    calm = planned(tmp_path / "calm", 200)
    assert in_child(draw_all, database_path(), calm) == 0
    job = planned(tmp_path / "killed", 200)
    chance = random.Random(1)
    ends = [draw_and_die(database_path(), job, chance) for _ in range(50)]
    assert ends.count(-signal.SIGKILL) >= 45, "the last ones may have found nothing left to do"
    assert in_child(draw_all, database_path(), job) == 0
    assert judged(job, 200) == ([], judged(calm, 200)[1])


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("workers", "kills"), [(1, 6), (4, 12)])
def test_supervisor_and_workers_killed_at_random_points(workers, kills, store, tmp_path):
    calm = plan(store, tmp_path / "calm", prompts(100))
    assert run_job(store, calm, maker=MAKER, workers=2).exit_code == 0
    job = plan(store, tmp_path / "killed", prompts(100))
    chance = random.Random(5)
    left = kills
    while left and ItemQueue(store).is_open(job):
        left = run_and_kill(job, workers, chance, left)
    run_job(store, job, maker=MAKER, workers=workers)
    assert left < kills
    assert faults(store, job, 100) == []
    assert list(check_job(store, store.job(job))) == []
    assert hashes(store, job) == hashes(store, calm)


def run_and_kill(job, workers, chance, left):
    """One run that is killed now and then, itself or a worker; how many kills are left."""
    runner = subprocess.Popen(
        [sys.executable, str(HERE / "runner.py"), job, str(workers), "{}"],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parents[2])])},
    )
    pids, patience = [], chance.randrange(6)
    with runner:
        for line in runner.stdout:
            event = json.loads(line)
            if event["event"] == "ready":
                pids.append(event["pid"])
            patience -= event["event"] in ("done", "drawing")
            if patience >= 0 or not pids:
                continue
            time.sleep(chance.random() * 0.02)
            left, patience = left - 1, chance.randrange(6)
            victims = chance.choice(([runner.pid], pids[-1:], [runner.pid, *pids]))
            for pid in victims:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            if runner.pid in victims or not left:
                runner.kill()
                return left
    return left
