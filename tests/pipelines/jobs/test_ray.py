"""Jobs on Ray: guarded or not at all; two actors, a killed one, an object store."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.ray_engine import RayUnguarded, check_guarded

HERE = Path(__file__).resolve().parent
TOKEN, OFF, UNSET = {"RAY_AUTH_MODE": "token"}, {"RAY_AUTH_MODE": "disabled"}, {}


@pytest.mark.parametrize(
    ("address", "environ"),
    [
        ("10.0.0.5:6379", UNSET),
        ("10.0.0.5:6379", OFF),
        ("ray://cluster.example:10001", UNSET),
        ("ray://127.0.0.1.example.com:10001", UNSET),
        ("[2001:db8::1]:6379", OFF),
        ("auto", UNSET),
        (None, OFF),
        ("", OFF),
    ],
)
def test_a_cluster_that_anybody_can_reach_is_refused_without_tokens(address, environ):
    with pytest.raises(RayUnguarded):
        check_guarded(address, environ)


@pytest.mark.parametrize(
    ("address", "environ"),
    [
        ("10.0.0.5:6379", TOKEN),
        ("auto", TOKEN),
        (None, UNSET),
        ("127.0.0.1:6379", UNSET),
        ("ray://localhost:10001", UNSET),
        ("[::1]:6379", OFF),
    ],
)
def test_tokens_or_loopback_are_let_through(address, environ):
    check_guarded(address, environ)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_actors_draw_faster_and_a_killed_one_loses_nothing(makers, tmp_path):
    pytest.importorskip("ray")
    result = subprocess.run(
        [sys.executable, str(HERE / "ray_program.py"), str(tmp_path)],
        env={
            **os.environ,
            "RAY_raylet_start_wait_time_s": "300",
            "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parents[2])]),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    told = json.loads(result.stdout.splitlines()[-1])
    assert told["faults of 1"] == told["faults of 2"] == []
    assert told["times"] >= 1.8, told
    assert told["killed"] == [0, 1, []]
    assert told["same bytes"]
    assert told["uploaded"] == [[f"SKU{n:04d}-1.png" for n in range(4)], 4]
