"""The tables of `mmgen.sqlite`, as scripts that lead from one version to the next.

A script that has shipped is never edited; a change is a further script.
"""

from __future__ import annotations

MIGRATIONS = (
    """
    CREATE TABLE jobs (
        job_id TEXT PRIMARY KEY,
        owner TEXT NOT NULL,
        kind TEXT NOT NULL,
        job_class TEXT NOT NULL,
        folder TEXT NOT NULL,
        params TEXT NOT NULL,
        state TEXT NOT NULL,
        reason TEXT,
        created REAL NOT NULL,
        plan INTEGER NOT NULL DEFAULT 0,
        micro_batch INTEGER,
        streak INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    CREATE TABLE items (
        item_id TEXT PRIMARY KEY,
        job_id TEXT NOT NULL REFERENCES jobs,
        row_key TEXT NOT NULL,
        position INTEGER NOT NULL,
        state TEXT NOT NULL,
        attempt INTEGER NOT NULL DEFAULT 0,
        plan INTEGER NOT NULL,
        request TEXT NOT NULL,
        name TEXT NOT NULL,
        subfolder TEXT NOT NULL,
        pictures TEXT NOT NULL,
        row TEXT NOT NULL,
        options TEXT NOT NULL,
        draw_group TEXT NOT NULL,
        alone INTEGER NOT NULL DEFAULT 0,
        worker TEXT,
        lease_token TEXT,
        lease_until REAL,
        began REAL,
        ended REAL,
        file TEXT,
        file_sha256 TEXT,
        pixels_sha256 TEXT,
        produce_id TEXT,
        file_bytes INTEGER,
        details TEXT,
        error TEXT
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX items_to_claim ON items (job_id, state, attempt, position, row_key);
    CREATE INDEX items_running ON items (worker) WHERE state = 'running';
    CREATE INDEX items_ended ON items (job_id, ended) WHERE state = 'done';
    CREATE INDEX items_in_order ON items (job_id, position);
    CREATE TABLE events (
        event_id INTEGER PRIMARY KEY,
        job_id TEXT NOT NULL REFERENCES jobs,
        item_id TEXT,
        time REAL NOT NULL,
        kind TEXT NOT NULL,
        detail TEXT NOT NULL
    ) STRICT;
    CREATE INDEX events_of_job ON events (job_id, event_id);
    """,
)
