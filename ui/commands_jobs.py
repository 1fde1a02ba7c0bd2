"""`mmgen jobs ...`: the commands; what they do stands in `ui/jobs.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ui import usage
from ui.command_frame import Command, Device, Json, Model, group

if TYPE_CHECKING:
    from ui.engine import Engine

jobs_app = group("help.jobs")

Job = Annotated[str, typer.Argument(help="help.job", metavar="JOB")]
Rows = Annotated[list[str] | None, typer.Argument(help="help.job_rows", metavar="[ROW...]")]
Workers = Annotated[str, typer.Option("--workers", help="help.workers", metavar="N")]

EngineName = Annotated[str, typer.Option("--engine", help="help.engine", metavar="NAME")]
Address = Annotated[str | None, typer.Option("--address", help="help.address", metavar="HOST:PORT")]
Gpus = Annotated[str, typer.Option("--gpus", help="help.gpus", metavar="N")]
StoreUrl = Annotated[str | None, typer.Option("--store-url", help="help.store_url", metavar="URL")]


def engine_of(
    workers: str, name: str, address: str | None, gpus: str, store_url: str | None
) -> Engine:
    """What the five options say, unchecked but for their being numbers."""
    from ui.engine import Engine

    return Engine(
        workers=usage.whole_number("workers", workers),
        name=name,
        address=address,
        gpus=usage.number("gpus", gpus),
        store_url=store_url,
    )


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
    engine: EngineName = "local",
    address: Address = None,
    gpus: Gpus = "0",
    store_url: StoreUrl = None,
    model: Model = None,
    device: Device = None,
    json: Json = False,
) -> None:
    from ui.jobs import Running, resume_job

    how = Running(
        engine=engine_of(workers, engine, address, gpus, store_url),
        model=model,
        device=device,
    )
    raise typer.Exit(resume_job(job, how, as_json=json))


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


@jobs_app.command("report", cls=Command, help="help.jobs_report")
def _report(job: Job, json: Json = False) -> None:
    from ui.jobs import report_job

    report_job(job, as_json=json)


@jobs_app.command("check", cls=Command, help="help.jobs_check")
def _check(job: Job, json: Json = False) -> None:
    from ui.jobs import check

    raise typer.Exit(check(job, as_json=json))
