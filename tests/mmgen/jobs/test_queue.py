"""Claims: each item to one worker, each end by its holder alone."""

from __future__ import annotations

import multiprocessing
import random
import sqlite3
import threading
from collections import Counter

import pytest

from mmgen.jobs.items import MOST_ATTEMPTS, ItemState, JobState, NewItem, Result, item_id
from mmgen.jobs.queue import MOST_FAILURES_IN_ROW, ItemQueue
from mmgen.jobs.store import JobMissing, JobStore
from mmgen.values import ImageRequest

RESULT = Result(file="a.png", file_sha256="1", pixels_sha256="2", produce_id="3", file_bytes=4)
ERROR = {"code": "x", "detail": "it broke", "params": {}}


def put(store, folder, count, *, seed=0):
    job = store.create_job(folder=folder)
    requests = [ImageRequest(prompt=f"连衣裙{n}", seed=seed + n) for n in range(count)]
    items = [
        NewItem(item_id=item_id(job, str(n), request), row_key=str(n), position=n,
                request=request, name=str(n))
        for n, request in enumerate(requests)
    ]  # fmt: skip
    return job, store.put_items(job, items)


@pytest.fixture
def store(tmp_path):
    opened = JobStore(tmp_path / "mmgen.sqlite")
    yield opened
    opened.close()


@pytest.fixture
def queue(store):
    return ItemQueue(store)


def nothing(item):
    """Nothing of any item is on disk."""


def states(store, job):
    return {state: n for state, n in store.progress(job).counts.items() if n}


def test_a_claim_counts_the_attempt_and_finishing_ends_it(store, queue, tmp_path):
    job, _ = put(store, tmp_path / "out", 1)
    (claim,) = queue.claim(job, "w", lease_s=60)
    assert (claim.item.state, claim.item.attempt) == (ItemState.RUNNING, 1)
    assert queue.claim(job, "w", lease_s=60) == []
    assert queue.renew([claim], lease_s=60)
    assert queue.finish(claim, RESULT)
    item = store.item(claim.item.item_id)
    assert (item.state, item.result, item.attempt) == (ItemState.DONE, RESULT, 1)


def test_who_comes_late_changes_nothing(store, queue, tmp_path):
    job, _ = put(store, tmp_path / "out", 1)
    (late,) = queue.claim(job, "gone", lease_s=60)
    assert queue.recover(job, lambda worker: False, nothing) == 1
    (ours,) = queue.claim(job, "w", lease_s=60)
    assert not queue.finish(late, RESULT)
    assert not queue.fail(late, ERROR)
    assert not queue.give_back(late)
    assert not queue.renew([late], lease_s=60)
    assert store.item(ours.item.item_id).attempt == 2
    assert queue.finish(ours, RESULT)
    assert not queue.finish(ours, RESULT)


def test_three_failed_attempts_set_an_item_aside_with_its_reason(store, queue, tmp_path):
    job, _ = put(store, tmp_path / "out", 2)
    seen = []
    while claims := queue.claim(job, "w", lease_s=60):
        item = claims[0].item
        seen.append(item.row_key)
        queue.fail(claims[0], ERROR) if item.row_key == "0" else queue.finish(claims[0], RESULT)
    assert seen == ["0", "1", "0", "0"], "what failed comes after what has not been tried"
    (failed,) = store.items(job, ItemState.FAILED)
    assert (failed.attempt, failed.error) == (MOST_ATTEMPTS, ERROR)
    assert store.retry(job) == 1
    assert states(store, job) == {ItemState.PENDING: 1, ItemState.DONE: 1}


def test_giving_back_costs_no_attempt(store, queue, tmp_path):
    job, _ = put(store, tmp_path / "out", 1)
    for _ in range(5):
        (claim,) = queue.claim(job, "w", lease_s=60)
        assert queue.give_back(claim)
    assert store.item(claim.item.item_id).attempt == 0


def test_the_death_of_a_worker_costs_the_picture_in_work_one_attempt(store, queue, tmp_path):
    job, _ = put(store, tmp_path / "out", 4)
    claims = queue.claim(job, "w", lease_s=60, count=3)
    first = claims[0].item.item_id
    queue.release("w", [first], ERROR, nothing)
    attempts = [item.attempt for item in store.items(job)]
    assert attempts == [1, 0, 0, 0]
    assert store.item(first).error == ERROR


