"""The truth of a catalogue: one SQLite file with rows, attributes and vectors.

Every change is one transaction that takes the write lock at its start, in WAL
mode with synchronous=FULL, so that what was acknowledged survives a crash and
eight processes can add at once. All text from outside is a bound parameter. The
library is the one bundled with apsw: Python's own may have the WAL-reset bug
(https://sqlite.org/wal.html#walresetbug).
"""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import apsw
import numpy as np

from mmgen.catalogue import statements
from mmgen.catalogue.errors import (
    CatalogueBroken,
    CatalogueMissing,
    CatalogueNewer,
    CatalogueOtherModel,
)
from mmgen.catalogue.rows import CatalogueItem, KnownFile, NewItem
from mmgen.errors import OutputDiskFull, OutputNotWritable

FILE = "catalogue.sqlite"
FORMAT = 1
"""PRAGMA user_version; a larger one was written by a newer mmgen."""
_APPLICATION_ID = 0x6D6D6361  # "mmca"
_BUSY_MS = 60_000
_FETCH = 4_096
_MOST_BOUND = 30_000
"""Below SQLite's limit of 32,766 parameters a statement."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class CatalogueFacts:
    """What a catalogue says of itself."""

    name: str
    owner: str
    model: str
    """What the retrieval model was called when the catalogue was made."""
    model_sha256: str
    dimension: int
    index: str = ""
    """Where the index lies: empty for beside the truth, else an address such as s3://..."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class State:
    """Counts that tell an index what it lacks."""

    items: int
    last_id: int
    """Ids only grow; a changed picture gets a new one."""
    removals: int
    """How many rows were ever removed or replaced."""
    change: int
    """Grows with every transaction."""
    model_sha256: str


