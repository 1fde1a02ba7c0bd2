"""`mmgen verify`: is the AI label there, and has anything changed since."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from mmgen.errors import MmgenError
from mmgen.files.read import State, Verdict, verify
from ui.show_errors import report
from ui.words import phrase, say

NOT_INTACT = 1


def verify_files(files: Sequence[Path], *, as_json: bool) -> int:
    """Print one line a file; returns 0 when all are intact, 2 when one cannot be read, else 1."""
    code = 0
    for path in files:
        try:
            verdict = verify(path)
        except MmgenError as error:
            code = max(code, report(error))
            continue
        print(_as_json(verdict) if as_json else _as_words(verdict), flush=True)
        if not verdict:
            code = max(code, NOT_INTACT)
    return code


def _as_json(verdict: Verdict) -> str:
    return json.dumps(
        {
            "path": str(verdict.path),
            "state": verdict.state.value,
            "intact": bool(verdict),
            "differs": list(verdict.differs),
            "has_record": verdict.has_record,
            "label": verdict.label.to_dict() if verdict.label else None,
        },
        ensure_ascii=False,
    )


def _as_words(verdict: Verdict) -> str:
    label = verdict.label
    if verdict.state in (State.INTACT, State.FOREIGN) and label:
        return say(
            f"verify.{verdict.state.name.lower()}",
            path=verdict.path,
            producer=label.content_producer,
            produce_id=label.produce_id,
        )
    return say(
        f"verify.{verdict.state.name.lower()}",
        path=verdict.path,
        reason=", ".join(map(phrase, verdict.differs)) or "-",
    )
