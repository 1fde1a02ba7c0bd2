"""A job from plan to pictures, by real worker processes."""

from __future__ import annotations

from planning import MAKER, faults, plan, prompts

from mmgen.jobs.items import ItemState
from pipelines.run_job import run_job


def test_a_job_becomes_pictures_with_labels_and_records(store, tmp_path):
    job = plan(store, tmp_path / "out", prompts(12))
    events = []
    outcome = run_job(store, job, options={}, maker=MAKER, on_event=events.append)
    assert outcome.exit_code == 0
    assert outcome.progress.counts[ItemState.DONE] == 12
    assert faults(store, job, 12) == []
    assert [event["event"] for event in events].count("done") == 12
