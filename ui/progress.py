"""How far the pictures are and how long it will take, on stderr."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from mmgen.values import Step
from ui.interrupt import StopOnRequest
from ui.words import duration, say

if TYPE_CHECKING:
    from rich.progress import Progress

_QUIET_S = 2.0
"""Without a terminal a line is written no more often than this."""


class Drawing:
    """A bar on a terminal, else a line now and then; stops when `stop` was asked."""

    def __init__(self, pictures: int, stop: StopOnRequest) -> None:
        self.pictures = pictures
        self.finished = 0
        self._stop = stop
        self._began = self._told = time.monotonic()
        self._bar: Progress | None = None

    def __enter__(self) -> Drawing:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn

            self._bar = Progress(
                TextColumn(say("drawing")),
                BarColumn(),
                TextColumn("{task.description}"),
                console=Console(stderr=True),
                transient=True,
                # Results that go to a file must not be drawn on the terminal instead.
                redirect_stdout=sys.stdout.isatty(),
            )
            self._bar.start()
            self._bar.add_task("", total=1.0)
        return self

    def __exit__(self, *exception: object) -> None:
        if self._bar:
            self._bar.stop()

    def on_step(self, step: Step) -> bool:
        """Show one more step; False once a stop was asked for."""
        self._show((self.finished + step.index / step.of) / self.pictures)
        return not self._stop.asked

    def picture_done(self) -> None:
        """Show one more picture."""
        self.finished += 1
        self._show(self.finished / self.pictures)

    def _show(self, fraction: float) -> None:
        fraction = min(fraction, 1.0)
        now = time.monotonic()
        left = (now - self._began) * (1 - fraction) / fraction
        text = say("progress", done=self.finished, total=self.pictures, left=duration(left))
        if self._bar:
            self._bar.update(self._bar.task_ids[0], completed=fraction, description=text)
        elif now - self._told > _QUIET_S and self.finished < self.pictures:
            self._told = now
            print(text, file=sys.stderr, flush=True)
