"""`mmgen tag`, `mmgen similar` and `mmgen train tags`: the commands."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ui import usage
from ui.command_frame import Command, Json

Pictures = Annotated[list[Path], typer.Argument(help="help.tag_pictures", metavar="PIC...")]
Catalogue = Annotated[
    str | None, typer.Option("--catalogue", help="help.similar_catalogue", metavar="NAME")
]


def register(app: typer.Typer, train_app: typer.Typer) -> None:
    """Put the commands of this file into `mmgen` and `mmgen train`."""
    app.command("tag", cls=Command, help="help.tag")(_tag)
    app.command("similar", cls=Command, help="help.similar")(_similar)
    train_app.command("tags", cls=Command, help="help.train_tags")(_train_tags)


def _tag(
    pictures: Pictures,
    copy: Annotated[bool, typer.Option("--copy", help="help.tag_copy")] = False,
    seed: Annotated[str, typer.Option("--seed", help="help.tag_seed", metavar="S")] = "0",
    json: Json = False,
) -> None:
    from ui.tag import tag

    seed_number = usage.whole_number("seed", seed)
    raise typer.Exit(tag(pictures, with_copy=copy, seed=seed_number, as_json=json))


def _similar(
    picture: Annotated[Path, typer.Argument(help="help.similar_picture", metavar="PIC")],
    catalogue: Catalogue = None,
    n: Annotated[str, typer.Option("-n", help="help.similar_n", metavar="N")] = "8",
    sheet: Annotated[
        Path | None, typer.Option("--sheet", help="help.similar_sheet", metavar="FILE")
    ] = None,
    json: Json = False,
) -> None:
    from ui.similar import similar

    similar(picture, catalogue=catalogue, n=usage.whole_number("-n", n), sheet=sheet, as_json=json)


def _train_tags(
    data: Annotated[Path, typer.Option("--data", help="help.data", metavar="DIR")] = Path(
        "data/garments"
    ),
    towers: Annotated[
        Path | None, typer.Option("--towers", help="help.tag_towers", metavar="DIR")
    ] = None,
    output: Annotated[
        Path, typer.Option("-o", "--output", help="help.tag_output", metavar="DIR")
    ] = Path("tags"),
) -> None:
    from ui.tag import train_tags

    train_tags(data, towers, output)
