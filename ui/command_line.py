"""The `mmgen` command: its commands and options, their help, and the exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.exceptions import TyperException

from mmgen import __version__
from mmgen.errors import MmgenError
from ui import (
    commands_batch,
    commands_edit,
    commands_evaluate,
    commands_models,
    commands_tag,
    commands_train,
    usage,
)
from ui.command_frame import (
    AcceptLicence,
    Adapter,
    Attention,
    Command,
    Device,
    Group,
    Json,
    Model,
    Placement,
)
from ui.commands_catalogue import Filters, Name, catalogue_app, search_command
from ui.commands_jobs import jobs_app
from ui.show_errors import INTERRUPTED, report, show_warnings
from ui.words import say, use_language

app = typer.Typer(
    cls=Group,
    help="help.app",
    add_completion=False,
    rich_markup_mode=None,  # rich alone would take half the time that --help may take
    pretty_exceptions_enable=False,
    no_args_is_help=True,
)
app.add_typer(catalogue_app, name="catalogue")
app.add_typer(commands_models.models_app, name="models")
commands_edit.register(app)
commands_batch.register(app)
app.add_typer(jobs_app, name="jobs")
app.add_typer(commands_train.train_app, name="train")
commands_tag.register(app, commands_train.train_app)


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="help.version", is_eager=True)] = False,
) -> None:
    if version:
        print(f"mmgen {__version__}")
        raise typer.Exit()


@app.command("generate", cls=Command, help="help.generate")
def _generate(
    prompt: Annotated[
        str | None, typer.Argument(help="help.prompt", metavar="PROMPT", show_default=False)
    ] = None,
    prompts: Annotated[
        Path | None, typer.Option("--prompts", help="help.prompts", metavar="FILE")
    ] = None,
    n: Annotated[str, typer.Option("-n", help="help.n", metavar="N")] = "1",
    candidates: Annotated[
        str | None, typer.Option("--candidates", help="help.candidates", metavar="N")
    ] = None,
    diverse: Annotated[bool, typer.Option("--diverse", help="help.diverse")] = False,
    seed: Annotated[str | None, typer.Option("--seed", help="help.seed", metavar="S")] = None,
    steps: Annotated[str | None, typer.Option("--steps", help="help.steps", metavar="N")] = None,
    guidance: Annotated[
        str | None, typer.Option("--guidance", help="help.guidance", metavar="X")
    ] = None,
    negative: Annotated[
        str, typer.Option("--negative", help="help.negative", metavar="TEXT", show_default=False)
    ] = "",
    size: Annotated[str | None, typer.Option("--size", help="help.size", metavar="WxH")] = None,
    background: commands_edit.Ground = None,
    preset: commands_edit.Preset = None,
    reference: Annotated[
        list[Path] | None,
        typer.Option("--reference", help="help.reference", metavar="PIC"),
    ] = None,
    retrieve: Annotated[str, typer.Option("--retrieve", help="help.retrieve", metavar="K")] = "0",
    catalogue: Name = None,
    filters: Filters = None,
    file_format: Annotated[
        str, typer.Option("--format", help="help.format", metavar="FORMAT")
    ] = "png",
    output: Annotated[
        Path, typer.Option("-o", "--output", help="help.output", metavar="DIR")
    ] = Path("out"),
    visible_label: Annotated[
        bool, typer.Option("--visible-label", help="help.visible_label")
    ] = False,
    embed_request: Annotated[
        bool, typer.Option("--embed-request", help="help.embed_request")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="help.overwrite")] = False,
    json: Json = False,
    model: Model = None,
    device: Device = None,
    attention: Attention = "auto",
    placement: Placement = "auto",
    accept_licence: AcceptLicence = False,
    adapter: Adapter = None,
) -> None:
    from ui.generate import Order, generate

    generate(
        Order(
            prompt=prompt,
            prompts=prompts,
            num_images=usage.whole_number("-n", n),
            candidates=None if candidates is None else usage.whole_number("candidates", candidates),
            diverse=diverse,
            seed=None if seed is None else usage.whole_number("seed", seed),
            num_inference_steps=None
            if steps is None
            else usage.whole_number("num_inference_steps", steps),
            guidance_scale=None if guidance is None else usage.number("guidance_scale", guidance),
            negative_prompt=negative,
            size=None if size is None else usage.size(size),
            background=background,
            preset=preset,
            references=tuple(reference or ()),
            retrieve=usage.whole_number("--retrieve", retrieve),
            catalogue=catalogue,
            filters=tuple(filters or ()),
            format=file_format,
            folder=output,
            visible_label=visible_label,
            embed_request=embed_request,
            overwrite=overwrite,
            as_json=json,
            model=model,
            device=device,
            attention=attention,
            placement=placement,
            accept_licence=accept_licence,
            adapters=tuple(map(usage.adapter, adapter or ())),
        )
    )


app.command("search", cls=Command, help="help.search")(search_command)


@app.command("verify", cls=Command, help="help.verify")
def _verify(
    files: Annotated[list[Path], typer.Argument(help="help.files", metavar="FILE...")],
    json: Json = False,
) -> None:
    from ui.verify import verify_files

    raise typer.Exit(verify_files(files, as_json=json))


@app.command("info", cls=Command, help="help.info")
def _info(json: Json = False, model: Model = None, device: Device = None) -> None:
    from ui.info import show_info

    show_info(model=model, device=device, as_json=json)


commands_evaluate.add_to(app)


def command_tree() -> Any:
    """The whole command, with its help in the language in force."""
    command = typer.main.get_command(app)
    _put_into_words(command)
    return command


def _put_into_words(command: Any) -> None:
    """Replace each key `help.x` by what it stands for."""
    for parameter in command.params:
        help_key = getattr(parameter, "help", None) or ""
        if help_key.startswith("help."):
            parameter.help = say(help_key)
    if (command.help or "").startswith("help."):
        command.help = say(command.help)
    for inner in getattr(command, "commands", {}).values():
        _put_into_words(inner)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line; returns its exit code."""
    _choose_language()
    show_warnings()
    for stream in (sys.stdout, sys.stderr):
        _never_fail_on(stream)
    try:
        return _run(command_tree(), arguments)
    except Exception as error:
        return report(error)


def _run(command: Callable[..., Any], arguments: Sequence[str] | None) -> int:
    try:
        code = command(
            args=None if arguments is None else list(arguments),
            prog_name="mmgen",
            standalone_mode=False,
        )
    except TyperException as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            print(error.format_message(), file=sys.stderr)
            return 2
        raise usage.translate(error) from None
    if code == INTERRUPTED:
        print(say("interrupted"), file=sys.stderr)
    return int(code or 0)


def _choose_language() -> None:
    """From the settings; a command that needs them says itself what is wrong with them."""
    from mmgen.settings import load_settings

    try:
        use_language(load_settings().lang)
    except MmgenError:
        use_language("en" if os.environ.get("MMGEN_LANG") == "en" else "zh")


def _never_fail_on(stream: Any) -> None:
    """Let text that the terminal cannot show come out escaped."""
    if hasattr(stream, "reconfigure"):
        stream.reconfigure(errors="backslashreplace")
