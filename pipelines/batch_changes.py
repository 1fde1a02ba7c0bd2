"""What a table changes in the job of its folder, before anything is changed."""

from __future__ import annotations

from pathlib import Path

from mmgen.jobs.items import ItemState
from mmgen.jobs.store import JobStore
from pipelines.batch import PlannedRow


class TableChanges:
    """Counts rows as they are added; a row is told by its key, as everywhere.

        changes = TableChanges(store, folder)
        for row in plan.rows():
            changes.add(row)
        changes.new, changes.vanished

    Without a job of that folder every row is new, and none is looked at.
    """

    def __init__(self, store: JobStore | None, folder: Path) -> None:
        """`store`: None where there is none yet."""
        resolved = str(folder.resolve())
        jobs = store.jobs() if store else []
        self._job = next((job.job_id for job in jobs if job.folder == resolved), None)
        self.new = self.changed = self.unchanged = 0
        """Rows whose key is new; whose pictures are others or of another number; the rest."""
        self.to_draw = 0
        """Pictures that a run would draw: not those that are there, nor those set aside."""
        self._keys: dict[str, int] = {}
        """Key of a row in the job -> the sum of its items' ids."""
        self._settled: set[int] = set()
        if store and self._job:
            self._read(store, self._job)

    def _read(self, store: JobStore, job: str) -> None:
        for outline in store.outlines(job):
            identity = int(outline.item_id, 16)
            if outline.state != ItemState.VANISHED:
                self._keys[outline.row_key] = self._keys.get(outline.row_key, 0) + identity
            if outline.has_picture or outline.state == ItemState.FAILED:
                self._settled.add(identity)

    def add(self, row: PlannedRow) -> None:
        """Count one row of the table."""
        if self._job is None:
            self.new += 1
            self.to_draw += len(row.seeds)
            return
        ids = [int(item.item_id, 16) for item in row.items(self._job, 0)]
        self.to_draw += sum(identity not in self._settled for identity in ids)
        before = self._keys.pop(row.key, None)
        if before is None:
            self.new += 1
        elif before == sum(ids):
            self.unchanged += 1
        else:
            self.changed += 1

    @property
    def vanished(self) -> int:
        """Rows of the job that were not added."""
        return len(self._keys)
