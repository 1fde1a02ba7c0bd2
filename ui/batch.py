"""`mmgen batch`: a table in; labelled pictures, manifest and report out."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmgen.errors import Conflict, MmgenError
from mmgen.home import database_path
from mmgen.jobs.items import ItemState, NewItem
from mmgen.jobs.store import JobStore
from mmgen.settings import Settings, load_settings
from mmgen.tables.open import open_table
from mmgen.tables.row import BadRow, TableRowBad
from ui.batch_rejects import Rejects
from ui.batch_watch import BatchWatch
from ui.engine import Engine
from ui.generate import check_folder
from ui.show_errors import tell
from ui.words import duration, say, sentence

if TYPE_CHECKING:
    from mmgen.values import ImageRequest
    from pipelines.batch import BatchPlan
    from pipelines.batch_changes import TableChanges
    from pipelines.ray_engine import Cluster
    from pipelines.run_job import Outcome

_MOST_SHOWN = 20
_QUIET_S = 2.0
_SOME_FAILED = 3


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class BatchOrder:
    """What was typed."""

    table: Path
    folder: Path
    template: str | None
    id_column: str | None
    sheet: str | None
    count: int
    """Pictures a row."""
    seed: int
    """Of the job."""
    shares_seed: bool
    num_inference_steps: int | None
    """None, here and below: the model's own default."""
    guidance_scale: float | None
    negative_prompt: str
    size: tuple[int, int] | None
    """height, width in pixels."""
    format: str
    visible_label: bool
    embed_request: bool
    is_dry_run: bool
    skips_bad: bool
    has_scores: bool
    keep_best_of: int
    retry_mismatch: int
    engine: Engine
    metrics: Path | None
    as_json: bool
    model: str | None
    device: str | None
    adapters: tuple[tuple[Path, float], ...] = ()
    """(file or folder, weight)."""


@dataclasses.dataclass(kw_only=True, slots=True)
class _Survey:
    """What a first reading of the whole table found."""

    rows: int = 0
    pictures: int = 0
    bad: int = 0
    changes: TableChanges | None = None
    """What a run would change, where that was asked for."""


def run_batch(order: BatchOrder) -> int:
    """Check the whole table, draw what is not drawn yet, write manifest and report.

    Returns 0, 2 (rows are wrong and nothing was started), 3 (some rows failed or
    were left out), 4 (paused) or 130.
    """
    cluster = order.engine.cluster()
    for option, is_asked in _needing_scores(order).items():
        if is_asked and not order.has_scores:
            raise Conflict(first=option, second="--no-scores")
    settings = load_settings({"model": order.model, "device": order.device})
    plan = _plan(order, settings.model)
    check_folder(order.folder)
    with Rejects(order.folder, plan.table, is_wanted=_writes_rejects(order)) as rejects:
        changes = _changes(order) if order.is_dry_run else None
        survey = _survey(plan, order, rejects, changes)
    if survey.bad and not order.skips_bad:
        tell(say("batch.refused", bad=survey.bad, rows=survey.rows))
        return 2
    if rejects.path:
        tell(say("batch.rejects", bad=survey.bad, path=rejects.path))
    if order.is_dry_run:
        _show_plan(order, survey, settings, plan.base)
        return 0
    outcome = _draw(order, plan, settings, cluster)
    return outcome.exit_code or (_SOME_FAILED if survey.bad else 0)


def _needing_scores(order: BatchOrder) -> dict[str, bool]:
    return {
        "--keep-best-of": order.keep_best_of > 1,
        "--retry-mismatch": order.retry_mismatch > 0,
    }


def _writes_rejects(order: BatchOrder) -> bool:
    return order.skips_bad and not order.is_dry_run


