"""A garment on white, on a colour, on nothing; in the size of a shop; checked and recorded."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmgen.colour.names import parse_colour
from mmgen.errors import Conflict, MmgenWarning
from mmgen.files.encode import NoTransparency
from mmgen.mask.choose import MaskEmpty, checked
from mmgen.pixels import cutout, sizes
from mmgen.settings import load_settings
from pipelines.edited import Source, edited, read_source, tool
from pipelines.garment_mask import GarmentMask, select
from pipelines.made_picture import MadePicture
from pipelines.upscale import Upscaler

TRANSPARENT = "transparent"
REVISION = 2
"""Raised whenever the same picture and wishes would give other pixels."""


class NoGarmentSeen(MmgenWarning):
    code = "background.no_garment_seen"
    template = "no garment is seen in the drawing of {prompt}, seed {seed}; its ground stays"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Finish:
    """How a picture is to be shown; what is None stays as it is."""

    ground: str | None = None
    """white, #RRGGBB, a Chinese colour name, or `transparent`."""
    size: tuple[int, int] | None = None
    """Width and height in pixels."""
    preset: str | None = None
    """The name that `size` was asked for by."""
    shadow: bool = False
    """A soft contact shadow below the garment."""

    def parameters(self) -> dict[str, Any]:
        """What the record says was asked for."""
        said = {
            "to": self.ground,
            "size": list(self.size) if self.size else None,
            "preset": self.preset,
            "shadow": self.shadow or None,
        }
        return {key: value for key, value in said.items() if value is not None}

    @classmethod
    def from_parameters(cls, said: Mapping[str, Any]) -> Finish:
        """The wish that `parameters` says; other keys are passed over."""
        size = said.get("size")
        return cls(
            ground=said.get("to"),
            size=(size[0], size[1]) if size else None,
            preset=said.get("preset"),
            shadow=bool(said.get("shadow")),
        )


def finish_of(
    ground: str | None = None,
    preset: str | None = None,
    size: tuple[int, int] | None = None,
    *,
    shadow: bool = False,
    file_format: str = "png",
) -> Finish | None:
    """What was asked for, as one wish; None where nothing was.

    `size`: width and height. Raises `Conflict`, `UnknownChoice`, `ColourUnknown`,
    `NoTransparency`.
    """
    if preset and size:
        raise Conflict(first="--preset", second="--size")
    if preset:
        size = sizes.find_size(preset, load_settings().presets)
    finish = Finish(ground=ground, size=size, preset=preset, shadow=shadow)
    ground_of(finish)
    if ground == TRANSPARENT and file_format == "jpeg":
        raise NoTransparency()
    return None if ground is None and size is None else finish


