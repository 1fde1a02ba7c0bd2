"""Do the tests bite? Each planted bug, in a copy of the code, must fail the test named."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PUBLISH, QUEUE = "mmgen/files/publish.py", "mmgen/jobs/queue.py"
QUEUE_TESTS = "tests/mmgen/jobs/test_queue.py"
TRACE = (
    "tests/pipelines/jobs/test_faults.py"
    "::test_each_picture_is_synchronised_before_it_is_said_to_be_done"
)
KILLED = "tests/pipelines/jobs/test_kill.py::test_killed_at_every_step_of_the_write_order"

BUGS = {
    "no fsync of the file": (PUBLISH, "        os.fsync(file.fileno())\n", "", TRACE),
    "no fsync of the folder": (
        PUBLISH, "    try:\n        os.fsync(descriptor)\n", "    try:\n        pass\n", TRACE,
    ),
    "no fsync of the folder's own name": (
        PUBLISH, "            _sync_folder(path.parent)\n        yield", "            pass\n"
        "        yield", TRACE,
    ),
    "commits are not synchronised": (
        "mmgen/jobs/database.py", "PRAGMA synchronous=FULL", "PRAGMA synchronous=OFF", TRACE,
    ),
    "the label is not read back": (
        "mmgen/files/write.py", "        _check_label(path, label)\n", "        pass\n",
        "tests/mmgen/files/test_write.py",
    ),
    "no fence": (
        QUEUE, "_OURS = \"item_id = ? AND lease_token = ? AND state = 'running'\"",
        "_OURS = \"item_id = ? AND ? <> '' AND state = 'running'\"", QUEUE_TESTS,
    ),
    "the attempt is not counted at the claim": (
        QUEUE, "attempt = attempt + 1", "attempt = attempt", QUEUE_TESTS,
    ),
    "recovery takes from the living": (
        QUEUE, " or not is_alive(row[\"worker\"])", " or True", QUEUE_TESTS,
    ),
    "recovery forgets what is on disk": (
        QUEUE, "        result = find(item)\n", "        result = None\n", QUEUE_TESTS,
    ),
    "an item is set aside unseen": (
        QUEUE, "min(attempt, ?) WHERE", "max(attempt, ?) WHERE", QUEUE_TESTS,
    ),
    "suspects share a worker again": (
        QUEUE, "alone = max(alone, ?)", "alone = min(alone, ?)", QUEUE_TESTS,
    ),
    "half-written files are left": (
        "pipelines/item_maker.py", "    sweep_parts(folder)\n", "", KILLED,
    ),
    "a half-read table runs": (
        "mmgen/jobs/store.py", "plan = plan + 1, state = 'planning'", "plan = plan + 1",
        QUEUE_TESTS,
    ),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("bug", BUGS)
def test_a_planted_bug_is_caught(bug, tmp_path):
    path, right, wrong, tests = BUGS[bug]
    for name in ("mmgen", "pipelines", "training", "ui", "tests"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, tmp_path / name, ignore=ignored)
    (tmp_path / "assets").symlink_to(ROOT / "assets")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    source = (tmp_path / path).read_text("utf-8")
    assert source.count(right) == 1, f"{right!r} stands {source.count(right)} times in {path}"
    (tmp_path / path).write_text(source.replace(right, wrong), "utf-8")
    quick = [] if tests == TRACE else ["-m", "not slow"]
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *quick, tests],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1, result.stdout[-2000:] + result.stderr[-2000:]
    assert "1 failed" in result.stdout
