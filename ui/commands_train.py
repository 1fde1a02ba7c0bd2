"""`mmgen train ...`: the commands; what they do stands in `ui/train.py`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ui import usage
from ui.command_frame import Command, group

train_app = group("help.train")

Recipe = Annotated[str, typer.Option("--recipe", help="help.recipe", metavar="NAME")]
Data = Annotated[Path, typer.Option("--data", help="help.data", metavar="DIR")]
Run = Annotated[Path | None, typer.Option("--run", help="help.run", metavar="DIR")]
Resume = Annotated[bool, typer.Option("--resume", help="help.resume")]
InitFrom = Annotated[Path | None, typer.Option("--init-from", help="help.init_from", metavar="DIR")]
TrainSteps = Annotated[str | None, typer.Option("--steps", help="help.train_steps", metavar="N")]


@train_app.command("autoencoder", cls=Command, help="help.train_autoencoder")
def _train_autoencoder(
    recipe: Recipe = "v0",
    data: Data = Path("data/garments"),
    run: Run = None,
    resume: Resume = False,
    init_from: InitFrom = None,
    steps: TrainSteps = None,
) -> None:
    _train("autoencoder", recipe, data, run, resume, init_from, steps)


@train_app.command("towers", cls=Command, help="help.train_towers")
def _train_towers(
    recipe: Recipe = "v0",
    data: Data = Path("data/garments"),
    run: Run = None,
    resume: Resume = False,
    init_from: InitFrom = None,
    steps: TrainSteps = None,
) -> None:
    _train("towers", recipe, data, run, resume, init_from, steps)


@train_app.command("diffusion", cls=Command, help="help.train_diffusion")
def _train_diffusion(
    recipe: Recipe = "v0",
    data: Data = Path("data/garments"),
    run: Run = None,
    resume: Resume = False,
    init_from: InitFrom = None,
    components: Annotated[
        Path | None, typer.Option("--components", help="help.components", metavar="DIR")
    ] = None,
    steps: TrainSteps = None,
) -> None:
    _train("diffusion", recipe, data, run, resume, init_from, steps, components)


@train_app.command("evaluator", cls=Command, help="help.train_evaluator")
def _train_evaluator(
    recipe: Recipe = "v0",
    data: Data = Path("data/garments"),
    run: Run = None,
    resume: Resume = False,
    init_from: InitFrom = None,
    steps: TrainSteps = None,
) -> None:
    _train("evaluator", recipe, data, run, resume, init_from, steps)


@train_app.command("mask", cls=Command, help="help.train_mask")
def _train_mask(
    recipe: Recipe = "v1",
    data: Data = Path("data/garments"),
    run: Run = None,
    resume: Resume = False,
    init_from: InitFrom = None,
    steps: TrainSteps = None,
) -> None:
    _train("mask", recipe, data, run, resume, init_from, steps)


@train_app.command("upscaler", cls=Command, help="help.train_upscaler")
def _train_upscaler(
    recipe: Recipe = "v1",
    data: Data = Path("data/garments"),
    run: Run = None,
    resume: Resume = False,
    init_from: InitFrom = None,
    steps: TrainSteps = None,
) -> None:
    _train("upscaler", recipe, data, run, resume, init_from, steps)


@train_app.command("rebuild-data", cls=Command, help="help.train_rebuild")
def _rebuild_data(
    source: Annotated[Path, typer.Argument(help="help.source", metavar="SOURCE")],
    out: Annotated[Path, typer.Argument(help="help.rebuilt", metavar="OUT")] = Path(
        "data/garments"
    ),
) -> None:
    from ui.train import rebuild_data

    raise typer.Exit(rebuild_data(source, out))


def _train(
    stage: str,
    recipe: str,
    data: Path,
    run: Path | None,
    resume: bool,
    init_from: Path | None,
    steps: str | None,
    components: Path | None = None,
) -> None:
    from ui.train import train

    num_steps = None if steps is None else usage.whole_number("steps", steps)
    code = train(
        stage,
        recipe=recipe,
        data=data,
        run=run,
        resume=resume,
        init_from=init_from,
        components=components,
        steps=num_steps,
    )
    raise typer.Exit(code)
