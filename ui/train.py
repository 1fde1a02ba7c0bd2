"""`mmgen train`: the stages of the embedded model, and the folder they learn from."""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mmgen.errors import Conflict, OutOfRange, UnknownChoice
from mmgen.home import private_folder, training_path
from ui.words import duration, say

_MOST_STEPS = 10_000_000


def train(
    stage: str,
    *,
    recipe: str,
    data: Path,
    run: Path | None,
    resume: bool,
    init_from: Path | None,
    steps: int | None,
) -> None:
    """Train `stage` (autoencoder, towers, diffusion) by a named recipe.

    The run folder defaults to `training/local/<stage>-<recipe>` under home.
    """
    if resume and init_from:
        raise Conflict(first="--resume", second="--init-from")
    if steps is not None and not 1 <= steps <= _MOST_STEPS:
        raise OutOfRange(name="steps", got=steps, low=1, high=_MOST_STEPS)
    config = _config(stage, recipe, steps)
    from training import run as stages

    if run is None:
        run = private_folder(training_path(f"{stage}-{recipe}"))
    began = time.monotonic()
    run_stage: Callable[..., int] = getattr(stages, f"train_{stage}")
    done = run_stage(
        config, data, run, resume=resume, init_from=init_from, on_log=_log_to(config.loop.steps)
    )
    print(say("train.done", steps=done, elapsed=duration(time.monotonic() - began), folder=run))


def _config(stage: str, recipe: str, steps: int | None) -> Any:
    from training import recipes

    table: Mapping[str, Callable[[], Any]] = getattr(recipes, stage.upper())
    if recipe not in table:
        raise UnknownChoice(name="recipe", got=recipe, allowed=", ".join(sorted(table)))
    config = table[recipe]()
    if steps is None:
        return config
    return dataclasses.replace(config, loop=dataclasses.replace(config.loop, steps=steps))


def _log_to(steps: int) -> Callable[[int, Mapping[str, float]], None]:
    def log(step: int, figures: Mapping[str, float]) -> None:
        text = ", ".join(f"{name} {value:.4g}" for name, value in figures.items())
        print(say("train.step", step=step, steps=steps, figures=text), file=sys.stderr, flush=True)

    return log


def rebuild_data(source: Path, out: Path) -> int:
    """Rebuild the training folder; returns 0, or 3 when pictures were missing or broken."""
    from training.rebuild_dataset import rebuild

    began = told = time.monotonic()

    def tell(done: int, total: int) -> None:
        nonlocal told
        if time.monotonic() - told > 1 or done == total:
            told = time.monotonic()
            print(say("rebuild.progress", done=done, total=total), file=sys.stderr, flush=True)

    report = rebuild(source, out, tell)
    for name in report.missing:
        print(say("rebuild.missing", name=name), file=sys.stderr)
    for name, reason in report.broken:
        print(say("rebuild.broken", name=name, reason=reason), file=sys.stderr)
    print(
        say(
            "rebuild.done",
            written=report.written,
            kept=report.kept,
            total=report.total,
            folder=out,
            elapsed=duration(time.monotonic() - began),
        )
    )
    return report.exit_code
