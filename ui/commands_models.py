"""`mmgen models ...`: the commands; what they do stands in `ui/models.py`."""

from __future__ import annotations

from typing import Annotated

import typer

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