def test_of_several_suspects_each_is_drawn_alone(store, queue, tmp_path):
    job, _ = put(store, tmp_path / "out", 3)
    claims = queue.claim(job, "w", lease_s=60, count=2)
    queue.release("w", [claim.item.item_id for claim in claims], ERROR, nothing)
    assert [item.attempt for item in store.items(job)] == [0, 0, 0]
    again = [queue.claim(job, "w", lease_s=60, count=3) for _ in range(3)]
    assert [len(claims) for claims in again] == [1, 1, 1]
    assert [claims[0].alone for claims in again] == [True, True, False]


def test_after_a_lost_run_an_item_is_never_set_aside_unseen(store, queue, tmp_path):
    job, _ = put(store, tmp_path / "out", 1)
    for _ in range(2 * MOST_ATTEMPTS):
        assert queue.claim(job, "w", lease_s=60)
        queue.recover(job, lambda worker: False, nothing)
    (claim,) = queue.claim(job, "w", lease_s=60)
    assert claim.item.attempt == MOST_ATTEMPTS
    queue.fail(claim, ERROR)
    assert states(store, job) == {ItemState.FAILED: 1}


def test_recovery_finds_what_reached_the_disk_and_leaves_the_living_alone(store, queue, tmp_path):
    job, _ = put(store, tmp_path / "out", 3)
    for worker in ("dead", "dead", "alive"):
        queue.claim(job, worker, lease_s=60)
    found = {"0": RESULT}
    lost = queue.recover(job, lambda name: name == "alive", lambda item: found.get(item.row_key))
    assert lost == 2
    assert [item.state for item in store.items(job)] == ["done", "pending", "running"]


def test_a_lease_that_ran_out_is_taken_back(store, queue, tmp_path):
    job, _ = put(store, tmp_path / "out", 1)
    queue.claim(job, "elsewhere", lease_s=-1)
    assert queue.recover(job, lambda worker: True, nothing) == 1


def test_only_pictures_of_one_shape_share_a_group(store, queue, tmp_path):
    job = store.create_job(folder=tmp_path)
    shapes = [(24, 256), (24, 256), (12, 256), (24, 256), (24, 128)]
    requests = [
        ImageRequest(prompt="裙", seed=n, num_inference_steps=steps, height=height)
        for n, (steps, height) in enumerate(shapes)
    ]
    store.put_items(
        job,
        [
            NewItem(item_id=item_id(job, str(n), request), row_key=str(n), position=n,
                    request=request, name=str(n))
            for n, request in enumerate(requests)
        ],
    )  # fmt: skip
    groups = [queue.claim(job, "w", lease_s=60, count=4) for _ in range(3)]
    assert [[claim.item.row_key for claim in group] for group in groups] == [
        ["0", "1", "3"], ["2"], ["4"],
    ]  # fmt: skip


def test_a_job_that_is_not_active_lends_nothing(store, queue, tmp_path):
    job, _ = put(store, tmp_path / "out", 2)
    (running,) = queue.claim(job, "w", lease_s=60)
    store.set_state(job, JobState.PAUSED, "by request")
    assert queue.claim(job, "w", lease_s=60) == []
    assert (store.job(job).state, store.job(job).reason) == (JobState.PAUSED, "by request")
    store.set_state(job, JobState.CANCELLED)
    store.set_state(job, JobState.ACTIVE)
    assert store.job(job).state == JobState.CANCELLED
    queue.give_back(running)
    assert states(store, job) == {ItemState.CANCELLED: 2}
    assert store.retry(job) == 2
    assert queue.claim(job, "w", lease_s=60)


def test_many_failures_at_once_pause_the_job(store, queue, tmp_path):
    job, _ = put(store, tmp_path / "out", MOST_FAILURES_IN_ROW + 5)
    while claims := queue.claim(job, "w", lease_s=60):
        queue.fail(claims[0], ERROR)
    assert (store.job(job).state, store.job(job).reason) == (JobState.PAUSED, "job.failures")
    assert states(store, job) == {ItemState.PENDING: MOST_FAILURES_IN_ROW + 5}


