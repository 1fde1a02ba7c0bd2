"""`mmgen evaluate`: the command; what it does stands in `ui/evaluate.py`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ui import usage
from ui.command_frame import Command, Device, Json, Model


def add_to(app: typer.Typer) -> None:
    """Put the command into `app`."""
    app.command("evaluate", cls=Command, help="help.evaluate")(_evaluate)


def _evaluate(
    data: Annotated[Path, typer.Option("--data", help="help.evaluate_data", metavar="DIR")] = Path(
        "data/garments"
    ),
    output: Annotated[
        Path, typer.Option("-o", "--output", help="help.output", metavar="DIR")
    ] = Path("evaluation"),
    limit: Annotated[
        str | None, typer.Option("--limit", help="help.evaluate_limit", metavar="N")
    ] = None,
    steps: Annotated[str, typer.Option("--steps", help="help.steps", metavar="N")] = "24",
    guidance: Annotated[str, typer.Option("--guidance", help="help.guidance", metavar="X")] = "4.0",
    retrieve: Annotated[
        str, typer.Option("--retrieve", help="help.evaluate_retrieve", metavar="K")
    ] = "0",
    evaluator: Annotated[
        Path | None, typer.Option("--evaluator", help="help.evaluator", metavar="DIR")
    ] = None,
    json: Json = False,
    model: Model = None,
    device: Device = None,
) -> None:
    from ui.evaluate import Order, evaluate

    evaluate(
        Order(
            data=data,
            folder=output,
            limit=None if limit is None else usage.whole_number("limit", limit),
            num_inference_steps=usage.whole_number("num_inference_steps", steps),
            guidance_scale=usage.number("guidance_scale", guidance),
            retrieve=usage.whole_number("retrieve", retrieve),
            evaluator=evaluator,
            as_json=json,
            model=model,
            device=device,
        )
    )