class CatalogueStore:
    """One open catalogue file; may be used from several threads and processes."""

    def __init__(self, folder: Path, connection: apsw.Connection) -> None:
        self.folder = folder
        self._connection = connection
        self._lock = threading.RLock()

    @classmethod
    def create(cls, folder: Path, facts: CatalogueFacts) -> CatalogueStore:
        """The catalogue in `folder`, made if it is not there; `facts` count only then.

        Raises `OutputNotWritable` and what `open` raises.
        """
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            (folder / FILE).touch(mode=0o600)
        except OSError as error:
            raise OutputNotWritable(path=folder, reason=error.strerror or error) from error
        store = cls(folder, _connect(folder))
        with store._change() as cursor:
            if not statements.version_of(cursor):
                cursor.execute(statements.SCHEMA)
                cursor.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
                cursor.execute(f"PRAGMA user_version = {FORMAT}")
                started = {**dataclasses.asdict(facts), "change": 0, "removals": 0}
                cursor.executemany("INSERT INTO meta VALUES (?, ?)", started.items())
        store._check_version()
        return store

    @classmethod
    def open(cls, folder: Path) -> CatalogueStore:
        """The catalogue in `folder`.

        Raises `CatalogueMissing`, `CatalogueNewer`, or `CatalogueBroken` for a
        file that is no catalogue.
        """
        if not (folder / FILE).is_file():
            raise CatalogueMissing(name=folder.name, allowed="-")
        store = cls(folder, _connect(folder))
        store._check_version()
        return store

    def close(self) -> None:
        """Give the file back; the store cannot be used after."""
        self._connection.close()

    # --- what is there ---------------------------------------------------------------

    def facts(self) -> CatalogueFacts:
        """Name, owner and retrieval model."""
        with self._read() as cursor:
            meta = statements.read_meta(cursor)
        names = [field.name for field in dataclasses.fields(CatalogueFacts)]
        return CatalogueFacts(**{name: meta[name] for name in names if name in meta})

    def change(self) -> int:
        """A number that grows with every transaction; cheaper than `state`."""
        return int(self._all("SELECT value FROM meta WHERE key = 'change'", ())[0][0])

    def state(self) -> State:
        """The counts, all from one moment."""
        with self._read() as cursor:
            meta = statements.read_meta(cursor)
            last = "SELECT seq FROM sqlite_sequence WHERE name = 'items'"
            return State(
                items=statements.single(cursor, "SELECT count(*) FROM items"),
                last_id=statements.single(cursor, last) or 0,
                removals=meta["removals"],
                change=meta["change"],
                model_sha256=meta["model_sha256"],
            )

    def known(self, source: str) -> dict[str, KnownFile]:
        """Key -> file, of everything that came from `source`."""
        sql = f"SELECT {statements.KNOWN} FROM items WHERE source = ?"  # noqa: S608 - a constant
        with self._read() as cursor:
            return {row[3]: statements.known_file(row) for row in cursor.execute(sql, (source,))}

    def with_sha256(self, sha256: str) -> list[KnownFile]:
        """Every row whose picture has these bytes, oldest first."""
        sql = f"SELECT {statements.KNOWN} FROM items WHERE sha256 = ? ORDER BY id"  # noqa: S608
        with self._read() as cursor:
            return [statements.known_file(row) for row in cursor.execute(sql, (sha256,))]

    def files(self) -> Iterator[KnownFile]:
        """Every row, in order of ids."""
        sql = f"SELECT {statements.KNOWN} FROM items WHERE id > ? ORDER BY id LIMIT {_FETCH}"  # noqa: S608
        last = 0
        while rows := self._all(sql, (last,)):
            yield from map(statements.known_file, rows)
            last = rows[-1][0]

    def vector(self, row_id: int) -> bytes:
        """float32 (E,) of one row, little-endian; raises `KeyError`."""
        rows = self._all("SELECT vector FROM items WHERE id = ?", (row_id,))
        if not rows:
            raise KeyError(row_id)
        return bytes(rows[0][0])

    def vectors(
        self, after_id: int = 0, up_to: int = 2**62
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """int64 (B,) ids in order and float32 (B, E) vectors, in pieces."""
        sql = "SELECT id, vector FROM items WHERE id > ? AND id <= ? ORDER BY id LIMIT ?"
        while rows := self._all(sql, (after_id, up_to, _FETCH)):
            ids = np.array([row[0] for row in rows], np.int64)
            joined = b"".join(row[1] for row in rows)
            yield ids, np.frombuffer(joined, "<f4").reshape(len(rows), -1)
            after_id = int(ids[-1])

    def items(self, ids: Sequence[int]) -> list[CatalogueItem]:
        """The rows of `ids` in their order; those that are gone are left out."""
        found: dict[int, CatalogueItem] = {}
        for start in range(0, len(ids), _MOST_BOUND):
            piece = [int(each) for each in ids[start : start + _MOST_BOUND]]
            marks = ",".join("?" * len(piece))
            sql = (
                "SELECT id, item, path, sha256, caption, licence, owner, attributes, seen "  # noqa: S608
                f"FROM items WHERE id IN ({marks})"  # only question marks
            )
            found.update((row[0], statements.catalogue_item(row)) for row in self._all(sql, piece))
        return [found[int(each)] for each in ids if int(each) in found]

    def find(self, item: str) -> CatalogueItem | None:
        """The row with this id of its own, or None."""
        rows = self._all("SELECT id FROM items WHERE item = ?", (item,))
        return self.items([rows[0][0]])[0] if rows else None

    def attribute_names(self) -> list[str]:
        """Every attribute that some row has, sorted."""
        return [row[0] for row in self._all("SELECT DISTINCT name FROM attributes ORDER BY 1", ())]

    def attribute_values(self, name: str, most: int = 40) -> list[str]:
        """The commonest values of an attribute."""
        sql = (
            "SELECT value FROM attributes WHERE name = ? "
            "GROUP BY value ORDER BY count(*) DESC, value LIMIT ?"
        )
        return [row[0] for row in self._all(sql, (name, most))]

    def ids_with(self, name: str, value: str) -> np.ndarray:
        """int64 ids of the rows whose attribute `name` has `value`, in order."""
        # One text instead of a row each: fifty times fewer calls for a common value.
        sql = "SELECT group_concat(id) FROM attributes WHERE name = ? AND value = ?"
        text = self._all(sql, (name, value))[0][0]
        ids = np.array(text.split(",") if text else [], np.int64)
        ids.sort()
        return ids

    # --- changes -----------------------------------------------------------------------

    def put(self, rows: Iterable[NewItem], owner: str, model_sha256: str) -> list[str]:
        """Add rows, or replace those of the same source and key, in one transaction.

        Raises `CatalogueOtherModel` where the vectors are not of the catalogue's model.
        Returns the ids that the items got: the one wished for, or with `#2`,
        `#3` ... where a picture from elsewhere has it already.
        """
        with self._change() as cursor:
            meta = statements.read_meta(cursor)
            if meta["model_sha256"] != model_sha256:
                theirs, ours = meta["model_sha256"][:12], model_sha256[:12]
                raise CatalogueOtherModel(name=meta["name"], theirs=theirs, ours=ours)
            return [statements.put(cursor, row, owner) for row in rows]

    def follow(self, row_id: int, new: NewItem) -> None:
        """The file of a row has moved: same picture, same id, new place and words."""
        with self._change() as cursor:
            cursor.execute(
                "UPDATE items SET source = ?, key = ?, path = ?, size = ?, mtime_ns = ?, "
                "caption = ?, licence = ?, facts = ?, attributes = ?, seen = ? WHERE id = ?",
                (
                    *(new.source, new.key, new.path, new.size, new.mtime_ns),
                    *(new.caption, new.licence, new.facts, statements.as_json(new.attributes)),
                    *(statements.as_json(new.seen), row_id),
                ),
            )
            cursor.execute("DELETE FROM attributes WHERE id = ?", (row_id,))
            statements.put_attributes(cursor, row_id, new)

    def remove(self, ids: Iterable[int]) -> int:
        """Take rows out, in one transaction; returns how many were there."""
        with self._change() as cursor:
            return sum(statements.remove(cursor, row_id) for row_id in ids)

    def put_anew(self, model_sha256: str, vectors: Mapping[int, bytes]) -> None:
        """Keep vectors of another model beside those in use, until all are there."""
        with self._change() as cursor:
            cursor.executemany(
                "INSERT OR REPLACE INTO encoded_anew VALUES (?, ?, ?)",
                ((model_sha256, row_id, vector) for row_id, vector in vectors.items()),
            )

    def ids_anew(self, model_sha256: str) -> set[int]:
        """Rows that have a vector of this other model already."""
        sql = "SELECT id FROM encoded_anew WHERE model_sha256 = ?"
        return {row[0] for row in self._all(sql, (model_sha256,))}

    def switch_model(self, model: str, model_sha256: str, dimension: int) -> int:
        """Use the vectors of `put_anew` from now on, in one transaction.

        Rows without one are taken out, since vectors of two models cannot be
        compared; returns how many.
        """
        with self._change() as cursor:
            lost = cursor.execute(
                "SELECT id FROM items WHERE id NOT IN "
                "(SELECT id FROM encoded_anew WHERE model_sha256 = ?)",
                (model_sha256,),
            ).fetchall()
            for (row_id,) in lost:
                statements.remove(cursor, row_id)
            cursor.execute(
                "UPDATE items SET vector = (SELECT vector FROM encoded_anew "
                "WHERE encoded_anew.id = items.id AND model_sha256 = ?)",
                (model_sha256,),
            )
            cursor.execute("DELETE FROM encoded_anew")
            new = {"model": model, "model_sha256": model_sha256, "dimension": dimension}
            cursor.executemany(
                "UPDATE meta SET value = ? WHERE key = ?",
                ((value, key) for key, value in new.items()),
            )
            cursor.execute("UPDATE meta SET value = value + 1 WHERE key = 'removals'")
            return len(lost)

    def damage(self) -> list[str]:
        """What SQLite finds wrong with the file; nothing, as a rule."""
        rows = self._all("PRAGMA integrity_check", ())
        rows += self._all("PRAGMA foreign_key_check", ())
        return [str(row[0]) for row in rows if row[0] != "ok"]

    # --- connection ----------------------------------------------------------------------

    def _all(self, sql: str, values: Sequence[Any]) -> list[Any]:
        with self._errors(), self._lock:
            return self._connection.execute(sql, values).fetchall()

    @contextlib.contextmanager
    def _read(self) -> Iterator[apsw.Cursor]:
        """A snapshot: nothing changes between the statements inside."""
        with self._errors(), self._lock:
            cursor = self._connection.cursor()
            cursor.execute("BEGIN")
            try:
                yield cursor
            finally:
                cursor.execute("COMMIT")

    @contextlib.contextmanager
    def _change(self) -> Iterator[apsw.Cursor]:
        with self._errors(), self._lock:
            cursor = self._connection.cursor()
            cursor.execute("BEGIN IMMEDIATE")
            try:
                yield cursor
                if statements.version_of(cursor):
                    cursor.execute("UPDATE meta SET value = value + 1 WHERE key = 'change'")
            except BaseException:
                if self._connection.in_transaction:  # a full disk has rolled back by itself
                    cursor.execute("ROLLBACK")
                raise
            cursor.execute("COMMIT")

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except apsw.FullError as error:
            raise OutputDiskFull(path=self.folder / FILE) from error
        except (apsw.ReadOnlyError, apsw.CantOpenError, apsw.PermissionsError) as error:
            raise OutputNotWritable(path=self.folder / FILE, reason=error) from error
        except apsw.Error as error:
            raise CatalogueBroken(path=self.folder / FILE, reason=error) from error

    def _check_version(self) -> None:
        with self._errors(), self._lock:
            version = statements.version_of(self._connection.cursor())
        if version > FORMAT:
            raise CatalogueNewer(path=self.folder / FILE, got=version, limit=FORMAT)
        if version < FORMAT:
            raise CatalogueBroken(path=self.folder / FILE, reason="it is no catalogue")


def _connect(folder: Path) -> apsw.Connection:
    try:
        connection = apsw.Connection(str(folder / FILE))
        connection.set_busy_timeout(_BUSY_MS)
        if statements.version_of(connection.cursor()) <= FORMAT:
            connection.pragma("journal_mode", "WAL")
        connection.pragma("synchronous", "FULL")
        connection.pragma("foreign_keys", True)
        # Names of attributes and ids come from outside; nothing else may.
        connection.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 1)
    except apsw.Error as error:
        raise CatalogueBroken(path=folder / FILE, reason=error) from error
    return connection
