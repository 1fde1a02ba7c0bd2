"""What can be wrong with a command before anything is asked of the model.

typer's own complaints become leaves of our error tree here, so that they are
said in the user's language by the same path as every other error. Values of
options arrive as text and are read by `mmgen/typed.py` for the same reason.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from typer.exceptions import TyperException

from mmgen.errors import RequestError
from mmgen.typed import number, size, whole_number

__all__ = ["adapter", "number", "size", "translate", "whole_number"]


class UsageProblem(RequestError):
    """The command line itself is wrong."""


class NoSuchOption(UsageProblem):
    code = "usage.no_such_option"
    template = "there is no option {name}; {advice}"


class NoSuchCommand(UsageProblem):
    code = "usage.no_such_command"
    template = "there is no command {name}; there are {allowed}"


class MissingArgument(UsageProblem):
    code = "usage.missing_argument"
    template = "{name} is missing; see {help}"


class MissingValue(UsageProblem):
    code = "usage.missing_value"
    template = "option {name} needs a value; see {help}"


class UnexpectedValue(UsageProblem):
    code = "usage.unexpected_value"
    template = "option {name} takes no value; see {help}"


class TooManyArguments(UsageProblem):
    code = "usage.too_many_arguments"
    template = "{extra} is too much; quote a prompt that holds spaces"


class OtherUsage(UsageProblem):
    code = "usage.other"
    template = "the command is not well formed: {detail}; see {help}"


def translate(error: TyperException) -> UsageProblem:
    """The leaf that says what typer's `error` says.

    typer keeps its exception classes private, so they are told apart by name.
    """
    kind = type(error).__name__
    context: Any = getattr(error, "ctx", None)
    help_command = f"{context.command_path if context else 'mmgen'} --help"
    if kind == "NoSuchOption":
        near = getattr(error, "possibilities", None)
        advice = f"did you mean {', '.join(near)}?" if near else f"see {help_command}"
        return NoSuchOption(name=getattr(error, "option_name", "?"), advice=advice)
    if kind == "MissingParameter":
        parameter: Any = getattr(error, "param", None)
        is_option = parameter.param_type_name == "option"
        name = parameter.opts[-1] if is_option else parameter.metavar
        return MissingArgument(name=name, help=help_command)
    if kind == "BadOptionUsage":
        is_missing = "require" in error.message
        leaf = MissingValue if is_missing else UnexpectedValue
        return leaf(name=getattr(error, "option_name", "?"), help=help_command)
    if match := re.match(r"No such command '(.*?)'\.", error.message):
        return NoSuchCommand(name=match[1], allowed=_commands(context))
    if match := re.match(
        r"Got unexpected extra argument(?:\(s\)|s)? \((.*)\)", error.message, re.DOTALL
    ):
        return TooManyArguments(extra=match[1])
    if error.message.startswith("Missing command"):
        return MissingArgument(name="COMMAND", help=help_command)
    return OtherUsage(detail=error.format_message(), help=help_command)


def _commands(context: Any) -> str:
    return " ".join(context.command.list_commands(context))


def adapter(text: str) -> tuple[Path, float]:
    """`PATH` or `PATH:WEIGHT` as (path, weight); the weight is 1 where none is written.

    A path that exists is taken as it stands, colons included.
    """
    path, colon, weight = text.rpartition(":")
    if not colon or Path(text).exists():
        return Path(text), 1.0
    return Path(path), number("weight", weight)
