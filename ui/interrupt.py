"""Ctrl-C while pictures are made: the first stops after the step, the second at once."""

from __future__ import annotations

import signal
import sys
from types import FrameType
from typing import Any

from ui.words import say


class StopOnRequest:
    """Within `with`, SIGINT and SIGTERM set `asked` instead of ending the process."""

    def __init__(self) -> None:
        self.asked = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> StopOnRequest:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        print("\n" + say("stopping"), file=sys.stderr, flush=True)
