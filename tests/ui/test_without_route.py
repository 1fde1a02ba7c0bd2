"""Everything but fetching works on a machine that has no route to anywhere."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
ALONE = ("unshare", "--user", "--map-root-user", "--net")
"""In a network namespace of its own not even the loopback is up."""
REACH = "import socket; socket.create_connection(('192.0.2.1', 443), 5)"


def can_be_alone() -> bool:
    if shutil.which(ALONE[0]) is None:
        return False
    return subprocess.run([*ALONE, "true"], capture_output=True, check=False).returncode == 0


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not can_be_alone(), reason="no network namespace may be made here"),
]


@pytest.fixture
def alone(empty_home, tmp_path):
    """Run Python in the namespace, from the checkout; gives the finished process."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        # Without these, offline must come of there being no need, not of a switch.
        switches = {"HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "MMGEN_OFFLINE"}
        kept = {name: value for name, value in os.environ.items() if name not in switches}
        return subprocess.run(
            [*ALONE, sys.executable, *arguments],
            cwd=ROOT,
            env={**kept, "MMGEN_HOME": str(empty_home)},
            capture_output=True,
            text=True,
            timeout=280,
            check=False,
        )

    return run


def test_nothing_can_be_reached_there(alone):
    assert "Network is unreachable" in alone("-c", REACH).stderr


def test_pictures_are_drawn_checked_and_ranked_without_a_route(alone, tmp_path):
    out = str(tmp_path / "out")
    drawn = alone(
        *("-m", "mmgen", "generate", "红色连衣裙", "-n", "1", "--candidates", "2"),
        *("--steps", "2", "--seed", "7", "--json", "-o", out),
    )
    assert drawn.returncode == 0, drawn.stderr
    path = json.loads(drawn.stdout.splitlines()[0])["path"]
    verified = alone("-m", "mmgen", "verify", path)
    assert verified.returncode == 0, verified.stderr


def test_hub_models_are_listed_planned_and_drawn_without_a_route(alone, hub_folder, tmp_path):
    listed = alone("-m", "mmgen", "models", "list", "--json")
    assert listed.returncode == 0, listed.stderr
    assert len(listed.stdout.splitlines()) > 10
    planned = alone("-m", "mmgen", "models", "plan", "cogview4-6b", "--vram", "12GB")
    assert planned.returncode == 0, planned.stderr
    drawn = alone(
        *("-m", "mmgen", "generate", "大衣", "--model", str(hub_folder("taiyi-1b"))),
        *("--accept-licence", "--size", "64x64", "--steps", "2", "-o", str(tmp_path / "out")),
    )
    assert drawn.returncode == 0, drawn.stderr


def test_fetching_says_that_nothing_can_be_reached(alone):
    fetched = alone("-m", "mmgen", "models", "fetch", "z-image")
    assert fetched.returncode != 0
    assert "连不上" in fetched.stderr
    assert "--endpoint" in fetched.stderr
    assert "Traceback" not in fetched.stderr


def test_tests_of_weights_and_labels_pass_without_a_route(alone):
    tests = ("tests/mmgen/test_adapter_file.py", "tests/mmgen/test_model_folder.py")
    ran = alone("-m", "pytest", "-q", "-p", "no:cacheprovider", *tests)
    assert ran.returncode == 0, ran.stdout[-2000:]
