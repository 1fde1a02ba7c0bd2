"""`mmgen models ...`: the commands; what they do stands in `ui/models.py`."""

from __future__ import annotations

from typing import Annotated

import typer

from ui import usage
from ui.command_frame import AcceptLicence, Command, Json, group

models_app = group("help.models")

Id = Annotated[str, typer.Argument(help="help.model_id", metavar="MODEL")]


@models_app.command("list", cls=Command, help="help.models_list")
def _list(json: Json = False) -> None:
    from ui.models import list_models

    list_models(as_json=json)


@models_app.command("show", cls=Command, help="help.models_show")
def _show(model: Id, accept_licence: AcceptLicence = False, json: Json = False) -> None:
    from ui.models import show_model

    show_model(model, accept=accept_licence, as_json=json)


@models_app.command("plan", cls=Command, help="help.models_plan")
def _plan(
    model: Annotated[str, typer.Argument(help="help.model_or_folder", metavar="MODEL")],
    vram: Annotated[
        str | None, typer.Option("--vram", help="help.vram", metavar="SIZE", show_default=False)
    ] = None,
    size: Annotated[
        str | None, typer.Option("--size", help="help.plan_size", metavar="WxH")
    ] = None,
    json: Json = False,
) -> None:
    from ui.models import plan_model

    plan_model(model, memory=vram, size=None if size is None else usage.size(size), as_json=json)


@models_app.command("fetch", cls=Command, help="help.models_fetch")
def _fetch(
    model: Id,
    source: Annotated[str, typer.Option("--source", help="help.source_of", metavar="NAME")] = "hub",
    revision: Annotated[
        str | None, typer.Option("--revision", help="help.revision", metavar="REV")
    ] = None,
    endpoint: Annotated[
        str | None, typer.Option("--endpoint", help="help.endpoint", metavar="URL")
    ] = None,
    private: Annotated[bool, typer.Option("--private", help="help.private")] = False,
    accept_licence: AcceptLicence = False,
    json: Json = False,
) -> None:
    from ui.fetch_model import fetch_model

    fetch_model(
        model,
        source=source,
        revision=revision,
        endpoint=endpoint,
        private=private,
        accept=accept_licence,
        as_json=json,
    )
