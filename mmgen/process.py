"""Who a process is, whether it still runs, and what memory it holds."""

from __future__ import annotations

import functools
import os
from pathlib import Path

_PROC = Path("/proc")


def identity(pid: int) -> str:
    """A name of the process `pid` that no later process will bear: boot, pid, start."""
    return f"{_boot()}:{pid}:{_start(pid) or 0}"


def is_alive(name: str) -> bool:
    """Whether the process that `identity` named still runs on this machine.

    A name of another form (a worker elsewhere) counts as alive: only its lease
    can tell.
    """
    boot, pid, start = (*name.split(":"), "", "")[:3]
    if not pid.isdigit() or not start.isdigit():
        return True
    if boot != _boot():
        return False
    if not _PROC.is_dir():
        return _answers(int(pid))
    return _start(int(pid)) == int(start)


def is_gone(name: str) -> bool:
    """Whether the process that `name` stands for certainly ran here and has ended."""
    return name.split(":")[0] == _boot() and not is_alive(name)


def memory_bytes(pid: int) -> int:
    """Resident memory of a process; 0 where it cannot be told."""
    try:
        pages = int((_PROC / str(pid) / "statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


@functools.cache
def _boot() -> str:
    try:
        return (_PROC / "sys/kernel/random/boot_id").read_text().strip()[:8]
    except OSError:
        return "boot"


def _start(pid: int) -> int | None:
    """Clock ticks from boot to the start of a process; None when it is gone or a zombie."""
    try:
        # The name, in parentheses, may hold blanks; what follows does not.
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def _answers(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
