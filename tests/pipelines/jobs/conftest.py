"""Jobs of numpy pictures: planned, run by real worker processes, judged from outside."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmgen.home import database_path
from mmgen.jobs.store import JobStore

HERE = Path(__file__).resolve().parent


@pytest.fixture(autouse=True)
def makers(monkeypatch):
    """Let worker processes find `job_makers`."""
    monkeypatch.setenv("PYTHONPATH", str(HERE))
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")


@pytest.fixture
def store(empty_home):
    opened = JobStore(database_path())
    yield opened
    opened.close()