def test_putting_again_keeps_what_is_the_same(store, queue, tmp_path):
    job, first = put(store, tmp_path / "out", 4)
    assert (first.new, first.kept, first.vanished) == (4, 0, 0)
    (claim,) = queue.claim(job, "w", lease_s=60)
    queue.finish(claim, RESULT)
    same, changed = put(store, tmp_path / "out", 2), put(store, tmp_path / "out", 2, seed=7)
    assert (same[1].new, same[1].kept, same[1].vanished) == (0, 2, 2)
    assert (changed[1].new, changed[1].kept, changed[1].vanished) == (2, 0, 2)
    assert states(store, job) == {ItemState.VANISHED: 4, ItemState.PENDING: 2}
    back = put(store, tmp_path / "out", 4)[1]
    assert (back.new, back.kept, back.vanished) == (0, 4, 2)
    assert states(store, job) == {
        ItemState.DONE: 1, ItemState.PENDING: 3, ItemState.VANISHED: 2,
    }  # fmt: skip


@pytest.mark.parametrize("rows_before", [0, 3])
def test_a_plan_that_was_stopped_half_way_does_not_run(rows_before, store, queue, tmp_path):
    job, _ = put(store, tmp_path / "out", rows_before)

    def broken():
        request = ImageRequest(prompt="裙")
        yield NewItem(item_id=item_id(job, "1", request), row_key="1", position=0,
                      request=request, name="1")  # fmt: skip
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.put_items(job, broken())
    assert store.job(job).state == JobState.PLANNING
    store.set_state(job, JobState.ACTIVE)
    assert queue.claim(job, "w", lease_s=60) == []
    assert put(store, tmp_path / "out", 3)[0] == job
    assert queue.claim(job, "w", lease_s=60)


def test_a_job_is_found_by_the_beginning_of_its_id_and_by_its_folder(store, tmp_path):
    job, _ = put(store, tmp_path / "out", 1)
    assert store.find_job(job[:6]).job_id == store.find_job(str(tmp_path / "out")).job_id == job
    for typed in ("zz", ""):
        with pytest.raises(JobMissing):
            store.find_job(typed)
    assert store.create_job(folder=tmp_path / "out") == job


def test_the_file_is_private_and_survives_reopening(store, tmp_path):
    job, _ = put(store, tmp_path / "out", 1)
    assert store.database.path.stat().st_mode & 0o077 == 0
    other = JobStore(store.database.path)
    assert [item.row_key for item in other.items(job)] == ["0"]
    other.close()


def claim_until_empty(path, job, name, results):
    queue = ItemQueue(JobStore(path))
    claimed = []
    while claims := queue.claim(job, name, lease_s=60):
        claimed.append(claims[0].item.item_id)
        queue.finish(claims[0], RESULT)
    results.put(claimed)


@pytest.mark.slow
def test_16_processes_claim_2000_items_each_once(tmp_path):
    path = tmp_path / "mmgen.sqlite"
    store = JobStore(path)
    job, _ = put(store, tmp_path / "out", 2_000)
    store.close()
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    children = [
        context.Process(target=claim_until_empty, args=(path, job, f"w{n}", results))
        for n in range(16)
    ]
    for child in children:
        child.start()
    claimed = Counter(item for _ in children for item in results.get(timeout=280))
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0] * 16
    assert len(claimed) == 2_000
    assert set(claimed.values()) == {1}
    with sqlite3.connect(path) as check:
        assert check.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def race(store, folder, chance):
    """One worker finishes or gives back while somebody cancels; the state it ends in."""
    queue = ItemQueue(store)
    job, _ = put(store, folder, 1, seed=chance.randrange(2**30))
    (claim,) = queue.claim(job, "w", lease_s=60)
    published = chance.random() < 0.5
    moves = [
        lambda: queue.finish(claim, RESULT) if published else queue.give_back(claim),
        lambda: store.set_state(job, JobState.CANCELLED),
    ]
    chance.shuffle(moves)
    threads = [threading.Thread(target=move) for move in moves]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (item,) = store.items(job)
    return published, item


@pytest.mark.slow
def test_1000_races_of_cancelling_and_finishing_have_one_end_each(store, tmp_path):
    chance = random.Random(20)
    for number in range(1_000):
        published, item = race(store, tmp_path / str(number), chance)
        assert item.state == (ItemState.DONE if published else ItemState.CANCELLED)
        assert (item.result is not None) == published
