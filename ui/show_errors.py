"""An error -> one sentence on stderr and an exit code; a warning -> one sentence.

0 done   2 usage or input   3 some rows failed   130 stopped   1 anything else
"""

from __future__ import annotations

import os
import sys
import traceback
import warnings
from typing import TextIO

from mmgen.errors import MmgenError, MmgenWarning
from ui.words import say, sentence

UNEXPECTED = 1
INTERRUPTED = 130


def report(error: Exception) -> int:
    """Say on stderr what went wrong; returns the exit code."""
    if isinstance(error, MmgenError):
        tell(say("error", sentence=sentence(error)))
        return error.exit_code
    if os.environ.get("MMGEN_TRACEBACK"):
        traceback.print_exception(error)
    tell(say("unexpected", kind=type(error).__name__, detail=error))
    tell(say("unexpected.hint"))
    return UNEXPECTED


def show_warnings() -> None:
    """Say each warning of ours once; those of libraries only when Python was asked to (-W)."""
    said: set[str] = set()
    default = warnings.showwarning

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if isinstance(message, MmgenWarning):
            text = sentence(message)
            if text not in said:
                said.add(text)
                tell(say("warning", sentence=text))
        elif sys.warnoptions:
            default(message, category, filename, lineno, file, line)

    warnings.showwarning = show
    warnings.simplefilter("always", MmgenWarning)


def tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
