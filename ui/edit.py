"""`mmgen edit` and `mmgen upscale`: a picture changed by words, or made larger."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmgen.files.names import picture_name
from mmgen.settings import Settings, load_settings
from mmgen.values import check_prompt
from ui.edit_results import Output
from ui.interrupt import StopOnRequest
from ui.progress import Drawing
from ui.words import say

if TYPE_CHECKING:
    from pipelines.edit import EditPipeline


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class EditOrder:
    """What was typed."""

    picture: Path
    prompt: str
    mask: Path | None
    box: tuple[int, int, int, int] | None
    part: str | None
    outpaint: tuple[int, int] | None
    """Width, height."""
    strength: float
    negative_prompt: str
    num_images: int
    num_inference_steps: int | None
    """None, here and below: the model's own default."""
    guidance_scale: float | None
    seed: int | None
    model: str | None
    device: str | None


def edit(order: EditOrder, output: Output) -> None:
    """Draw the variations of a picture; each is written with its label and record."""
    settings = load_settings({"model": order.model, "device": order.device})
    check_prompt(order.prompt)
    choice = _choice(order)
    output.check()
    from pipelines.edited import read_source

    source = read_source(order.picture)
    print(say("loading"), file=sys.stderr, flush=True)
    pipe = load_pipeline(settings)
    with StopOnRequest() as stop, Drawing(order.num_images, stop) as drawing:
        made = pipe(
            source,
            order.prompt,
            choice=choice,
            strength=order.strength,
            negative_prompt=order.negative_prompt,
            num_images=order.num_images,
            num_inference_steps=order.num_inference_steps,
            guidance_scale=order.guidance_scale,
            seed=order.seed,
            on_step=drawing.on_step,
        )
        for picture in made.pictures:
            name = f"{source.name}-{picture_name(order.prompt, picture.request.seed)}"
            saved = output.save(picture, name)
            drawing.picture_done()
            output.tell(saved, {"seed": picture.request.seed, "parent": source.sha256})


def _choice(order: EditOrder) -> Any:
    from pipelines.edit import Choice

    return Choice(mask=order.mask, box=order.box, part=order.part, outpaint=order.outpaint)


def load_pipeline(settings: Settings) -> EditPipeline:
    """The model named by the settings, able to start from a picture; imports torch."""
    from pipelines.edit import EditPipeline

    return EditPipeline.from_pretrained(settings.model, device=settings.device)


def upscale(pictures: Sequence[Path], by: int, method: str, output: Output) -> None:
    """Each picture two or four times as large."""
    output.check()
    from pipelines.upscale import Upscaler

    net = Upscaler.from_pretrained()
    for path in pictures:
        made = net(path, by, method)
        saved = output.save(made, f"{path.stem}-x{by}")
        size = f"{made.request.width}x{made.request.height}"
        output.tell(saved, {"width": made.request.width, "height": made.request.height}, size)
