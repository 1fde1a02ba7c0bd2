"""Lending items to workers, and taking back what became of them.

An attempt is counted when an item is claimed, so that one which takes its worker
down with it has been counted too. Each claim has a token, and only who holds the
present one can end the item (fencing): a worker that was thought dead and comes
late changes nothing. Work may happen twice; its effect happens once.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from mmgen.jobs.items import MOST_ATTEMPTS, Claim, Item, ItemState, JobState, Result
from mmgen.jobs.store import JobStore, item_of, note
from mmgen.values import canonical_json

Find = Callable[[Item], Result | None]
"""Looks for the picture of an item on disk."""

MOST_FAILURES_IN_ROW = 20
"""So many items in a row that fail at once speak against the set-up, not the items."""


class ItemQueue:
    """Claims of the items of a `JobStore`."""

    def __init__(self, store: JobStore) -> None:
        self.store = store
        self._database = store.database

    def claim(self, job: str, worker: str, *, lease_s: float, count: int = 1) -> list[Claim]:
        """Up to `count` pending items that one call of the model can draw together.

        Fewest attempts first, then the order of the table: what fails never holds up
        what does not. Empty when there is none, or the job is not active.
        """
        now = time.time()
        claims: list[Claim] = []
        with self._database.change() as change:
            for row in self._next(job, count):
                token = secrets.token_hex(8)
                change.run(
                    """UPDATE items SET state = 'running', attempt = attempt + 1, worker = ?,
                       lease_token = ?, lease_until = ?, began = ?, ended = NULL
                       WHERE item_id = ? AND state = 'pending'""",
                    (worker, token, now + lease_s, now, row["item_id"]),
                )
                lent = {"state": "running", "attempt": row["attempt"] + 1}
                item = item_of({**row, **lent, "worker": worker, "began": now, "ended": None})
                is_alone = bool(row["alone"])
                claims.append(Claim(item=item, token=token, until=now + lease_s, alone=is_alone))
        return claims

    def _next(self, job: str, count: int) -> list[dict[str, Any]]:
        """The first pending item and those that may share its group."""
        head = self._database.read(
            """SELECT items.* FROM items JOIN jobs USING (job_id) WHERE job_id = ?
               AND items.state = 'pending' AND jobs.state = 'active'
               ORDER BY attempt, position, row_key LIMIT 1""",
            (job,),
        )
        if not head or head[0]["alone"] or count == 1:
            return head
        return self._database.read(
            """SELECT * FROM items WHERE job_id = ? AND state = 'pending' AND attempt = ?
               AND draw_group = ? AND alone = 0 ORDER BY position, row_key LIMIT ?""",
            (job, head[0]["attempt"], head[0]["draw_group"], count),
        )

    def renew(self, claims: Iterable[Claim], *, lease_s: float) -> bool:
        """Prolong leases; False when one of them is no longer ours."""
        until = time.time() + lease_s
        with self._database.change() as change:
            renewed = [
                change.run(
                    f"UPDATE items SET lease_until = ? WHERE {_OURS}",
                    (until, claim.item.item_id, claim.token),
                )
                for claim in claims
            ]
        return all(renewed)

    def finish(self, claim: Claim, result: Result) -> bool:
        """The picture is on disk; False, changing nothing, when the claim is no longer ours."""
        with self._database.change() as change:
            changed = change.run(
                f"""UPDATE items SET state = 'done', ended = ?, file = ?, file_sha256 = ?,
                    pixels_sha256 = ?, produce_id = ?, file_bytes = ?, details = ?, error = NULL
                    WHERE {_OURS}""",
                (
                    time.time(), result.file, result.file_sha256, result.pixels_sha256,
                    result.produce_id, result.file_bytes, canonical_json(dict(result.details)),
                    claim.item.item_id, claim.token,
                ),
            )  # fmt: skip
            if changed:
                change.run("UPDATE jobs SET streak = 0 WHERE job_id = ?", (claim.item.job_id,))
        return bool(changed)

    def fail(self, claim: Claim, error: Mapping[str, Any]) -> bool:
        """This attempt failed: pending again, or `failed` after the last one.

        `error`: code, detail and params, plain JSON. `MOST_FAILURES_IN_ROW` items in
        a row that fail at their first attempt pause the job. False as `finish`.
        """
        with self._database.change():
            return self._fail(claim.item, claim.token, error)

    def give_back(self, claim: Claim, *, alone: bool = False) -> bool:
        """Not begun, or stopped on request: pending again, the attempt not counted.

        `alone`: from now on drawn in no company. In a cancelled job the item is
        cancelled. False as `finish`.
        """
        with self._database.change():
            return self._give_back(claim.item.item_id, claim.token, alone=alone)

    def release(
        self, worker: str, blamed: Iterable[str], error: Mapping[str, Any], find: Find
    ) -> None:
        """A watched worker is dead: take back all it held.

        `blamed`: the items that were in work. One alone has failed an attempt; of
        several nobody knows which it was, so each is drawn alone next time. `find`
        as in `recover`.
        """
        suspects = set(blamed)
        for row in self._running("worker = ?", worker):
            if self._found(row, find):
                continue
            item, token = item_of(row), row["lease_token"]
            with self._database.change():
                if suspects == {item.item_id}:
                    self._fail(item, token, error)
                else:
                    self._give_back(item.item_id, token, alone=item.item_id in suspects)

    def recover(self, job: str, is_alive: Callable[[str], bool], find: Find) -> int:
        """Take back what nobody works on any more; returns how many items.

        For items whose lease has run out or whose worker, as `is_alive` says, has
        gone unseen. `find` looks for a picture that reached the disk before its
        worker could say so. Attempts stay counted, but the last one is given
        again: an item is only set aside when somebody saw it fail.
        """
        now = time.time()
        lost = [
            row
            for row in self._running("job_id = ?", job)
            if row["lease_until"] < now or not is_alive(row["worker"])
        ]
        for row in lost:
            if self._found(row, find):
                continue
            claim = (row["item_id"], row["lease_token"])
            with self._database.change() as change:
                change.run(
                    f"UPDATE items SET attempt = min(attempt, ?) WHERE {_OURS}",
                    (MOST_ATTEMPTS - 1, *claim),
                )
                self._end(*claim, ItemState.PENDING)
        return len(lost)

    def _found(self, row: Mapping[str, Any], find: Find) -> bool:
        """Whether the picture of a lost claim is on disk; then the item is done."""
        item = item_of(row)
        result = find(item)
        return result is not None and self.finish(
            Claim(item=item, token=row["lease_token"], until=row["lease_until"]), result
        )

    def is_open(self, job: str) -> bool:
        """Whether the job has items that are pending or running."""
        sql = "SELECT 1 FROM items WHERE job_id = ? AND state IN ('pending', 'running') LIMIT 1"
        return bool(self._database.read(sql, (job,)))

    def _running(self, where: str, value: str) -> list[dict[str, Any]]:
        return self._database.read(
            f"SELECT * FROM items WHERE state = 'running' AND {where}", (value,)
        )

    def _fail(self, item: Item, token: str, error: Mapping[str, Any]) -> bool:
        is_last = item.attempt >= MOST_ATTEMPTS
        state = ItemState.FAILED if is_last else ItemState.PENDING
        if not self._end(item.item_id, token, state, canonical_json(dict(error))):
            return False
        kind = "item.failed" if is_last else "item.attempt_failed"
        note(self._database, item.job_id, item.item_id, kind, error)
        if item.attempt == 1:
            self._count_streak(item.job_id)
        return True

    def _count_streak(self, job: str) -> None:
        run = self._database.run
        run("UPDATE jobs SET streak = streak + 1 WHERE job_id = ?", (job,))
        paused = run(
            """UPDATE jobs SET state = 'paused', reason = 'job.failures', streak = 0
               WHERE job_id = ? AND state = 'active' AND streak >= ?""",
            (job, MOST_FAILURES_IN_ROW),
        )
        if paused:
            note(self._database, job, None, "job.paused", {"reason": "job.failures"})

    def _give_back(self, item: str, token: str, *, alone: bool) -> bool:
        self._database.run(
            f"UPDATE items SET attempt = attempt - 1, alone = max(alone, ?) WHERE {_OURS}",
            (int(alone), item, token),
        )
        return self._end(item, token, ItemState.PENDING)

    def _end(self, item: str, token: str, state: ItemState, error: str | None = None) -> bool:
        """End a claim; what nobody wants any more is not pending again."""
        if state == ItemState.PENDING:
            state = self._state_of_unfinished(item)
        return bool(
            self._database.run(
                f"""UPDATE items SET state = ?, ended = ?, lease_token = NULL,
                    error = coalesce(?, error) WHERE {_OURS}""",
                (state, time.time(), error, item, token),
            )
        )

    def _state_of_unfinished(self, item: str) -> ItemState:
        sql = """SELECT jobs.state, items.plan < jobs.plan AS is_old
                 FROM items JOIN jobs USING (job_id) WHERE item_id = ?"""
        rows = self._database.read(sql, (item,))
        if rows and rows[0]["state"] == JobState.CANCELLED:
            return ItemState.CANCELLED
        return ItemState.VANISHED if rows and rows[0]["is_old"] else ItemState.PENDING


_OURS = "item_id = ? AND lease_token = ? AND state = 'running'"
"""The fence: true for who holds the present claim alone."""
