"""The index of a catalogue on object storage: a LanceDB table, derived from the truth.

For collections that several machines search (`s3://bucket/prefix`, extra `lance`).
One table; rows and the note of what they cover go into one commit, so a reader
sees either the old state or the new one. LanceDB calls no fsync, so whatever
cannot be read is built again from SQLite.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
import warnings
from collections.abc import Iterator
from typing import Any

import lancedb
import numpy as np

from mmgen.catalogue.errors import IndexRebuilt
from mmgen.catalogue.store import CatalogueStore, State

_TABLE = "vectors"
_NOTE = 0
"""The id of the row that says what the table covers; ids of pictures begin at 1."""
_FAULTS = (OSError, RuntimeError, ValueError, KeyError)
"""What LanceDB raises for files that are gone or damaged."""


class LanceIndex:
    """Implements `mmgen.catalogue.index.VectorIndex` at an address or in a folder."""

    def __init__(self, address: str, storage_options: dict[str, str] | None = None) -> None:
        # Other processes write too: every call asks for the newest version.
        self._database = lancedb.connect(
            address,
            storage_options=storage_options,
            read_consistency_interval=datetime.timedelta(0),
        )
        self._store: CatalogueStore | None = None
        self._seen: State | None = None

    def refresh(self, store: CatalogueStore) -> str | None:
        """Take over what changed since; returns what was damaged and is rebuilt, or None."""
        self._store = store
        if self._seen and self._seen.change == store.change():
            return None
        state = store.state()
        try:
            note = self._note()
        except _FAULTS as error:
            was_there = _TABLE in self._names()
            self._build(store, state)
            return type(error).__name__ if was_there else None
        is_same = (note["model_sha256"], note["removals"]) == (state.model_sha256, state.removals)
        if not is_same or note["last_id"] > state.last_id:
            self._build(store, state)
        elif note["last_id"] < state.last_id:
            table = self._table()
            for rows in self._rows(store, note["last_id"], state):
                merge = table.merge_insert("id").when_matched_update_all()
                merge.when_not_matched_insert_all().execute(rows)
        self._seen = state
        return None

    def rebuild(self, store: CatalogueStore) -> None:
        """Build everything anew from the truth."""
        self._store = store
        self._build(store, store.state())

    def search(
        self, query: np.ndarray, k: int, within: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """See `VectorIndex.search`; call `refresh` first."""
        if within is not None and not len(within):
            return np.empty(0, np.float32), np.empty(0, np.int64)
        try:
            return self._search(query, k, within)
        except _FAULTS as error:
            assert self._store is not None
            self.rebuild(self._store)
            name = self._store.facts().name
            warnings.warn(IndexRebuilt(name=name, reason=type(error).__name__), stacklevel=3)
            return self._search(query, k, within)

    def _search(
        self, query: np.ndarray, k: int, within: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        # Only whole numbers of our own stand in the condition.
        condition = f"id > {_NOTE}"
        if within is not None:
            condition = f"id IN ({','.join(str(int(each)) for each in within)})"
        found = (
            self._table()
            .search(np.asarray(query, np.float32).reshape(-1), vector_column_name="vector")
            .distance_type("dot")
            .where(condition, prefilter=True)
            .select(["id", "_distance"])
            .limit(k)
            .to_arrow()
        )
        scores = 1 - found["_distance"].to_numpy()
        ids = found["id"].to_numpy()
        order = np.lexsort((ids, -scores))
        return scores[order].astype(np.float32), ids[order]

    def _build(self, store: CatalogueStore, state: State) -> None:
        if _TABLE in self._names():
            self._database.drop_table(_TABLE)
        pieces = self._rows(store, 0, state)
        table = self._database.create_table(_TABLE, next(pieces), mode="overwrite")
        for rows in pieces:
            merge = table.merge_insert("id").when_matched_update_all()
            merge.when_not_matched_insert_all().execute(rows)
        self._seen = state

    def _rows(self, store: CatalogueStore, after_id: int, state: State) -> Iterator[Any]:
        """Arrow tables of rows after an id; each carries the note of what it completes."""
        import pyarrow as pa

        dimension = store.facts().dimension
        kind = pa.list_(pa.float32(), dimension)
        pieces = [*store.vectors(after_id, state.last_id)]
        pieces = pieces or [(np.empty(0, np.int64), np.empty((0, dimension), np.float32))]
        for number, (ids, vectors) in enumerate(pieces, 1):
            is_last = number == len(pieces)
            covered = state.last_id if is_last else int(ids[-1])
            note = json.dumps({**dataclasses.asdict(state), "last_id": covered})
            flat = np.concatenate([vectors.reshape(-1), np.zeros(dimension, np.float32)])
            yield pa.table(
                {
                    "id": pa.array([*ids.tolist(), _NOTE], pa.int64()),
                    "vector": pa.FixedSizeListArray.from_arrays(pa.array(flat), type=kind),
                    "note": pa.array([*[None] * len(ids), note], pa.string()),
                }
            )

    def _note(self) -> dict[str, Any]:
        """What the table covers; raises one of `_FAULTS` where it cannot be read."""
        rows = self._table().search().where(f"id = {_NOTE}").limit(1).to_list()
        if not rows:
            raise KeyError("the note is gone")
        note: dict[str, Any] = json.loads(rows[0]["note"])
        return note

    def _table(self) -> Any:
        return self._database.open_table(_TABLE)

    def _names(self) -> list[str]:
        return list(self._database.list_tables().tables)
