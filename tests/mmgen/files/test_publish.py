"""Whatever the disk refuses, the folder is as it was, or the pair is whole."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mmgen import errors
from mmgen.files import publish
from mmgen.files.read import verify
from mmgen.files.write import SavedPicture

Save = Callable[..., SavedPicture]
CALLS = ("open", "link", "replace", "fsync")
MOST_CALLS = 30


class FailingSystem:
    """`os` whose n-th counted call raises; all other names are the real ones.

    With `is_late` the call does its work first, as when a signal comes right after.
    """

    def __init__(self, fail_at: int, error: BaseException, is_late: bool = False) -> None:
        self.fail_at, self.error, self.is_late, self.done = fail_at, error, is_late, 0

    def __getattr__(self, name: str) -> Any:
        real = getattr(os, name)
        if name not in CALLS:
            return real

        def counted(*arguments: Any, **options: Any) -> Any:
            self.done += 1
            if self.done == self.fail_at:
                if self.is_late:
                    real(*arguments, **options)
                raise self.error
            return real(*arguments, **options)

        return counted


def listing(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()} if folder.exists() else {}


@pytest.mark.parametrize("mode", ["new", "taken", "overwrite"])
@pytest.mark.parametrize(
    ("error", "expected", "is_late"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), errors.OutputDiskFull, False),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), errors.OutputDiskFull, False),
        (OSError(errno.EROFS, "Read-only file system"), errors.OutputNotWritable, False),
        (OSError(errno.EIO, "Input/output error"), errors.OutputNotWritable, True),
        (KeyboardInterrupt(), KeyboardInterrupt, False),
        (KeyboardInterrupt(), KeyboardInterrupt, True),
    ],
)
def test_the_nth_call_fails_for_every_n(
    save: Save,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    mode: str,
    error: BaseException,
    expected: type[BaseException],
    is_late: bool,
) -> None:
    folder = tmp_path / "out"
    if mode != "new":
        save(0)
    for fail_at in range(1, MOST_CALLS):
        before = listing(folder)
        with monkeypatch.context() as patch:
            patch.setattr(publish, "os", FailingSystem(fail_at, error, is_late))
            try:
                saved = save(1, overwrite=mode == "overwrite")
            except expected:
                assert listing(folder) == before, fail_at
                assert folder.exists() == (mode != "new")
                continue
        break
    else:
        pytest.fail("never ran to its end")
    assert fail_at > 5
    assert not list(folder.glob(".part-*"))
    assert verify(saved.path).has_record


@pytest.mark.parametrize("overwrite", [False, True])
def test_files_are_synchronised_before_their_names_and_the_folder_after(
    save: Save, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, overwrite: bool
) -> None:
    steps: list[str] = []

    class Watched:
        def __getattr__(self, name: str) -> Any:
            real = getattr(os, name)
            if name not in ("link", "replace", "fsync"):
                return real

            def watched(*arguments: Any) -> Any:
                is_folder = name == "fsync" and stat.S_ISDIR(os.fstat(arguments[0]).st_mode)
                steps.append("folder" if is_folder else name)
                return real(*arguments)

            return watched

    monkeypatch.setattr(publish, "os", Watched())
    save(overwrite=overwrite)
    name = "replace" if overwrite else "link"
    # The first: a folder that is new must be found in its parent before anything lies in it.
    assert steps == ["folder", "fsync", "fsync", name, name, "folder"]


def test_a_new_picture_never_stands_beside_the_old_record(
    save: Save, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that a process killed in between leaves no record of other pixels."""
    save(0)
    real, seen = os.replace, []

    def replace(source: Path, target: Path) -> None:
        real(source, target)
        seen.append({path.name for path in (tmp_path / "out").glob("picture*")})

    monkeypatch.setattr(os, "replace", replace)
    save(1, overwrite=True)
    assert seen == [{"picture.png"}, {"picture.png", "picture.png.json"}]


