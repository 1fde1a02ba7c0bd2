"""What every command shares: classes whose help is translated, and options that mean the same.

A part's commands stand in `ui/commands_<part>.py` as functions that import what
they need when they run; `ui/command_line.py` puts all of them together.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from ui.words import say

_HEADINGS = {
    "Usage:": "help.usage",
    "\nArguments:": "help.arguments",
    "\nOptions:": "help.options",
    "\nCommands:": "help.commands",
}


class _Translated:
    """Help in the language in force; typer's own headings included."""

    def get_help(self, ctx: Any) -> str:
        text: str = super().get_help(ctx)  # type: ignore[misc]
        for english, key in _HEADINGS.items():
            lead = "\n" if english.startswith("\n") else ""
            text = text.replace(english, f"{lead}{say(key)}", 1)
        return (
            text.replace("[default: ", f"[{say('help.default')}: ")
            .replace("[required]", f"[{say('help.required')}]")
            .replace(" <str>", "")
            .replace(" <path>", "")
            .replace("Show this message and exit.", say("help.help"))
        )


class Command(_Translated, TyperCommand):
    """A command whose help is translated."""


class Group(_Translated, TyperGroup):
    """A group whose help is translated."""


def group(help_key: str) -> typer.Typer:
    """An empty group of commands, such as `mmgen train`."""
    # rich alone would take half the time that --help may take
    return typer.Typer(cls=Group, help=help_key, rich_markup_mode=None, no_args_is_help=True)


Json = Annotated[bool, typer.Option("--json", help="help.json")]
Device = Annotated[str | None, typer.Option("--device", help="help.device", metavar="NAME")]
Model = Annotated[str | None, typer.Option("--model", help="help.model", metavar="MODEL")]
Attention = Annotated[str, typer.Option("--attention", help="help.attention", metavar="NAME")]
Placement = Annotated[str, typer.Option("--placement", help="help.placement", metavar="NAME")]
AcceptLicence = Annotated[bool, typer.Option("--accept-licence", help="help.accept_licence")]
Adapter = Annotated[
    list[str] | None,
    typer.Option("--adapter", "--lora", help="help.adapter", metavar="LORA[:W]"),
]