class BackgroundPipeline:
    """Finds the garment and puts it on another ground; or only fits a picture to a size."""

    def __init__(self, finder: GarmentMask, upscaler: Upscaler | None = None) -> None:
        """`upscaler` doubles a picture where a size asks for more pixels; None: Lanczos."""
        self.finder = finder
        self._upscaler = upscaler
        self._enlarge = upscaler.double if upscaler else None

    @classmethod
    def from_pretrained(cls, folder: Path | str | None = None) -> BackgroundPipeline:
        """With the shipped upscaler and garment mask, or the mask of a folder.

        Raises `ModelError` leaves.
        """
        return cls(GarmentMask.from_pretrained(folder), Upscaler.from_pretrained())

    def __call__(
        self, picture: Path | str | Source, finish: Finish, *, mask: Path | None = None
    ) -> MadePicture:
        """The picture as `finish` wants it; `checks.background` says how pure the rim is.

        Raises `ColourUnknown`, leaves of `mmgen.mask.choose`, `PictureError`.
        """
        source = picture if isinstance(picture, Source) else read_source(picture)
        ground_of(finish)
        selection: dict[str, object] = {}
        mask_sha256 = None
        if finish.ground is None:
            pixels, checks = self.finish(source.pixels, finish)
        else:
            garment, selection, mask_sha256 = select(source, self.finder, mask=mask)
            pixels, checks = self.finish(source.pixels, finish, garment)
        return edited(
            source,
            "size" if finish.ground is None else "background",
            pixels,
            model=self._tool(finish, finds=mask_sha256 is None),
            parameters={**finish.parameters(), **selection},
            mask_sha256=mask_sha256,
            checks=checks,
        )

    def apply(self, made: MadePicture, finish: Finish) -> MadePicture:
        """A drawing as `finish` wants it; `checks.finish` says what was done to it.

        Where no garment is seen the drawing keeps its ground (`NoGarmentSeen` is warned
        of, and the record says that the ground is not pure): it was too dear to lose.
        """
        try:
            pixels, checks = self.finish(made.pixels, finish)
        except MaskEmpty:
            request = made.request
            warning = NoGarmentSeen(prompt=request.prompt[:40], seed=request.seed)
            warnings.warn(warning, stacklevel=2)
            pixels, _ = self.finish(made.pixels, dataclasses.replace(finish, ground=None))
            checks = {"background": {"colour": None, "border_share": 0.0, "pure": False}}
        done = {**finish.parameters(), "tool": self._tool(finish, finds=True)["sha256"]}
        checks = {**(made.checks or {}), "finish": done, **checks}
        return dataclasses.replace(made, pixels=pixels, checks=checks)

    def finished(self, drawn: Iterable[MadePicture], finish: Finish) -> Iterator[MadePicture]:
        """Each drawing as `apply` gives it."""
        for made in drawn:
            yield self.apply(made, finish)

    def _tool(self, finish: Finish, *, finds: bool) -> dict[str, Any]:
        used = [self.finder.sha256] if finds and finish.ground else []
        if self._upscaler and finish.size:
            used.append(self._upscaler.sha256)
        return tool("background", REVISION, *used)

    def finish(
        self,
        pixels: NDArray[np.uint8],
        finish: Finish,
        garment: NDArray[np.float32] | None = None,
    ) -> tuple[NDArray[np.uint8], dict[str, Any]]:
        """uint8 (H, W, 3) -> uint8 (h, w, 3), or 4 where transparent, and the record's checks.

        `garment`: its mask (H, W), found here where it is not given. Raises
        `MaskEmpty` where no garment is seen.
        """
        ground = ground_of(finish)
        if finish.ground is None:
            if finish.size:
                pixels = sizes.padded(pixels, finish.size, enlarge=self._enlarge)
            return pixels, {}
        garment = self.finder(pixels) if garment is None else garment
        checked(garment, "--part garment")
        opaque = cutout.opacity(garment)
        if finish.size:
            pixels, opaque = sizes.centred(pixels, opaque, finish.size, self._enlarge)
        if ground is None:
            made = cutout.transparent(pixels, opaque)
            share = float((_rim(made)[:, 3] == 0).mean())
        else:
            made = cutout.on_ground(pixels, opaque, ground, shadow=finish.shadow)
            share = cutout.border_share(made, ground)
        shown = TRANSPARENT if ground is None else "#{:02X}{:02X}{:02X}".format(*ground)
        said = {"colour": shown, "border_share": round(share, 6), "pure": share == 1.0}
        return made, {"background": said}


def ground_of(finish: Finish) -> tuple[int, int, int] | None:
    """The ground's sRGB; None for `transparent` and for the ground that is there."""
    if finish.ground in (None, TRANSPARENT):
        return None
    if finish.ground in ("white", "白", "白色"):
        return (255, 255, 255)
    red, green, blue = bytes.fromhex(parse_colour(str(finish.ground)).hex.removeprefix("#"))
    return (red, green, blue)


def _rim(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.concatenate([pixels[0], pixels[-1], pixels[1:-1, 0], pixels[1:-1, -1]])
