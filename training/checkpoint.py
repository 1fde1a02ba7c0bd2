"""Checkpoints that a run resumes from exactly.

A checkpoint is a folder `step-00001234` written by accelerate (model,
optimizer, averaged weights) beside `state.json` with the step and the
configuration that made it. It is renamed into place when complete, so a
killed run never leaves half of one.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from accelerate import Accelerator

from mmgen.errors import CheckpointMismatch, TrainingDataMissing

KEEP = 2
MAY_DIFFER = (
    "steps",
    "decay_fraction",
    "compile",
    "checkpoint_minutes",
    "log_every",
    "sample_every",
)
"""Fields of a configuration that a resumed run may change."""


def save(accelerator: Accelerator, run: Path, step: int, config: dict[str, Any]) -> Path:
    """Write `run/step-<step>`; keeps the newest two."""
    folder = run / f"step-{step:08d}"
    part = folder.with_suffix(".part")
    if accelerator.is_main_process and part.exists():
        shutil.rmtree(part)
    accelerator.wait_for_everyone()
    accelerator.save_state(str(part))
    if accelerator.is_main_process:
        (part / "state.json").write_text(json.dumps({"step": step, "config": config}))
        if folder.exists():
            shutil.rmtree(folder)
        part.rename(folder)
        for old in sorted(run.glob("step-????????"))[:-KEEP]:
            shutil.rmtree(old)
    accelerator.wait_for_everyone()
    return folder


def load_newest(accelerator: Accelerator, run: Path, config: dict[str, Any]) -> int:
    """Load the newest checkpoint of `run`; returns its step.

    Raises `CheckpointMismatch` when a field that shapes the run differs.
    """
    folders = sorted(run.glob("step-????????"))
    if not folders:
        raise TrainingDataMissing(path=run, wanted="a checkpoint step-*; start without --resume")
    state = json.loads((folders[-1] / "state.json").read_text())
    for name, ours in json.loads(json.dumps(config)).items():
        theirs = state["config"].get(name)
        if theirs != ours and name not in MAY_DIFFER:
            raise CheckpointMismatch(path=folders[-1], name=name, theirs=theirs, ours=ours)
    accelerator.load_state(str(folders[-1]))
    step: int = state["step"]
    return step
