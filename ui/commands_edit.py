"""Commands on pictures that exist; what they do stands in the files of `ui/` that they import."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ui import usage
from ui.command_frame import Command, Device, Json, Model

if TYPE_CHECKING:
    from ui.edit_results import Output

Picture = Annotated[Path, typer.Argument(help="help.picture", metavar="PIC")]
Pictures = Annotated[list[Path], typer.Argument(help="help.pictures", metavar="PIC...")]
Mask = Annotated[Path | None, typer.Option("--mask", help="help.mask_file", metavar="PIC")]
Folder = Annotated[Path, typer.Option("-o", "--output", help="help.output", metavar="DIR")]
Format = Annotated[str, typer.Option("--format", help="help.format", metavar="FORMAT")]
Visible = Annotated[bool, typer.Option("--visible-label", help="help.visible_label")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="help.overwrite")]
Preset = Annotated[str | None, typer.Option("--preset", help="help.preset", metavar="NAME")]
Ground = Annotated[
    str | None, typer.Option("--background", help="help.to_ground", metavar="COLOUR")
]
Size = Annotated[str | None, typer.Option("--size", help="help.fit_size", metavar="WxH")]


def register(app: typer.Typer) -> None:
    """Put the commands of this file into `mmgen`."""
    for name, help_key, command in (
        ("edit", "help.edit", _edit),
        ("recolour", "help.recolour", _recolour),
        ("colourways", "help.colourways", _colourways),
        ("background", "help.background", _background),
        ("upscale", "help.upscale", _upscale),
        ("mask", "help.mask", _mask),
    ):
        app.command(name, cls=Command, help=help_key)(command)


def _edit(
    picture: Picture,
    prompt: Annotated[str, typer.Option("--prompt", help="help.edit_prompt", metavar="TEXT")],
    mask: Mask = None,
    box: Annotated[str | None, typer.Option("--box", help="help.box", metavar="X,Y,W,H")] = None,
    part: Annotated[str | None, typer.Option("--part", help="help.part", metavar="PART")] = None,
    size: Annotated[str | None, typer.Option("--size", help="help.outpaint", metavar="WxH")] = None,
    strength: Annotated[str, typer.Option("--strength", help="help.strength", metavar="X")] = "0.6",
    n: Annotated[str, typer.Option("-n", help="help.edit_n", metavar="N")] = "1",
    seed: Annotated[str | None, typer.Option("--seed", help="help.seed", metavar="S")] = None,
    steps: Annotated[str | None, typer.Option("--steps", help="help.steps", metavar="N")] = None,
    guidance: Annotated[
        str | None, typer.Option("--guidance", help="help.guidance", metavar="X")
    ] = None,
    negative: Annotated[
        str, typer.Option("--negative", help="help.negative", metavar="TEXT", show_default=False)
    ] = "",
    output: Folder = Path("out"),
    file_format: Format = "png",
    visible_label: Visible = False,
    overwrite: Overwrite = False,
    json: Json = False,
    model: Model = None,
    device: Device = None,
) -> None:
    from mmgen.mask.choose import parse_box
    from ui.edit import EditOrder, edit

    high_wide = None if size is None else usage.size(size)
    order = EditOrder(
        picture=picture,
        prompt=prompt,
        mask=mask,
        box=None if box is None else parse_box(box),
        part=part,
        outpaint=None if high_wide is None else (high_wide[1], high_wide[0]),
        strength=usage.number("strength", strength),
        negative_prompt=negative,
        num_images=usage.whole_number("-n", n),
        num_inference_steps=None
        if steps is None
        else usage.whole_number("num_inference_steps", steps),
        guidance_scale=None if guidance is None else usage.number("guidance_scale", guidance),
        seed=None if seed is None else usage.whole_number("seed", seed),
        model=model,
        device=device,
    )
    edit(order, _output(output, file_format, visible_label, overwrite, json))


def _upscale(
    pictures: Pictures,
    by: Annotated[str, typer.Option("--by", help="help.by", metavar="N")] = "2",
    method: Annotated[
        str, typer.Option("--method", help="help.method", metavar="NAME")
    ] = "network",
    output: Folder = Path("out"),
    file_format: Format = "png",
    visible_label: Visible = False,
    overwrite: Overwrite = False,
    json: Json = False,
) -> None:
    from ui.edit import upscale

    results = _output(output, file_format, visible_label, overwrite, json)
    upscale(pictures, usage.whole_number("by", by), method, results)


def _recolour(
    pictures: Pictures,
    to: Annotated[str, typer.Option("--to", help="help.to_colour", metavar="COLOUR")],
    card: Annotated[Path | None, typer.Option("--colours", help="help.card", metavar="CSV")] = None,
    mask: Mask = None,
    output: Folder = Path("out"),
    file_format: Format = "png",
    visible_label: Visible = False,
    overwrite: Overwrite = False,
    json: Json = False,
) -> None:
    from ui.recolour import recolour

    recolour(pictures, to, card, mask, _output(output, file_format, visible_label, overwrite, json))


def _colourways(
    design: Annotated[str, typer.Argument(help="help.design", metavar="PIC|PROMPT")],
    card: Annotated[Path, typer.Option("--colours", help="help.card", metavar="CSV")],
    mask: Mask = None,
    seed: Annotated[str | None, typer.Option("--seed", help="help.seed", metavar="S")] = None,
    output: Folder = Path("out"),
    file_format: Format = "png",
    visible_label: Visible = False,
    overwrite: Overwrite = False,
    json: Json = False,
    model: Model = None,
    device: Device = None,
) -> None:
    from ui.recolour import Design, colourways

    drawn = Design(
        typed=design,
        seed=None if seed is None else usage.whole_number("seed", seed),
        model=model,
        device=device,
    )
    colourways(drawn, card, mask, _output(output, file_format, visible_label, overwrite, json))


def _background(
    pictures: Pictures,
    to: Annotated[str | None, typer.Option("--to", help="help.to_ground", metavar="COLOUR")] = None,
    preset: Preset = None,
    size: Size = None,
    shadow: Annotated[bool, typer.Option("--shadow", help="help.shadow")] = False,
    mask: Mask = None,
    output: Folder = Path("out"),
    file_format: Format = "png",
    visible_label: Visible = False,
    overwrite: Overwrite = False,
    json: Json = False,
) -> None:
    from pipelines.background import finish_of
    from ui.background import background

    high_wide = None if size is None else usage.size(size)
    wide_high = None if high_wide is None else (high_wide[1], high_wide[0])
    finish = finish_of(to, preset, wide_high, shadow=shadow, file_format=file_format)
    results = _output(output, file_format, visible_label, overwrite, json)
    background(pictures, finish, mask, results)


def _mask(
    pictures: Pictures,
    part: Annotated[str, typer.Option("--part", help="help.part", metavar="PART")] = "garment",
    output: Folder = Path("out"),
    overwrite: Overwrite = False,
    json: Json = False,
) -> None:
    from ui.background import save_masks

    save_masks(pictures, part, _output(output, "png", False, overwrite, json))


def _output(folder: Path, file_format: str, visible: bool, overwrite: bool, json: bool) -> Output:
    from ui.edit_results import Output

    return Output(
        folder=folder,
        format=file_format,
        visible_label=visible,
        overwrite=overwrite,
        as_json=json,
    )