def _plan(order: BatchOrder, model: str) -> BatchPlan:
    from pipelines.batch import BatchOptions, BatchPlan

    options = BatchOptions(
        model=model,
        adapters=order.adapters,
        template=order.template,
        id_column=order.id_column,
        count=order.count,
        seed=order.seed,
        shares_seed=order.shares_seed,
        negative_prompt=order.negative_prompt,
        size=order.size,
        num_inference_steps=order.num_inference_steps,
        guidance_scale=order.guidance_scale,
        format=order.format,
        visible_label=order.visible_label,
        embed_request=order.embed_request,
        keep_best_of=order.keep_best_of,
        retry_mismatch=order.retry_mismatch,
    )
    return BatchPlan(open_table(order.table, order.sheet), options)


def _changes(order: BatchOrder) -> TableChanges:
    from pipelines.batch_changes import TableChanges

    return TableChanges(_store_there(), order.folder)


def _store_there() -> JobStore | None:
    """The store, but for a home that has none yet: a dry run makes none."""
    return JobStore(database_path()) if database_path().exists() else None


def _survey(
    plan: BatchPlan, order: BatchOrder, rejects: Rejects, changes: TableChanges | None
) -> _Survey:
    """Read and check every row; the first wrong ones are said, all go to `rejects`."""
    survey, told = _Survey(changes=changes), time.monotonic()
    for row in plan.rows():
        survey.rows += 1
        if isinstance(row, BadRow):
            survey.bad += 1
            rejects.add(row)
            _tell_bad(row, survey.bad, order)
        else:
            survey.pictures += len(row.seeds)
            if changes:
                changes.add(row)
        if survey.rows % 1000 == 0 and time.monotonic() - told > _QUIET_S:
            told = time.monotonic()
            tell(say("batch.checking", rows=survey.rows))
    if not survey.rows:
        tell(say("batch.empty", path=order.table))
    return survey


def _tell_bad(row: BadRow, number: int, order: BatchOrder) -> None:
    problem = TableRowBad(path=order.table, line=row.line, column=row.column, reason=row.reason)
    if order.as_json:
        facts = {"event": "bad_row", "line": row.line, "column": row.column}
        _print_json({**facts, "reason": _reason(row.reason), "code": _code(row.reason)})
    elif number <= _MOST_SHOWN:
        tell(say("error", sentence=sentence(problem)))
    elif number == _MOST_SHOWN + 1:
        tell(say("batch.more_bad"))


def _reason(reason: str | MmgenError) -> str:
    return sentence(reason) if isinstance(reason, MmgenError) else reason


def _code(reason: str | MmgenError) -> str:
    return reason.code if isinstance(reason, MmgenError) else "table.row"


def _items(plan: BatchPlan, job: str) -> Iterator[NewItem]:
    position = 0
    for row in plan.rows():
        if not isinstance(row, BadRow):
            yield from row.items(job, position)
            position += len(row.seeds)


def _draw(
    order: BatchOrder, plan: BatchPlan, settings: Settings, cluster: Cluster | None
) -> Outcome:
    from pipelines.run_job import run_job

    began = time.monotonic()
    store = JobStore(database_path())
    options = {
        "model": settings.model,
        "device": settings.device,
        "quality": order.has_scores,
        "keep_best_of": order.keep_best_of,
        "retry_mismatch": order.retry_mismatch,
        "models": plan.models.places,
        "adapters": plan.models.files,
    }
    params = {
        "options": options,
        "table": str(order.table.absolute()),
        "columns": list(plan.table.columns),
    }
    job = store.create_job(folder=order.folder, params=params)
    planned = store.put_items(job, _items(plan, job))
    if order.as_json:
        _print_json({"event": "planned", "job": job, **dataclasses.asdict(planned)})
    else:
        tell(say("batch.planned", **dataclasses.asdict(planned)))
        _tell_vanished(store, job)
    with BatchWatch(store, job, as_json=order.as_json, metrics=order.metrics) as watch:
        outcome = run_job(
            store,
            job,
            options=options,
            workers=order.engine.workers,
            cluster=cluster,
            on_event=watch.on_event,
            asked=watch.asked,
        )
    watch.summary(outcome)
    write_results(store, job, time.monotonic() - began, as_json=order.as_json)
    return outcome


