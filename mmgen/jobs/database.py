"""One SQLite file that several processes and threads change at once.

apsw bundles a current SQLite: the one that Python links may be older than
3.51.3, whose write-ahead log can be corrupted by two writers
(https://sqlite.org/wal.html#walresetbug). With synchronous=FULL a commit that
returned survives a power cut.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import apsw

from mmgen.errors import FileUnreadable, OutputDiskFull, OutputNotWritable

BUSY_MS = 60_000
"""How long a writer waits for another one: each change takes milliseconds."""


class Database:
    """Connections to one file, one for each thread; schema brought up to date on opening.

    `migrations`: scripts, the n-th of which leads from `PRAGMA user_version` n to n + 1.
    Raises `OutputNotWritable`, `FileUnreadable`, and `OutputDiskFull` from every change.
    """

    def __init__(self, path: Path | str, migrations: Sequence[str]) -> None:
        self.path = Path(path)
        self._migrations = migrations
        self._local = threading.local()
        self._open: list[apsw.Connection] = []
        self._make_file()
        with self.change():
            self._migrate()

    def read(self, sql: str, values: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """All rows of a query, column name -> value."""
        return list(self.stream(sql, values))

    def stream(self, sql: str, values: Sequence[Any] = ()) -> Iterator[dict[str, Any]]:
        """The rows of a query one by one, as of when it began."""
        with self._errors():
            cursor = self._connection.cursor()
            for row in cursor.execute(sql, tuple(values)):
                names = [column[0] for column in cursor.get_description()]
                yield dict(zip(names, row, strict=True))

    @contextlib.contextmanager
    def change(self) -> Iterator[Database]:
        """Everything within is one transaction, begun IMMEDIATE: all of it or nothing."""
        with self._errors():
            connection = self._connection
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield self
                self._commit()
            except BaseException:
                # A full disk may have rolled back by itself.
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def run(self, sql: str, values: Sequence[Any] = ()) -> int:
        """One statement within `change`; returns how many rows it changed."""
        self._connection.execute(sql, tuple(values))
        return int(self._connection.changes())

    def run_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """One statement for each row, within `change`."""
        self._connection.executemany(sql, rows)

    def close(self) -> None:
        """Close the connections of all threads; none may be in use."""
        for connection in self._open:
            connection.close()
        self._open.clear()
        self._local = threading.local()

    @property
    def _connection(self) -> apsw.Connection:
        connection: apsw.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = apsw.Connection(str(self.path))
            connection.set_busy_timeout(BUSY_MS)
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("PRAGMA foreign_keys=ON")
            self._local.connection = connection
            self._open.append(connection)
        return connection

    def _commit(self) -> None:
        self._connection.execute("COMMIT")

    def _make_file(self) -> None:
        """Prompts are in it: it is readable by its owner alone."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
        except OSError as error:
            reason = error.strerror or str(error)
            raise OutputNotWritable(path=self.path, reason=reason) from error

    def _migrate(self) -> None:
        version = int(self.read("PRAGMA user_version")[0]["user_version"])
        if version > len(self._migrations):
            raise FileUnreadable(path=self.path, reason="it is of a newer version of mmgen")
        for number, script in enumerate(self._migrations[version:], version + 1):
            self._connection.execute(script)
            self._connection.execute(f"PRAGMA user_version={number}")

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        """SQLite's refusals as errors of our own tree."""
        try:
            yield
        except apsw.FullError as error:
            raise OutputDiskFull(path=self.path) from error
        except (apsw.ReadOnlyError, apsw.CantOpenError, apsw.IOError) as error:
            raise OutputNotWritable(path=self.path, reason=str(error)) from error
        except (apsw.CorruptError, apsw.NotADBError) as error:
            raise FileUnreadable(path=self.path, reason=str(error)) from error
