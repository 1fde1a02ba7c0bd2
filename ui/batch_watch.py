"""Watching a table job: events, rate, time left, and figures for Prometheus."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmgen.errors import OutputDiskFull, OutputNotWritable
from mmgen.files.publish import output_errors
from mmgen.jobs.items import ItemState
from mmgen.jobs.store import JobStore, Progress
from ui.jobs import JobWatch
from ui.show_errors import report, tell
from ui.words import duration, say

_EVERY_S = 2.0


class BatchWatch(JobWatch):
    """A `JobWatch` that also says how fast it goes and writes `metrics`."""

    def __init__(
        self, store: JobStore, job: str, *, as_json: bool, metrics: Path | None = None
    ) -> None:
        super().__init__(store, job, as_json=as_json)
        self._metrics = metrics
        self._looked = 0.0

    def on_event(self, event: Mapping[str, Any]) -> None:
        """As `JobWatch`, with the row of each item; progress with rate and time left."""
        kind = event["event"]
        if self._as_json and "item" in event and (item := self._store.item(event["item"])):
            file = item.result.file if item.result else None
            event = {**event, "row_key": item.row_key, "file": file}
        if self._as_json or kind not in ("ready", "done"):
            super().on_event(event)
        if kind in ("done", "failed", "ready") and time.monotonic() - self._looked > _EVERY_S:
            self._looked = time.monotonic()
            self._look()

    def summary(self, outcome: Any) -> None:
        """As `JobWatch`; the figures are written a last time."""
        super().summary(outcome)
        self._write_metrics(outcome.progress)

    def _look(self) -> None:
        progress = self._store.progress(self._job)
        self._write_metrics(progress)
        counts = progress.counts
        facts = {
            "done": counts[ItemState.DONE],
            "total": progress.total,
            "failed": counts[ItemState.FAILED],
        }
        if self._as_json:
            left = progress.seconds_left
            super().on_event(
                {"event": "progress", **facts, "rate": progress.rate, "seconds_left": left}
            )
        elif progress.rate and progress.seconds_left is not None:
            rate, left = progress.rate * 60, duration(progress.seconds_left)
            tell(say("batch.progress", **facts, rate=rate, left=left))
        else:
            tell(say("jobs.progress", **facts))

    def _write_metrics(self, progress: Progress) -> None:
        if self._metrics is None:
            return
        try:
            with output_errors(self._metrics):
                part = self._metrics.with_name(f".part-{self._metrics.name}")
                part.write_text(metrics_text(self._job, progress), encoding="ascii")
                os.replace(part, self._metrics)
        except (OutputNotWritable, OutputDiskFull) as error:
            # Watching is no reason to stop drawing; it is said once.
            report(error)
            self._metrics = None


def metrics_text(job: str, progress: Progress) -> str:
    """Prometheus' text format, for the textfile collector; no prompt, user or path in it."""
    lines = [
        "# HELP mmgen_batch_pictures Pictures of the job by state.",
        "# TYPE mmgen_batch_pictures gauge",
    ]
    for state, count in progress.counts.items():
        lines.append(f'mmgen_batch_pictures{{job="{job}",state="{state.value}"}} {count}')
    figures = {
        "mmgen_batch_pictures_per_second": ("Rate over the latest pictures.", progress.rate),
        "mmgen_batch_seconds_left": ("Time left at this rate.", progress.seconds_left),
    }
    for name, (text, value) in figures.items():
        if value is not None:
            lines += [f"# HELP {name} {text}", f"# TYPE {name} gauge"]
            lines.append(f'{name}{{job="{job}"}} {value:.6g}')
    return "\n".join(lines) + "\n"