def test_disks_without_hard_links_work_too(
    save: Save, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_link(*_: Any, **__: Any) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_link)
    assert [save(seed).path.name for seed in (0, 1, 0)] == [
        "picture.png",
        "picture-2.png",
        "picture.png",
    ]
    saved = save(2, overwrite=True)
    assert verify(saved.path).has_record
    assert sorted(listing(tmp_path / "out")) == [
        "picture-2.png",
        "picture-2.png.json",
        "picture.png",
        "picture.png.json",
    ]


def test_the_pair_is_removed_when_the_label_check_fails_without_links(
    save: Save, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_link(*_: Any, **__: Any) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    def lost(path: Path, label: Any) -> None:
        raise errors.LabelLost(path=path)

    monkeypatch.setattr(os, "link", no_link)
    monkeypatch.setattr("mmgen.files.write._check_label", lost)
    with pytest.raises(errors.LabelLost):
        save()
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("place", ["file/out", "/proc/out", "/dev/null/out", "x" * 300])
def test_a_folder_that_cannot_be_is_refused(save: Save, tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("a file")
    before = listing(tmp_path)
    with pytest.raises(errors.OutputNotWritable, match="choose another folder"):
        save(folder=tmp_path / place)
    assert listing(tmp_path) == before


def test_folders_made_for_nothing_are_taken_back(
    save: Save, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        publish, "os", FailingSystem(1, OSError(errno.ENOSPC, "No space left on device"))
    )
    with pytest.raises(errors.OutputDiskFull):
        save(folder=tmp_path / "a" / "b" / "c")
    assert listing(tmp_path) == {}


def test_overwriting_a_folder_is_refused(save: Save, tmp_path: Path) -> None:
    (tmp_path / "out" / "picture.png").mkdir(parents=True)
    with pytest.raises(errors.OutputNotWritable):
        save(overwrite=True)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["picture.png"]


def test_what_a_killed_process_left_is_swept(tmp_path: Path) -> None:
    old, new, other = (tmp_path / name for name in (".part-old", ".part-new", "part-mine"))
    for path in (old, new, other):
        path.write_bytes(b"x")
    os.utime(old, (0, time.time() - 7200))
    os.utime(other, (0, 0))
    assert publish.sweep_parts(tmp_path) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == [".part-new", "part-mine"]


PROGRAM = """
import errno, pathlib, subprocess, sys
import numpy as np
from mmgen import errors
from mmgen.files.write import save_picture
from mmgen.values import ImageRequest
folder, option = pathlib.Path(sys.argv[1]), sys.argv[2]
subprocess.run(["mount", "-t", "tmpfs", "-o", option, "tmpfs", folder], check=True)
model = {"id": "embedded", "revision": None, "sha256": "ab" * 32, "licence": "x"}
noise = np.random.default_rng(0).integers(0, 256, (256, 192, 3), dtype=np.uint8)
written = 0
try:
    for seed in range(50):
        request = ImageRequest(prompt="x", seed=seed)
        save_picture(noise, folder=folder, name=str(seed), request=request, model=model)
        written += 1
except errors.OutputError as error:
    names = sorted(path.name for path in folder.iterdir())
    print(error.code, written, len(names), any(name.startswith(".part") for name in names))
"""


@pytest.mark.parametrize(("option", "said"), [("size=1m", "disk_full"), ("ro", "not_writable")])
def test_a_real_disk_that_is_full_or_read_only(tmp_path: Path, option: str, said: str) -> None:
    unshare = shutil.which("unshare")
    if unshare is None or subprocess.run([unshare, "-rm", "true"], check=False).returncode:
        pytest.skip("no user namespaces here")
    out = subprocess.run(
        [unshare, "-rm", sys.executable, "-c", PROGRAM, str(tmp_path), option],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert out[0] == f"output.{said}"
    written, left = int(out[1]), int(out[2])
    assert left == 2 * written
    assert out[3] == "False"
    assert (written > 3) == (said == "disk_full")
