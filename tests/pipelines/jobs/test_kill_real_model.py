"""kill -9 of a worker that draws with the embedded model: resumed, the same bytes."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time

import pytest
from planning import faults, hashes, plan, prompts

from mmgen.jobs.store import JobStore
from pipelines.check_job import check_job
from pipelines.run_job import run_job

REAL = {"maker": "pipelines.item_maker:load_maker", "options": {"device": "cpu"}}
COUNT = 5
STEPS = 4
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    """row_key -> sha256 of pictures that nothing disturbed."""
    folder = tmp_path_factory.mktemp("unbroken")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MMGEN_HOME", str(folder / "home"))
        store = JobStore(folder / "mmgen.sqlite")
        job = plan(store, folder / "out", prompts(COUNT), steps=STEPS)
        assert run_job(store, job, **REAL).exit_code == 0
        found = hashes(store, job)
        store.close()
    return found


class Killer:
    """Listens to a job and kills its worker some time after the event called `moment`."""

    def __init__(self, moment, patience, delay_s):
        self._moment, self._patience, self._delay_s = moment, patience, delay_s
        self._pid = None
        self.has_killed = False

    def listen(self, event):
        if event["event"] == "ready":
            self._pid = event["pid"]
        if self.has_killed or event["event"] != self._moment:
            return
        self._patience -= 1
        if self._patience < 0:
            time.sleep(self._delay_s)
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)
                self.has_killed = True

    def asked(self):
        """Nobody is there to start another worker: the run ends with the one that died."""
        return 2 if self.has_killed else 0


@pytest.mark.parametrize(
    ("moment", "most_patience", "most_delay_s"),
    [("ready", 0, 0.5), ("drawing", 1, 0.3), ("done", 1, 0.02)],
)
def test_a_worker_killed_at_a_random_moment_loses_nothing(
    unbroken, store, tmp_path, moment, most_patience, most_delay_s
):
    chance = random.Random()
    patience, delay_s = chance.randint(0, most_patience), chance.random() * most_delay_s
    job = plan(store, tmp_path / "out", prompts(COUNT), steps=STEPS)
    killer = Killer(moment, patience, delay_s)
    run_job(store, job, on_event=killer.listen, asked=killer.asked, **REAL)
    where = f"{moment}, {patience}, {delay_s:.4f} s"
    assert killer.has_killed, where
    done = store.progress(job).counts["done"]
    assert run_job(store, job, **REAL).exit_code == 0, where
    assert done < COUNT, where
    assert faults(store, job, COUNT) == [], where
    assert list(check_job(store, store.job(job))) == [], where
    assert hashes(store, job) == unbroken, where
