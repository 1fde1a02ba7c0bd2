"""`mmgen catalogue ...` and `mmgen search`: the commands; see `ui/catalogue.py`, `ui/search.py`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ui import usage
from ui.command_frame import Command, Json, Model, group
from ui.commands_train import Data, train_app

catalogue_app = group("help.catalogue")

Name = Annotated[
    str | None, typer.Option("--catalogue", help="help.catalogue_name", metavar="NAME")
]
Filters = Annotated[
    list[str] | None, typer.Option("--filter", help="help.filter", metavar="NAME=VALUE")
]
Towers = Annotated[str | None, typer.Option("--towers", help="help.towers", metavar="MODEL")]


@catalogue_app.command("add", cls=Command, help="help.catalogue_add")
def _add(
    sources: Annotated[list[Path], typer.Argument(help="help.sources", metavar="SOURCE...")],
    catalogue: Name = None,
    licence: Annotated[
        str | None, typer.Option("--licence", help="help.licence", metavar="TEXT")
    ] = None,
    towers: Towers = None,
    index: Annotated[str, typer.Option("--index", help="help.index", metavar="ADDRESS")] = "",
    json: Json = False,
) -> None:
    from ui.catalogue import add

    code = add(sources, catalogue, licence=licence, towers=towers, index=index, as_json=json)
    raise typer.Exit(code)


@catalogue_app.command("list", cls=Command, help="help.catalogue_list")
def _list(json: Json = False) -> None:
    from ui.catalogue import list_all

    list_all(as_json=json)


@catalogue_app.command("check", cls=Command, help="help.catalogue_check")
def _check(
    name: Annotated[
        str | None, typer.Argument(help="help.catalogue_name", metavar="[NAME]")
    ] = None,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="help.rebuild")] = False,
    towers: Towers = None,
    json: Json = False,
) -> None:
    from ui.catalogue import check

    raise typer.Exit(check(name, rebuild=rebuild, towers=towers, as_json=json))


@catalogue_app.command("remove", cls=Command, help="help.catalogue_remove")
def _remove(
    items: Annotated[list[str] | None, typer.Argument(help="help.items", metavar="[ID...]")] = None,
    catalogue: Name = None,
    missing: Annotated[bool, typer.Option("--missing", help="help.missing")] = False,
    whole: Annotated[bool, typer.Option("--all", help="help.remove_all")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="help.yes")] = False,
    json: Json = False,
) -> None:
    from ui.catalogue import remove

    remove(items or [], catalogue, missing=missing, whole=whole, yes=yes, as_json=json)


def search_command(
    query: Annotated[
        str | None, typer.Argument(help="help.query", metavar="[QUERY]", show_default=False)
    ] = None,
    picture: Annotated[
        Path | None, typer.Option("--picture", help="help.query_picture", metavar="PIC")
    ] = None,
    catalogue: Name = None,
    filters: Filters = None,
    n: Annotated[str, typer.Option("-n", help="help.hits", metavar="N")] = "20",
    sheet: Annotated[
        Path | None, typer.Option("--sheet", help="help.search_sheet", metavar="FILE")
    ] = None,
    json: Json = False,
) -> None:
    """`mmgen search`."""
    from ui.search import search

    search(
        query,
        picture=picture,
        catalogue=catalogue,
        filters=filters or [],
        n=usage.whole_number("-n", n),
        sheet=sheet,
        as_json=json,
    )


@train_app.command("builtin-catalogue", cls=Command, help="help.train_builtin")
def _train_builtin(
    data: Data = Path("data/garments"),
    output: Annotated[
        Path, typer.Option("-o", "--output", help="help.builtin_output", metavar="DIR")
    ] = Path("assets/catalogue"),
    model: Model = None,
) -> None:
    from ui.catalogue import build_builtin

    build_builtin(data, output, model=model)
