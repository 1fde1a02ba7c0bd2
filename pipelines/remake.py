"""An edit that a record describes -> done again, from the parent and the same parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from mmgen.colour.names import Colour
from mmgen.values import Edit, Generator, ImageRequest
from pipelines.made_picture import MadePicture

OPERATIONS = frozenset({"edit", "recolour", "background", "size", "upscale"})


def needed(edit: Edit) -> tuple[str, ...]:
    """sha256 of the files that the edit starts from: the parent, and a mask that was given."""
    if edit.parameters.get("mask") == "file" and edit.mask_sha256:
        return edit.parent_sha256, edit.mask_sha256
    return (edit.parent_sha256,)


def remake(
    request: ImageRequest, pictures: Mapping[str, Path], load: Callable[[], Generator]
) -> MadePicture:
    """The picture of an edit's request again; `load` gives the generator of an `edit`.

    `pictures`: sha256 -> file, of all that is `needed`. Raises `KeyError`, `TypeError`
    for parameters that no edit has, and what the operation raises.
    """
    edit = request.edit
    assert edit is not None
    said = edit.parameters
    parent, *masks = (pictures[digest] for digest in needed(edit))
    mask = masks[0] if masks else None
    if edit.operation == "edit":
        return _redrawn(request, edit, parent, mask, load())
    if edit.operation == "recolour":
        from pipelines.recolour import RecolourPipeline

        lightness, a, b = said["lab"]
        colour = Colour(name=said["to"], lab=(lightness, a, b))
        return RecolourPipeline.from_pretrained()(parent, colour, mask=mask).picture
    if edit.operation == "upscale":
        from pipelines.upscale import Upscaler

        return Upscaler.from_pretrained()(parent, said["by"], said["method"])
    from pipelines.background import BackgroundPipeline, Finish

    return BackgroundPipeline.from_pretrained()(parent, Finish.from_parameters(said), mask=mask)


def _redrawn(
    request: ImageRequest, edit: Edit, parent: Path, mask: Path | None, generator: Generator
) -> MadePicture:
    from pipelines.edit import Choice, EditPipeline
    from pipelines.garment_mask import GarmentMask

    said = edit.parameters
    box, part, outpaint = said.get("box"), said.get("mask"), said.get("outpaint")
    choice = Choice(
        mask=mask,
        box=(box[0], box[1], box[2], box[3]) if box else None,
        part=part if part not in (None, "file", "box") else None,
        outpaint=(outpaint[0], outpaint[1]) if outpaint else None,
    )
    made = EditPipeline(generator, GarmentMask.from_pretrained())(
        parent,
        request.prompt,
        choice=choice,
        strength=said["strength"],
        negative_prompt=request.negative_prompt,
        num_inference_steps=request.num_inference_steps,
        guidance_scale=request.guidance_scale,
        seed=request.seed,
    )
    return made.pictures[0]


def finished(made: MadePicture, checks: Mapping[str, object] | None) -> MadePicture:
    """A drawing with the ground and size that its record says it was given afterwards."""
    said = (checks or {}).get("finish")
    if not isinstance(said, Mapping):
        return made
    from pipelines.background import BackgroundPipeline, Finish

    return BackgroundPipeline.from_pretrained().apply(made, Finish.from_parameters(said))