def _tell_vanished(store: JobStore, job: str) -> None:
    for number, item in enumerate(store.items(job, ItemState.VANISHED), 1):
        if number > _MOST_SHOWN:
            tell(say("batch.more_vanished"))
            return
        file = item.result.file if item.result else "-"
        tell(say("batch.vanished", row=item.row_key, file=file))


def write_results(store: JobStore, job: str, elapsed: float, *, as_json: bool) -> None:
    """Write manifest and report of a job, and say where they are."""
    from pipelines.manifest import write_manifest
    from pipelines.report import write_report

    found = store.job(job)
    manifest = write_manifest(store, found)
    report = write_report(store, found, words=_report_words())
    if as_json:
        files = [str(path) for path in (*manifest, report.path)]
        _print_json({"event": "results", "files": files})
        return
    if look := report.look:
        print(say("batch.look", within=look.within, across=look.across, products=look.products))
    print(say("batch.results", manifest=manifest[0], report=report.path, time=duration(elapsed)))


def _report_words() -> dict[str, str]:
    """The texts of the report, by the names that its page knows them by."""
    return {
        "title": say("report.title"),
        "search": say("report.search"),
        "all": say("report.all"),
        "done": say("report.done"),
        "failed": say("report.failed"),
        "pending": say("report.pending"),
        "mismatch": say("report.mismatch"),
        "sort": say("report.sort"),
        "by_table": say("report.by_table"),
        "by_score": say("report.by_score"),
        "score": say("report.score"),
        "seed": say("report.seed"),
        "more": say("report.more"),
        "none": say("report.none"),
        "counts": say("report.counts"),
        "look": say("report.look"),
        "cut": say("report.cut"),
        "made_by_ai": say("report.made_by_ai"),
    }


def _show_plan(order: BatchOrder, survey: _Survey, settings: Settings, base: ImageRequest) -> None:
    """What a run would do; nothing is written."""
    from pipelines.batch_estimate import estimate_seconds

    changes = survey.changes
    assert changes is not None
    left = changes.to_draw * order.keep_best_of
    size = (base.height, base.width)
    each = estimate_seconds(_store_there(), settings.model, size, base.num_inference_steps)
    seconds = None if each is None else round(left * each / order.engine.workers, 3)
    facts: dict[str, Any] = {
        "rows": survey.rows - survey.bad,
        "bad": survey.bad,
        "new": changes.new,
        "changed": changes.changed,
        "unchanged": changes.unchanged,
        "vanished": changes.vanished,
        "pictures": survey.pictures,
        "drawn": left,
        "seconds": seconds,
        "gpu_hours": _gpu_hours(order, settings, seconds),
        "folder": str(order.folder.absolute()),
    }
    if order.as_json:
        _print_json({"event": "plan", **facts})
        return
    print(say("batch.plan", **facts))
    print(say("batch.changes", **facts))
    print(say("batch.plan_how", model=settings.model, width=size[1], height=size[0], drawn=left))
    if seconds is None:
        print(say("batch.no_estimate"))
    else:
        print(say("batch.estimate", time=duration(seconds), each=each))
    if facts["gpu_hours"] is not None:
        print(say("batch.gpu_hours", hours=facts["gpu_hours"]))


def _gpu_hours(order: BatchOrder, settings: Settings, seconds: float | None) -> float | None:
    """Hours times GPUs; None where no GPU draws or the time is not known."""
    if seconds is None:
        return None
    if order.engine.name == "ray":
        gpus = order.engine.workers * order.engine.gpus
    else:
        from mmgen.devices import choose_device

        gpus = 1.0 if choose_device(settings.device).type == "cuda" else 0.0
    return round(seconds * gpus / 3600, 2) if gpus else None


def _print_json(facts: dict[str, Any]) -> None:
    print(json.dumps(facts, ensure_ascii=False), flush=True)
