"""A program that runs a job and prints its events: something to kill."""

from __future__ import annotations

import json
import sys

from planning import MAKER

from mmgen.home import database_path
from mmgen.jobs.store import JobStore
from mmgen.jobs.supervisor import Limits
from pipelines.run_job import run_job


def main():
    job, workers, options = sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3])
    outcome = run_job(
        JobStore(database_path()),
        job,
        options=options,
        maker=MAKER,
        workers=workers,
        limits=Limits(load_s=60, step_s=20),
        on_event=lambda event: print(json.dumps(event), flush=True),
    )
    return outcome.exit_code


if __name__ == "__main__":
    sys.exit(main())
