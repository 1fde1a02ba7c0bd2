"""A picture changed by words: all of it, a part of it, or the room around it.

pipe = EditPipeline.from_pretrained()
out = pipe("coat.png", "红色毛呢大衣", part="garment", strength=0.8, seed=7)

Outside what was chosen the pixels of the result are those of the parent, exactly;
the seam lies inside.
"""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mmgen import limits
from mmgen.errors import Conflict
from mmgen.files.read_picture import sha256_of
from mmgen.mask.choose import feathered
from mmgen.pixels.sizes import padded
from mmgen.seeds import seeds_for
from mmgen.values import (
    Defaults,
    Edit,
    Generator,
    ImageRequest,
    OnStep,
    check_number,
    check_prompt,
    check_whole,
)
from pipelines.edited import Source, parent_label, read_source
from pipelines.garment_mask import GarmentMask, select
from pipelines.made_picture import MadePicture, TextToImageOutput
from pipelines.text_to_image import TextToImagePipeline

if TYPE_CHECKING:
    import torch

STRENGTH = (0.05, 1.0)
FEATHER_SHARE = 0.012
"""Width of the seam as part of the longer side."""
_OVERLAP_SHARE = 0.02
"""Outpainting may touch so much of the parent's rim, that it joins without a line."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Choice:
    """What may change: a mask file, a box, a part, or the room around; none: everything."""

    mask: Path | None = None
    box: tuple[int, int, int, int] | None = None
    part: str | None = None
    outpaint: tuple[int, int] | None = None
    """Width and height of the larger picture."""

    def __post_init__(self) -> None:
        named = {"--mask": self.mask, "--box": self.box, "--part": self.part,
                 "--size": self.outpaint}  # fmt: skip
        given = [name for name, value in named.items() if value is not None]
        if len(given) > 1:
            raise Conflict(first=given[0], second=given[1])


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Canvas:
    """What the generator starts from, and what is put back."""

    pixels: NDArray[np.uint8]
    mask: NDArray[np.float32] | None
    """(H, W) in [0, 1], 1 where the picture may change."""
    parameters: dict[str, Any]
    mask_file_sha256: str | None = None


class EditPipeline:
    """A `Generator` that starts from pictures, and the mask that finds their garment."""

    def __init__(self, generator: Generator, finder: GarmentMask) -> None:
        self.front = TextToImagePipeline(generator)
        self.generator = generator
        self.finder = finder

    @classmethod
    def from_pretrained(
        cls, model: str | Path = "embedded", *, device: str | torch.device = "auto"
    ) -> EditPipeline:
        """As `TextToImagePipeline.from_pretrained`, with the shipped garment mask."""
        front = TextToImagePipeline.from_pretrained(model, device=device)
        return cls(front.generator, GarmentMask.from_pretrained())

    def __call__(
        self,
        picture: Path | str | Source,
        prompt: str,
        *,
        choice: Choice | None = None,
        strength: float = 0.6,
        negative_prompt: str = "",
        num_images: int = 1,
        num_inference_steps: int | None = None,
        guidance_scale: float | None = None,
        seed: int | None = None,
        on_step: OnStep | None = None,
    ) -> TextToImageOutput:
        """`num_images` results of one picture, with seeds s, s+1, ...

        `strength`: 0.05 to 1; how far from the parent a result may go. Steps and guidance
        are the model's own where None is given. Raises
        `RequestError`, `PictureError` and leaves of `mmgen.mask.choose` before anything
        is drawn, and `Cancelled`.
        """
        check_prompt(prompt)
        check_number("strength", strength, *STRENGTH)
        check_whole("num_images_per_prompt", num_images, 1, limits.NUM_IMAGES)
        source = picture if isinstance(picture, Source) else read_source(picture)
        canvas = self._canvas(source, choice or Choice())
        with tempfile.TemporaryDirectory(prefix="mmgen-") as folder:
            pictures, mask_sha256 = _as_files(source, canvas, Path(folder))
            height, width = canvas.pixels.shape[:2]
            own: Defaults = getattr(self.generator, "defaults", Defaults())
            steps, guidance = num_inference_steps, guidance_scale
            edit = Edit(
                operation="edit",
                parent_sha256=source.sha256,
                mask_sha256=mask_sha256,
                parameters={"strength": float(strength), **canvas.parameters},
            )
            requests = [
                ImageRequest(
                    prompt=prompt,
                    negative_prompt=negative_prompt,
                    height=height,
                    width=width,
                    num_inference_steps=own.num_inference_steps if steps is None else steps,
                    guidance_scale=own.guidance_scale if guidance is None else guidance,
                    seed=one,
                    model=self.generator.id,
                    edit=edit,
                )
                for one in seeds_for(seed, num_images)
            ]
            drawn = self.front.stream(requests, pictures, on_step=on_step)
            return TextToImageOutput(pictures=[_put_back(source, canvas, made) for made in drawn])

    def _canvas(self, source: Source, choice: Choice) -> _Canvas:
        if choice.outpaint is not None:
            return _wider(source, choice.outpaint)
        if choice.mask is None and choice.box is None and choice.part is None:
            return _Canvas(pixels=source.pixels, mask=None, parameters={})
        mask, said, file_sha256 = select(
            source,
            self.finder,
            mask=choice.mask,
            box=choice.box,
            part=choice.part or "garment",
        )
        return _Canvas(
            pixels=source.pixels, mask=mask, parameters=said, mask_file_sha256=file_sha256
        )


def _wider(source: Source, size: tuple[int, int]) -> _Canvas:
    """The parent, fitted into a frame of `size`, of which all that is new may change."""
    for name, side in zip(("width", "height"), size, strict=True):
        check_whole(name, side, *limits.EDITED_SIDE_PX)
    inside = np.full((*source.pixels.shape[:2], 3), 255, np.uint8)
    rim = max(1, round(_OVERLAP_SHARE * max(size)))
    kept = padded(inside, size, (0, 0, 0))[..., 0] > 127
    rows, columns = np.flatnonzero(kept.any(1)), np.flatnonzero(kept.any(0))
    # Only sides that are continued are touched; the frame's own edges stay.
    for axis, (first, last) in enumerate(((rows[0], rows[-1]), (columns[0], columns[-1]))):
        lines = kept if axis == 0 else kept.T
        if first > 0:
            lines[: first + rim] = False
        if last < len(lines) - 1:
            lines[last + 1 - rim :] = False
    return _Canvas(
        pixels=padded(source.pixels, size),
        mask=(~kept).astype(np.float32),
        parameters={"outpaint": list(size)},
    )


def _as_files(source: Source, canvas: _Canvas, folder: Path) -> tuple[dict[str, Path], str | None]:
    """sha256 -> file of canvas and mask, and the mask's sha256; the protocol wants files."""
    start = folder / "canvas.png"
    Image.fromarray(canvas.pixels).save(start, compress_level=1)
    pictures = {source.sha256: start}
    if canvas.mask is None:
        return pictures, None
    drawn = folder / "mask.png"
    Image.fromarray((canvas.mask * 255).round().astype(np.uint8)).save(drawn)
    sha256 = canvas.mask_file_sha256 or sha256_of(drawn)
    pictures[sha256] = drawn
    return pictures, sha256


def _put_back(source: Source, canvas: _Canvas, made: MadePicture) -> MadePicture:
    """The parent's own pixels wherever they were not to change."""
    pixels = made.pixels
    if canvas.mask is not None:
        width_px = FEATHER_SHARE * max(canvas.mask.shape)
        soft = feathered(canvas.mask, width_px)[..., None]
        mixed = canvas.pixels + soft * (pixels.astype(np.float32) - canvas.pixels)
        pixels = np.round(mixed).clip(0, 255).astype(np.uint8)
    return dataclasses.replace(
        made,
        pixels=pixels,
        parent=source.sha256,
        packet=source.packet,
        checks={**(made.checks or {}), **parent_label(source)} or None,
    )
