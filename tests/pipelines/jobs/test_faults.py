"""What goes wrong inside a job: bad rows, no memory, no disk, and people pressing Ctrl-C."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from planning import MAKER, faults, plan, prompts

from mmgen.errors import ModelFolderMissing
from mmgen.jobs.items import ItemState, JobState
from mmgen.jobs.supervisor import Limits, WorkerNotStarting
from pipelines.check_job import check_job
from pipelines.run_job import PAUSED, SOME_FAILED, JobNotRunnable, run_job

HERE = Path(__file__).resolve().parent
IMPATIENT = Limits(load_s=60, step_s=4, memory_bytes=300 * 2**20)


def poisoned(count, rows):
    wanted = prompts(count)
    for number, harm in rows.items():
        wanted[number] = f"{harm}{number}"
    return wanted


def test_a_row_that_cannot_be_drawn_costs_three_attempts_and_nothing_else(store, tmp_path):
    job = plan(store, tmp_path / "out", poisoned(6, {1: "抛错"}))
    outcome = run_job(store, job, maker=MAKER)
    assert outcome.exit_code == SOME_FAILED
    (failed,) = store.items(job, ItemState.FAILED)
    assert (failed.row_key, failed.attempt) == ("SKU0001", 3)
    assert failed.error["detail"] == "cannot draw this"
    assert faults(store, job, 5) == []


def test_a_row_that_kills_its_worker_is_set_aside_too(store, tmp_path):
    job = plan(store, tmp_path / "out", poisoned(4, {1: "崩溃"}))
    events = []
    assert run_job(store, job, maker=MAKER, on_event=events.append).exit_code == SOME_FAILED
    (failed,) = store.items(job, ItemState.FAILED)
    assert (failed.row_key, failed.attempt) == ("SKU0001", 3)
    assert "SIGSEGV" in failed.error["detail"]
    assert faults(store, job, 3) == []
    assert "worker.died" in {event["event"] for event in events}
    others = [item.attempt for item in store.items(job, ItemState.DONE)]
    assert others == [1, 1, 1]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_10_poison_rows_of_200(store, tmp_path):
    corrupt = tmp_path / "reference.png"
    corrupt.write_bytes(b"no picture")
    digest = hashlib.sha256(corrupt.read_bytes()).hexdigest()
    harm = {11: "抛错", 57: "抛错", 20: "崩溃", 99: "崩溃", 33: "内存", 140: "内存",
            45: "卡住", 170: "卡住"}  # fmt: skip
    pictures = {number: {digest: str(corrupt)} for number in (66, 188)}
    job = plan(store, tmp_path / "out", poisoned(200, harm), pictures=pictures)
    outcome = run_job(store, job, maker=MAKER, workers=2, limits=IMPATIENT)
    assert outcome.exit_code == SOME_FAILED
    assert outcome.progress.counts[ItemState.DONE] == 190
    failed = {int(item.row_key[3:]): item.attempt for item in store.items(job, ItemState.FAILED)}
    assert failed == dict.fromkeys([*harm, *pictures], 3)
    assert faults(store, job, 190) == []
    assert list(check_job(store, store.job(job))) == []


def test_out_of_memory_steps_the_micro_batch_down_and_remembers(store, tmp_path):
    job = plan(store, tmp_path / "out", prompts(40))
    options = {"micro_batch": 8, "memory_for": 2}
    events = []
    outcome = run_job(store, job, maker=MAKER, options=options, on_event=events.append)
    assert outcome.exit_code == 0
    assert faults(store, job, 40) == []
    assert [event["size"] for event in events if event["event"] == "micro_batch"] == [4, 2]
    assert store.job(job).micro_batch == 2
    assert {item.attempt for item in store.items(job)} == {1}


def test_one_bad_row_of_a_group_does_not_cost_its_neighbours(store, tmp_path):
    job = plan(store, tmp_path / "out", poisoned(8, {2: "抛错"}))
    assert run_job(store, job, maker=MAKER, options={"micro_batch": 4}).exit_code == SOME_FAILED
    (failed,) = store.items(job, ItemState.FAILED)
    assert (failed.row_key, failed.attempt) == ("SKU0002", 3)
    assert {item.attempt for item in store.items(job, ItemState.DONE)} == {1}
    assert faults(store, job, 7) == []


def test_a_model_that_cannot_be_loaded_is_said_once(store, tmp_path):
    job = plan(store, tmp_path / "out", prompts(1))
    with pytest.raises(ModelFolderMissing):
        run_job(store, job, maker="job_makers:missing_model_maker")
    with pytest.raises(WorkerNotStarting):
        run_job(store, job, maker="job_makers:no_such_maker")
    assert [item.attempt for item in store.items(job)] == [0]


def test_only_a_planned_job_runs(store, tmp_path):
    job = store.create_job(folder=tmp_path / "out")
    with pytest.raises(JobNotRunnable):
        run_job(store, job, maker=MAKER)
    store.set_state(job, JobState.CANCELLED)
    with pytest.raises(JobNotRunnable):
        run_job(store, job, maker=MAKER)


@contextlib.contextmanager
def running(job, **options):
    """A runner process that has begun to draw."""
    runner = subprocess.Popen(
        [sys.executable, str(HERE / "runner.py"), job, "1", json.dumps(options)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parents[2])])},
    )
    with runner:
        while json.loads(runner.stdout.readline())["event"] != "drawing":
            pass
        yield runner


def test_the_death_of_the_supervisor_ends_the_worker(store, tmp_path):
    job = plan(store, tmp_path / "out", prompts(3), steps=100)
    with running(job, step_s=0.1) as runner:
        runner.kill()
    deadline = time.monotonic() + 15
    while store.progress(job).counts[ItemState.RUNNING] and time.monotonic() < deadline:
        time.sleep(0.1)
    assert [item.attempt for item in store.items(job)] == [0, 0, 0], "given back, not lost"


@pytest.mark.parametrize("state", [JobState.PAUSED, JobState.CANCELLED])
def test_a_job_stopped_from_elsewhere(state, store, tmp_path):
    job = plan(store, tmp_path / "out", prompts(3), steps=20)
    with running(job, step_s=0.05) as runner:
        store.set_state(job, state, "by request")
        assert runner.wait(30) == (PAUSED if state == JobState.PAUSED else 0)
    counts = store.progress(job).counts
    # Pausing finishes the picture in work; cancelling ends within a step.
    assert counts[ItemState.DONE] == (1 if state == JobState.PAUSED else 0)
    assert counts[ItemState.RUNNING] == 0
    assert faults(store, job, counts[ItemState.DONE]) == []


def test_a_stop_gives_the_picture_in_work_back(store, tmp_path):
    job = plan(store, tmp_path / "out", prompts(3), steps=150)
    asked = []

    def begin(event):
        if event["event"] == "drawing":
            threading.Timer(0.3, asked.append, [1]).start()

    began = time.monotonic()
    outcome = run_job(
        store, job, maker=MAKER, options={"step_s": 0.1}, on_event=begin, asked=lambda: len(asked)
    )
    assert time.monotonic() - began < 20
    assert outcome.is_stopped
    assert outcome.exit_code == 130
    assert [(item.state, item.attempt) for item in store.items(job)] == [("pending", 0)] * 3


def test_a_second_stop_ends_at_once(store, tmp_path):
    job = plan(store, tmp_path / "out", ["卡住", "裙子"])
    asked = []

    def begin(event):
        if event["event"] == "drawing":
            threading.Timer(0.3, asked.extend, [[1, 2]]).start()

    began = time.monotonic()
    outcome = run_job(store, job, maker=MAKER, on_event=begin, asked=lambda: len(asked))
    assert time.monotonic() - began < 20
    assert outcome.exit_code == 130
    assert store.progress(job).counts[ItemState.PENDING] == 2


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="mounts a small disk")
@pytest.mark.parametrize("is_home_on_it", [False, True])
def test_a_full_disk_pauses_the_job_and_space_lets_it_go_on(is_home_on_it, makers, tmp_path):
    """A disk of 20 MB in a mount namespace of its own, filled by a job, then grown."""
    script = HERE / "small_disk.py"
    result = subprocess.run(
        ["unshare", "-rm", sys.executable, str(script), str(tmp_path), str(int(is_home_on_it))],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parents[2])])},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    if "unshare failed" in result.stderr:
        pytest.skip("no user namespaces here")
    assert result.returncode == 0, result.stdout + result.stderr
    assert json.loads(result.stdout.splitlines()[-1]) == {
        "full": [], "code": 4, "reason": "output.disk_full", "grown": [], "end": 0,
    }  # fmt: skip


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="strace")
def test_each_picture_is_synchronised_before_it_is_said_to_be_done(store, tmp_path):
    """fsync of the file < link of its name < fsync of the folder < commit, 20 of 20.

    A folder made for a SKU is made durable before: fsync of the folder it lies in.
    """
    from shutil import which

    if which("strace") is None:
        pytest.skip("no strace here")
    job = plan(store, tmp_path / "out", prompts(20))
    store.close()
    trace = tmp_path / "trace"
    calls = "fsync,fdatasync,link,linkat,mkdir,mkdirat"
    subprocess.run(
        ["strace", "-f", "-y", "-qq", "-s", "500", "-e", f"trace={calls}", "-o", str(trace),
         sys.executable, "-c",
         f"from forked import draw_all; draw_all({str(store.database.path)!r}, {job!r})"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parents[2])])},
        check=True,
    )  # fmt: skip
    assert [ordered(trace.read_text().splitlines(), f"SKU{n:04d}-1.png") for n in range(20)] == (
        [True] * 20
    )


def ordered(lines, name):
    """Whether the calls for one picture stand in the order that survives a power cut."""

    def first(start, *words):
        for number in range(start, len(lines)):
            if all(word in lines[number] for word in words) and "resumed" not in lines[number]:
                return number
        raise AssertionError(f"no {words} for {name} after line {start}")

    named = first(0, "link", f'/{name}"')
    part = lines[named].partition('"')[2].partition('"')[0]
    folder = part.rpartition("/")[0]
    written = first(0, "fsync", f"<{part}>")
    recorded = first(named, "link", f'/{name}.json"')
    synced = first(recorded, "fsync", f"<{folder}>")
    committed = first(synced, "sync", "mmgen.sqlite-wal")
    is_kept = True
    if not folder.endswith("/out"):
        made = first(0, "mkdir", f'"{folder}"')
        is_kept = first(made, "fsync", f"<{folder.rpartition('/')[0]}>") < named
    return is_kept and written < named < recorded < synced < committed
