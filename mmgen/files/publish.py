"""Bytes -> files that are there whole or not at all, and never over another file.

Everything is first written to `.part-*` in the same folder and synchronised; a
hard link then claims the name, which fails where the name is taken. A picture
and its record appear in this order, so that whatever stops the process leaves
at worst a labelled picture without its record, which a second run completes.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from mmgen import errors
from mmgen.process import identity, is_gone

PART_PREFIX = ".part-"
_MOST_NAMES = 10_000
_FULL = (errno.ENOSPC, errno.EDQUOT)
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)
_NO_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP)

RecordOf = Callable[[str], bytes]
"""File name of the picture -> the bytes of its record."""


@contextlib.contextmanager
def output_errors(path: Path) -> Iterator[None]:
    """Turn the system's refusals into `OutputDiskFull` and `OutputNotWritable`."""
    try:
        yield
    except errors.OutputError:
        raise
    except OSError as error:
        if error.errno in _FULL:
            raise errors.OutputDiskFull(path=path) from error
        raise errors.OutputNotWritable(path=path, reason=error.strerror or str(error)) from error


@contextlib.contextmanager
def made_folder(folder: Path) -> Iterator[None]:
    """Create the folder; take back what was created when the body fails."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in missing:
            _sync_folder(path.parent)
        yield
    except BaseException:
        for path in missing:
            with contextlib.suppress(OSError):
                path.rmdir()
        raise


def publish_new(
    folder: Path,
    name: str,
    suffix: str,
    data: bytes,
    record_of: RecordOf | None,
    *,
    is_same: Callable[[Path], bool],
    check: Callable[[Path], None],
) -> tuple[Path, bool]:
    """Picture and record under the first free name of NAME, NAME-2, ...; (path, kept).

    Where a name is taken and `is_same(path)`, that file is kept and nothing is
    written, save a record that is missing. `check(path)` runs on the finished
    picture; if it raises, both files are removed.
    """
    with contextlib.ExitStack() as always:
        part: Path | None = None
        for number in range(1, _MOST_NAMES + 1):
            path = folder / (f"{name}{suffix}" if number == 1 else f"{name}-{number}{suffix}")
            if os.path.lexists(path):
                if not is_same(path):
                    continue
                _complete_record(path, record_of, always)
                return path, True
            part = part or _write_part(folder, data, always)
            if _publish_pair(part, path, record_of, check, always):
                return path, False
            if os.path.lexists(path) and is_same(path):
                return path, True
    raise errors.OutputNotWritable(path=folder / name, reason="too many files of this name")


def publish_over(
    path: Path,
    data: bytes,
    record_of: RecordOf | None,
    *,
    check: Callable[[Path], None],
) -> None:
    """Picture and record in place of what is there; on failure the old ones return."""
    record_path = record_path_of(path)
    with contextlib.ExitStack() as always, _on_failure() as undo:
        part = _write_part(path.parent, data, always)
        record_part = _write_record(path, record_of, always)
        _set_aside(path, part, always, undo)
        if record_part:
            _set_aside(record_path, record_part, always, undo)
            # Without its old record the new picture is never described wrongly.
            record_path.unlink(missing_ok=True)
        os.replace(part, path)
        if record_part:
            os.replace(record_part, record_path)
        _sync_folder(path.parent)
        check(path)


def record_path_of(path: Path) -> Path:
    """`NAME.png` -> `NAME.png.json`."""
    return path.with_name(path.name + ".json")


def sweep_parts(folder: Path, older_than_s: float = 3600.0) -> int:
    """Remove what killed processes left; returns how many files.

    Those of a process of this machine that has ended go at once, others by age.
    """
    removed = 0
    for path in folder.glob(PART_PREFIX + "*"):
        writer = path.name.removeprefix(PART_PREFIX).rpartition("-")[0].replace("-", ":")
        with contextlib.suppress(OSError):
            if is_gone(writer) or time.time() - path.stat().st_mtime >= older_than_s:
                path.unlink()
                removed += 1
    return removed


def _publish_pair(
    part: Path,
    path: Path,
    record_of: RecordOf | None,
    check: Callable[[Path], None],
    always: contextlib.ExitStack,
) -> bool:
    """Claim both names; False, with nothing left, where one of them is taken."""
    record_path = record_path_of(path)
    record_part = _write_record(path, record_of, always)
    if record_part and os.path.lexists(record_path) and not _same(record_part, record_path):
        return False
    with _on_failure() as undo:
        if not _claim_for_now(part, path, undo):
            return False
        is_pair = record_part is None or _claim_for_now(record_part, record_path, undo)
        if not is_pair and record_part and not _same(record_part, record_path):
            undo.close()
            return False
        _sync_folder(path.parent)
        check(path)
    return True


def _complete_record(path: Path, record_of: RecordOf | None, always: contextlib.ExitStack) -> None:
    """Write the record of a kept picture whose writer was stopped before it could."""
    if record_of and not os.path.lexists(record_path_of(path)):
        _claim(_write_part(path.parent, record_of(path.name), always), record_path_of(path))
        _sync_folder(path.parent)


@contextlib.contextmanager
def _on_failure() -> Iterator[contextlib.ExitStack]:
    """A stack of steps that run only when the body raises, Ctrl-C included."""
    with contextlib.ExitStack() as undo:
        yield undo
        undo.pop_all()  # reached only when the body did not raise


def _part_name(folder: Path) -> Path:
    """A new name that says which process is writing, so that others know when it is gone."""
    writer = identity(os.getpid()).replace(":", "-")
    return folder / f"{PART_PREFIX}{writer}-{secrets.token_hex(8)}"


def _write_part(folder: Path, data: bytes, always: contextlib.ExitStack) -> Path:
    part = _part_name(folder)
    always.callback(_unlink, part)
    descriptor = os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    with open(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    return part


def _write_record(
    path: Path, record_of: RecordOf | None, always: contextlib.ExitStack
) -> Path | None:
    return None if record_of is None else _write_part(path.parent, record_of(path.name), always)


def _same(one: Path, other: Path) -> bool:
    return one.read_bytes() == other.read_bytes()


def _claim(part: Path, path: Path) -> bool:
    """Give `part` the name `path` unless that name is taken."""
    try:
        os.link(part, path)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        return _claim_without_links(part, path)
    return True


def _claim_for_now(part: Path, path: Path, undo: contextlib.ExitStack) -> bool:
    """A claim that `undo` takes back, by either of the identities it can have."""
    # Registered before the claim: an interrupt between the two must not leave a file.
    undo.callback(_unlink_if_same, path, _identity(part))
    if not _claim(part, path):
        return False
    undo.callback(_unlink_if_same, path, _identity(path))
    return True


def _claim_without_links(part: Path, path: Path) -> bool:
    """The same on disks without hard links (FAT, some network shares)."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    except FileExistsError:
        return False
    try:
        shutil.copyfile(part, path.with_name(part.name + "-copy"))
        os.replace(path.with_name(part.name + "-copy"), path)
    except BaseException:
        _unlink(path.with_name(part.name + "-copy"))
        _unlink(path)
        raise
    return True


def _set_aside(
    path: Path, part: Path, always: contextlib.ExitStack, undo: contextlib.ExitStack
) -> None:
    """Prepare the way back for a file that is about to be replaced by `part`."""
    if not os.path.lexists(path):
        undo.callback(_unlink_if_same, path, _identity(part))
        return
    backup = _part_name(path.parent)
    always.callback(_unlink, backup)
    if not _claim(path, backup):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(backup))
    undo.callback(os.replace, backup, path)


def _identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino


def _unlink_if_same(path: Path, identity: tuple[int, int]) -> None:
    with contextlib.suppress(OSError):
        if _identity(path) == identity:
            path.unlink()


def _unlink(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()


def _sync_folder(folder: Path) -> None:
    """Make the new names durable, where the disk knows how to."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise
    finally:
        os.close(descriptor)
