"""The store against a dict that does the same: any order of calls, no difference."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, rule

from mmgen.jobs.items import MOST_ATTEMPTS, JobState, NewItem, Result, item_id
from mmgen.jobs.queue import MOST_FAILURES_IN_ROW, ItemQueue
from mmgen.jobs.store import JobStore
from mmgen.values import ImageRequest

KEYS = tuple("ABCDEF")
WORKERS = ("one", "two", "three")
RESULT = Result(file="a.png", file_sha256="1", pixels_sha256="2", produce_id="3", file_bytes=4)
ERROR = {"code": "x", "detail": "it broke", "params": {}}
# Durability is tested elsewhere; here a disk would only be slow.
FAST_DISK = "/dev/shm" if Path("/dev/shm").is_dir() else None


class Row:
    """One item of the model."""

    def __init__(self, position):
        self.position, self.state, self.attempt = position, "pending", 0
        self.is_alone = self.is_made = False
        self.is_wanted = True
        self.token = self.worker = None


class StoreMachine(RuleBasedStateMachine):
    claims = Bundle("claims")

    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(dir=FAST_DISK))
        self.store = JobStore(self.folder / "mmgen.sqlite")
        self.queue = ItemQueue(self.store)
        self.job = self.store.create_job(folder=self.folder)
        self.rows, self.job_state, self.streak = {}, "planning", 0

    def teardown(self):
        self.store.close()
        shutil.rmtree(self.folder)

    # --- the rules: the same call to the store and to the model -------------------

    @rule(keys=st.lists(st.sampled_from(KEYS), unique=True, max_size=6))
    def put(self, keys):
        new = []
        for position, key in enumerate(keys):
            request = ImageRequest(prompt="裙", seed=ord(key))
            new.append(
                NewItem(item_id=item_id(self.job, key, request), row_key=key,
                        position=position, request=request, name=key)
            )  # fmt: skip
        self.store.put_items(self.job, new)
        self.job_state, self.streak = "active", 0
        for position, key in enumerate(keys):
            row = self.rows.setdefault(key, Row(position))
            row.position, row.is_wanted = position, True
            if row.state in ("vanished", "cancelled"):
                row.attempt, row.state = 0, "done" if row.is_made else "pending"
        for key, row in self.rows.items():
            if key not in keys:
                row.is_wanted = False
                row.state = "running" if row.state == "running" else "vanished"

    @rule(target=claims, worker=st.sampled_from(WORKERS), count=st.integers(1, 3))
    def claim(self, worker, count):
        claims = self.queue.claim(self.job, worker, lease_s=600, count=count)
        expected = self.expected_claims(count)
        assert [claim.item.row_key for claim in claims] == expected
        for claim in claims:
            row = self.rows[claim.item.row_key]
            assert claim.alone == row.is_alone
            row.state, row.attempt = "running", row.attempt + 1
            row.token, row.worker = claim.token, worker
        return multiple(*claims)

    @rule(claim=claims)
    def finish(self, claim):
        row = self.holder(claim)
        assert self.queue.finish(claim, RESULT) == bool(row)
        if row:
            row.state, row.is_made, row.token, self.streak = "done", True, None, 0

    @rule(claim=claims)
    def fail(self, claim):
        row = self.holder(claim)
        assert self.queue.fail(claim, ERROR) == bool(row)
        if row:
            self.model_fail(row)

    @rule(claim=claims, alone=st.booleans())
    def give_back(self, claim, alone):
        row = self.holder(claim)
        assert self.queue.give_back(claim, alone=alone) == bool(row)
        if row:
            self.model_give_back(row, alone)

    @rule(claim=claims)
    def renew(self, claim):
        assert self.queue.renew([claim], lease_s=600) == bool(self.holder(claim))

    @rule(
        worker=st.sampled_from(WORKERS),
        blamed=st.sets(st.sampled_from(KEYS), max_size=2),
        found=st.sets(st.sampled_from(KEYS), max_size=1),
    )
    def die_watched(self, worker, blamed, found):
        ids = {item.row_key: item.item_id for item in self.store.items(self.job)}
        self.queue.release(
            worker,
            [ids.get(key, key) for key in blamed],
            ERROR,
            lambda item: RESULT if item.row_key in found else None,
        )
        for key, row in sorted(self.rows.items(), key=lambda pair: ids[pair[0]]):
            if row.state != "running" or row.worker != worker:
                continue
            if key in found:
                row.state, row.is_made, row.token, self.streak = "done", True, None, 0
            elif blamed == {key}:
                self.model_fail(row)
            else:
                self.model_give_back(row, key in blamed)

    @rule(dead=st.sets(st.sampled_from(WORKERS)), found=st.sets(st.sampled_from(KEYS)))
    def recover(self, dead, found):
        self.queue.recover(
            self.job,
            lambda worker: worker not in dead,
            lambda item: RESULT if item.row_key in found else None,
        )
        for key, row in self.rows.items():
            if row.state == "running" and row.worker in dead:
                row.token = None
                if key in found:
                    row.state, row.is_made, self.streak = "done", True, 0
                else:
                    row.attempt = min(row.attempt, MOST_ATTEMPTS - 1)
                    self.end(row)

    @rule(state=st.sampled_from([JobState.PAUSED, JobState.ACTIVE, JobState.CANCELLED]))
    def set_state(self, state):
        self.store.set_state(self.job, state)
        allowed = {"paused": ("active",), "active": ("paused",),
                   "cancelled": ("planning", "active", "paused")}  # fmt: skip
        if self.job_state in allowed[state]:
            self.job_state, self.streak = str(state), 0
            for row in self.rows.values():
                if state == "cancelled" and row.state == "pending":
                    row.state = "cancelled"

    @rule(keys=st.none() | st.sets(st.sampled_from(KEYS)))
    def retry(self, keys):
        ids = {item.row_key: item.item_id for item in self.store.items(self.job)}
        self.store.retry(self.job, None if keys is None else [ids.get(key, key) for key in keys])
        if self.job_state == "cancelled":
            self.job_state = "active"
        for key, row in self.rows.items():
            if row.state in ("failed", "cancelled") and (keys is None or key in keys):
                row.state, row.attempt, row.is_alone = "pending", 0, False

    @rule()
    def reopen(self):
        self.store.close()
        self.store = JobStore(self.folder / "mmgen.sqlite")
        self.queue = ItemQueue(self.store)

    # --- the model's own rules -------------------------------------------------------

    def expected_claims(self, count):
        if self.job_state != "active":
            return []
        pending = [(r.attempt, r.position, k) for k, r in self.rows.items() if r.state == "pending"]
        if not pending:
            return []
        attempt, _, head = min(pending)
        if count == 1 or self.rows[head].is_alone:
            return [head]
        mates = [k for a, _, k in sorted(pending) if a == attempt and not self.rows[k].is_alone]
        return mates[:count]

    def holder(self, claim):
        row = self.rows[claim.item.row_key]
        return row if row.state == "running" and row.token == claim.token else None

    def end(self, row):
        row.token = None
        row.state = "pending" if row.is_wanted else "vanished"
        if self.job_state == "cancelled":
            row.state = "cancelled"

    def model_fail(self, row):
        if row.attempt >= MOST_ATTEMPTS:
            row.state, row.token = "failed", None
        else:
            self.end(row)
        if row.attempt == 1:
            self.streak += 1
            if self.job_state == "active" and self.streak >= MOST_FAILURES_IN_ROW:
                self.job_state, self.streak = "paused", 0

    def model_give_back(self, row, alone):
        row.attempt, row.is_alone = row.attempt - 1, row.is_alone or alone
        self.end(row)

    @invariant()
    def the_store_says_the_same(self):
        there = {item.row_key: item for item in self.store.items(self.job)}
        assert {key: (item.state, item.attempt, item.position, bool(item.result))
                for key, item in there.items()} == {
            key: (row.state, row.attempt, row.position, row.is_made)
            for key, row in self.rows.items()
        }  # fmt: skip
        assert self.store.job(self.job).state == self.job_state


@pytest.mark.parametrize(
    "sequences", [10, pytest.param(500, marks=[pytest.mark.slow, pytest.mark.timeout(900)])]
)
def test_no_order_of_calls_tells_the_store_from_a_dict(sequences):
    from hypothesis.stateful import run_state_machine_as_test

    few = settings(
        max_examples=sequences,
        stateful_step_count=50,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(StoreMachine, settings=few)
