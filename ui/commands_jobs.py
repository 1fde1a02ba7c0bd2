"""`mmgen jobs ...`: the commands; what they do stands in `ui/jobs.py`."""

from __future__ import annotations

from typing import Annotated

import typer

from ui import usage
from ui.command_frame import Command, Device, Json, Model, group

jobs_app = group("help.jobs")

Job = Annotated[str, typer.Argument(help="help.job", metavar="JOB")]
Rows = Annotated[list[str] | None, typer.Argument(help="help.job_rows", metavar="[ROW...]")]
Workers = Annotated[str, typer.Option("--workers", help="help.workers", metavar="N")]


@jobs_app.command("list", cls=Command, help="help.jobs_list")
def _list(json: Json = False) -> None:
    from ui.jobs import list_jobs

    list_jobs(as_json=json)


@jobs_app.command("show", cls=Command, help="help.jobs_show")
def _show(job: Job, json: Json = False) -> None:
    from ui.jobs import show_job

    show_job(job, as_json=json)


@jobs_app.command("resume", cls=Command, help="help.jobs_resume")
def _resume(
    job: Job,
    workers: Workers = "1",
    model: Model = None,
    device: Device = None,
    json: Json = False,
) -> None:
    from ui.jobs import resume_job

    number = usage.whole_number("workers", workers)
    raise typer.Exit(resume_job(job, workers=number, model=model, device=device, as_json=json))


@jobs_app.command("retry", cls=Command, help="help.jobs_retry")
def _retry(job: Job, rows: Rows = None, json: Json = False) -> None:
    from ui.jobs import retry_job

    retry_job(job, rows, as_json=json)


@jobs_app.command("pause", cls=Command, help="help.jobs_pause")
def _pause(job: Job, json: Json = False) -> None:
    from ui.jobs import pause_job

    pause_job(job, as_json=json)


@jobs_app.command("cancel", cls=Command, help="help.jobs_cancel")
def _cancel(job: Job, json: Json = False) -> None:
    from ui.jobs import cancel_job

    cancel_job(job, as_json=json)


@jobs_app.command("check", cls=Command, help="help.jobs_check")
def _check(job: Job, json: Json = False) -> None:
    from ui.jobs import check

    raise typer.Exit(check(job, as_json=json))
