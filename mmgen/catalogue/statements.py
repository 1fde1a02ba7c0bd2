"""The tables of a catalogue, and the statements that read and write their rows.

Everything from outside is a bound parameter; the only text put together here
are names of columns.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import apsw

from mmgen.catalogue.rows import CatalogueItem, KnownFile, NewItem

SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID;
CREATE TABLE items (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    item TEXT NOT NULL UNIQUE,
    source TEXT NOT NULL,
    key TEXT NOT NULL,
    path TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    caption TEXT,
    licence TEXT,
    owner TEXT NOT NULL,
    facts TEXT NOT NULL,
    attributes TEXT NOT NULL,
    seen TEXT NOT NULL,
    vector BLOB NOT NULL,
    UNIQUE (source, key)
);
CREATE INDEX items_sha256 ON items (sha256);
CREATE TABLE attributes (
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    id INTEGER NOT NULL REFERENCES items (id) ON DELETE CASCADE,
    PRIMARY KEY (name, value, id)
) WITHOUT ROWID;
CREATE INDEX attributes_id ON attributes (id);
CREATE TABLE encoded_anew (
    model_sha256 TEXT NOT NULL,
    id INTEGER NOT NULL,
    vector BLOB NOT NULL,
    PRIMARY KEY (model_sha256, id)
) WITHOUT ROWID;
"""
KNOWN = "id, item, source, key, path, sha256, size, mtime_ns, facts"


def read_meta(cursor: apsw.Cursor) -> dict[str, Any]:
    """Key -> value of what the catalogue says of itself."""
    rows: list[Any] = cursor.execute("SELECT key, value FROM meta").fetchall()
    return dict(rows)


def version_of(cursor: apsw.Cursor) -> int:
    """PRAGMA user_version; 0 for a new file."""
    return int(single(cursor, "PRAGMA user_version"))


def single(cursor: apsw.Cursor, sql: str) -> Any:
    """The first value of the first row, or None."""
    row = cursor.execute(sql).fetchone()
    return row[0] if row else None


def put(cursor: apsw.Cursor, row: NewItem, owner: str) -> str:
    """Add or replace one row; returns the id that the item got."""
    place = (row.source, row.key)
    old = cursor.execute(
        "SELECT id, item FROM items WHERE source = ? AND key = ?", place
    ).fetchone()
    if old:
        remove(cursor, old[0])
    item = old[1] if old else _free_name(cursor, row.item)
    cursor.execute(
        "INSERT INTO items (item, source, key, path, sha256, size, mtime_ns, caption, licence, "
        "owner, facts, attributes, seen, vector) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(item, *place, row.path, row.sha256, row.size, row.mtime_ns),
            *(row.caption, row.licence, owner, row.facts),
            *(as_json(row.attributes), as_json(row.seen), row.vector),
        ),
    )
    put_attributes(cursor, cursor.connection.last_insert_rowid(), row)
    return item


def _free_name(cursor: apsw.Cursor, wished: str) -> str:
    name, number = wished, 1
    while cursor.execute("SELECT 1 FROM items WHERE item = ?", (name,)).fetchone():
        number += 1
        name = f"{wished}#{number}"
    return name


def put_attributes(cursor: apsw.Cursor, row_id: int, row: NewItem) -> None:
    """Make what the source said, and what was seen beside it, searchable."""
    attributes = {**row.seen, **row.attributes}
    cursor.executemany(
        "INSERT OR IGNORE INTO attributes VALUES (?, ?, ?)",
        ((name, value, row_id) for name, values in attributes.items() for value in values),
    )


def remove(cursor: apsw.Cursor, row_id: Any) -> int:
    """Take one row out; returns 1 if it was there."""
    cursor.execute("DELETE FROM items WHERE id = ?", (row_id,))
    removed = cursor.connection.changes()
    cursor.execute("UPDATE meta SET value = value + ? WHERE key = 'removals'", (removed,))
    return removed


def as_json(attributes: Mapping[str, Sequence[str]]) -> str:
    """Attributes as they are stored."""
    return json.dumps(dict(attributes), ensure_ascii=False, separators=(",", ":"))


def known_file(row: Sequence[Any]) -> KnownFile:
    """A row of the columns `KNOWN`."""
    names = KNOWN.split(", ")
    return KnownFile(**dict(zip(names, row, strict=True)))


def catalogue_item(row: Sequence[Any]) -> CatalogueItem:
    """A row of id, item, path, sha256, caption, licence, owner, attributes, seen."""
    given, seen = _attributes(row[7]), _attributes(row[8])
    return CatalogueItem(
        id=row[0],
        item=row[1],
        path=row[2],
        sha256=row[3],
        caption=row[4],
        licence=row[5],
        owner=row[6],
        attributes={**seen, **given},
        seen=seen,
    )


def _attributes(text: str) -> dict[str, tuple[str, ...]]:
    return {name: tuple(values) for name, values in json.loads(text).items()}
