"""`mmgen jobs` in English, key by key as in jobs_zh.py."""

from __future__ import annotations

INTERFACE = {
    "help.jobs": "Show, resume, pause and check batch jobs.",
    "help.jobs_list": "List all jobs",
    "help.jobs_show": "How far a job is, and each failed row with its reason",
    "help.jobs_resume": "Draw what is left",
    "help.jobs_retry": "Give failed or cancelled rows 3 new attempts (then resume)",
    "help.jobs_pause": "Pause after the picture in work",
    "help.jobs_cancel": "Cancel the rows not drawn yet; pictures stay",
    "help.jobs_check": "Compare store, pictures, labels and records one by one",
    "help.job": "Id of a job, its beginning, or its output folder",
    "help.job_rows": "Only the rows of these keys (such as SKUs); default all",
    "help.workers": "Worker processes; each loads the model",
    "jobs.none": "there are no jobs yet",
    "jobs.line": "{job}  {state}  {done}/{total}  failed {failed}  {folder}",
    "jobs.reason": "paused because: {reason}",
    "jobs.counts": "done {done}, pending {pending}, running {running}, failed {failed}, "
    "cancelled {cancelled}, vanished {vanished}",
    "jobs.failed_item": "failed: {row} ({attempt} attempts): {reason}",
    "jobs.rate": "{rate:.1f} pictures a minute, {left} left",
    "jobs.progress": "{done}/{total}, failed {failed}",
    "jobs.worker_died": "a worker is gone: {reason}; another one goes on",
    "jobs.micro_batch": "out of memory: {size} pictures at once from now on",
    "jobs.attempt_failed": "{row} failed this time: {reason}",
    "jobs.ended": "job {state}: done {done}, failed {failed}, left {left}",
    "jobs.resume_hint": "to go on: mmgen jobs resume {job}",
    "jobs.retried": "{count} rows can be tried again; start with mmgen jobs resume {job}",
    "jobs.paused": "paused; go on with mmgen jobs resume {job}",
    "jobs.cancelled": "cancelled; what was drawn is in {folder}",
    "jobs.finding": "{what}: {row} {path}",
    "jobs.whole": "{count} pictures, their labels and records agree with the store",
    "jobs.not_whole": "{count} disagreements found",
}
