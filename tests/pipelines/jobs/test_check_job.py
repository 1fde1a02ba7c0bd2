"""`jobs check`: each planted disagreement of store, files, labels and records is found."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from forked import draw_all, in_child
from planning import plan, prompts

from mmgen.home import database_path
from mmgen.jobs.store import JobStore
from pipelines.check_job import check_job

PICTURE, RECORD = "SKU0000-1.png", "SKU0000-1.png.json"


def change(store, sql):
    """Change the row SKU0000 behind the store's back."""
    with store.database.change() as open_change:
        open_change.run(f"UPDATE items SET {sql} WHERE row_key = 'SKU0000'")


def edit_record(folder, function):
    path = folder / RECORD
    record = json.loads(path.read_text("utf-8"))
    function(record)
    path.write_text(json.dumps(record), "utf-8")


def flip_a_pixel(store, folder):
    data = bytearray((folder / PICTURE).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / PICTURE).write_bytes(data)


def strip_the_label(store, folder):
    from PIL import Image

    with Image.open(folder / PICTURE) as picture:
        picture.load()
    picture.save(folder / PICTURE)


def unclaim(store, folder):
    change(store, "state = 'pending', file_sha256 = NULL")


PLANTED = {
    "file.missing": lambda store, folder: (folder / PICTURE).unlink(),
    "file.changed": flip_a_pixel,
    "file.shared": lambda store, folder: change(
        store,
        "file = (SELECT file FROM items WHERE row_key = 'SKU0002')",
    ),
    "file.outside": lambda store, folder: change(store, "file = '../../elsewhere.png'"),
    "file.half_written": lambda store, folder: (folder / ".part-1-2-3-4").write_bytes(b"half"),
    "file.unclaimed": unclaim,
    "label.broken": strip_the_label,
    "label.other": lambda store, folder: change(store, "produce_id = 'another'"),
    "record.missing": lambda store, folder: (folder / RECORD).unlink(),
    "record.broken": lambda store, folder: (folder / RECORD).write_text("{}"),
    "record.other_item": lambda store, folder: edit_record(
        folder, lambda record: record["job"].update(item="0" * 32)
    ),
    "item.attempts": lambda store, folder: change(store, "attempt = 7"),
    "item.no_result": lambda store, folder: change(store, "file_sha256 = NULL"),
    "item.no_reason": lambda store, folder: change(store, "state = 'failed'"),
    "item.abandoned": lambda store, folder: change(store, "state = 'running', worker = 'x:1:1'"),
    "item.request": lambda store, folder: change(
        store, "request = replace(request, '\"seed\":0', '\"seed\":9')"
    ),
}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """A home and a folder with a job of four pictures, to be copied and harmed."""
    patch = pytest.MonkeyPatch()
    place = tmp_path_factory.mktemp("drawn")
    patch.setenv("MMGEN_HOME", str(place / "home"))
    store = JobStore(database_path())
    job = plan(store, place / "out", prompts(4))
    store.close()
    assert in_child(draw_all, database_path(), job) == 0
    patch.undo()
    return place


@pytest.fixture
def harmed(drawn, tmp_path):
    """The same, for one test: the store, the job and its folder."""
    shutil.copytree(drawn, tmp_path / "copy")
    store = JobStore(tmp_path / "copy" / "home" / "mmgen.sqlite")
    with store.database.change() as moved:
        moved.run("UPDATE jobs SET folder = ?", (str(tmp_path / "copy" / "out"),))
    (job,) = store.jobs()
    yield store, job, Path(job.folder)
    store.close()


def test_a_job_that_is_whole_has_no_findings(harmed):
    store, job, _ = harmed
    assert list(check_job(store, job)) == []


@pytest.mark.parametrize("code", PLANTED)
def test_a_planted_disagreement_is_found(code, harmed):
    store, job, folder = harmed
    PLANTED[code](store, folder)
    assert code in {finding.code for finding in check_job(store, job)}


def test_other_peoples_files_are_no_findings(harmed):
    store, job, folder = harmed
    (folder / "notes.txt").write_text("mine")
    shutil.copy(folder / PICTURE, folder / "copy-without-record.png")
    assert list(check_job(store, job)) == []
