"""`mmgen train`: the stages of the embedded model, and the folder they learn from."""

from __future__ import annotations

import dataclasses
import functools
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmgen.errors import (
    Conflict,
    DataError,
    ModelFileMissing,
    ModelFolderMissing,
    OutOfRange,
    UnknownChoice,
)
from mmgen.home import private_folder, training_path
from ui.interrupt import StopOnRequest
from ui.show_errors import INTERRUPTED
from ui.words import duration, say

_MOST_STEPS = 10_000_000
_STARTS_FROM = {
    "autoencoder": ("vae",),
    "towers": ("text_encoder", "image_encoder", "tokenizer"),
    "diffusion": ("transformer",),
    "mask": ("mask",),
    "upscaler": ("upscaler",),
    "evaluator": ("evaluator",),
}
"""What a stage reads from --init-from."""
_STANDS_ON = ("vae", "text_encoder", "image_encoder", "tokenizer")
"""What the diffusion stage reads from --components."""


class RunFolderTaken(DataError):
    code = "run.taken"
    template = "{path} holds checkpoints of a run; go on with --resume or name another --run"


class NoCheckpoint(DataError):
    code = "run.no_checkpoint"
    template = "{path} holds no checkpoint to go on from; start without --resume"


def train(
    stage: str,
    *,
    recipe: str,
    data: Path,
    run: Path | None,
    resume: bool,
    init_from: Path | None,
    components: Path | None,
    steps: int | None,
) -> int:
    """Train `stage` (autoencoder, towers, diffusion) by a named recipe; returns the exit code.

    The run folder defaults to `training/local/<stage>-<recipe>` under home. The first
    Ctrl-C ends the run at a checkpoint that --resume goes on from.
    """
    if resume and init_from:
        raise Conflict(first="--resume", second="--init-from")
    if steps is not None and not 1 <= steps <= _MOST_STEPS:
        raise OutOfRange(name="steps", got=steps, low=1, high=_MOST_STEPS)
    run = run or training_path(f"{stage}-{recipe}")
    has_begun = any(run.glob("step-????????"))
    if has_begun != resume:
        raise RunFolderTaken(path=run) if has_begun else NoCheckpoint(path=run)
    config = _config(stage, recipe, steps)
    _check_parts(init_from, _STARTS_FROM[stage])
    _check_parts(components, _STANDS_ON)
    from training import run as stages

    private_folder(run)
    began = time.monotonic()
    run_stage: Callable[..., int] = getattr(stages, f"train_{stage}")
    if stage == "diffusion":
        run_stage = functools.partial(run_stage, components=components)
    with StopOnRequest() as stop:
        done = run_stage(
            config,
            data,
            run,
            resume=resume,
            init_from=init_from,
            on_log=_log_to(config.loop.steps),
            stop=lambda step: stop.asked,
        )
    elapsed = duration(time.monotonic() - began)
    key = "train.done" if done == config.loop.steps else "train.stopped"
    print(say(key, steps=done, elapsed=elapsed, folder=run))
    return 0 if done == config.loop.steps else INTERRUPTED


def _config(stage: str, recipe: str, steps: int | None) -> Any:
    from training import recipes

    table: Mapping[str, Callable[[], Any]] = getattr(recipes, stage.upper())
    if recipe not in table:
        raise UnknownChoice(name="recipe", got=recipe, allowed=", ".join(sorted(table)))
    config = table[recipe]()
    if steps is None:
        return config
    return dataclasses.replace(config, loop=dataclasses.replace(config.loop, steps=steps))


def _check_parts(folder: Path | None, names: Sequence[str]) -> None:
    """Raise a `ModelError` unless `folder` holds whole, safe parts of these names."""
    if folder is None:
        return
    if not folder.is_dir():
        raise ModelFolderMissing(path=folder)
    from mmgen.model_folder import check_model_folder
    from pipelines.components import EMBEDDED_CLASSES
    from pipelines.judge import EVALUATOR_CLASSES

    allowed = EMBEDDED_CLASSES | EVALUATOR_CLASSES
    for name in names:
        if not (folder / name).is_dir():
            raise ModelFileMissing(path=folder, file=name)
        if name != "tokenizer":
            check_model_folder(folder / name, allowed_classes=allowed)


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
