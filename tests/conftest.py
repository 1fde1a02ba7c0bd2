"""What every test gets: an empty home, no network, one thread for torch."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

# Set before any test imports torch or diffusers.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["DIFFUSERS_DISABLE_REMOTE_CODE"] = "1"

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(autouse=True)
def empty_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own for each test, and none of the caller's settings."""
    for name in ("DEVICE", "LANG", "MODEL", "OFFLINE"):
        monkeypatch.delenv(f"MMGEN_{name}", raising=False)
    for name in ("HF_ENDPOINT", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("MMGEN_HOME", str(home))
    return home


@pytest.fixture(autouse=True, scope="session")
def no_network() -> Iterator[None]:
    """A connection to anything but this machine fails the test that tries it."""
    connect = socket.socket.connect

    def refuse(self: socket.socket, address: Any) -> None:
        is_remote = self.family in (socket.AF_INET, socket.AF_INET6) and not str(
            address[0]
        ).startswith(("127.", "::1", "localhost"))
        if is_remote:
            raise AssertionError(f"a test tried to reach {address}")
        connect(self, address)

    patch = pytest.MonkeyPatch()
    patch.setattr(socket.socket, "connect", refuse)
    yield
    patch.undo()
