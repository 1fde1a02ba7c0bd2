"""Which part of a picture is meant: a mask file, a box, or a part of the garment."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mmgen.errors import PictureError, RequestError, UnknownChoice, WrongType

Floats = NDArray[np.float32]

PARTS = ("garment", "background", "upper", "lower")


class MaskSize(PictureError):
    code = "mask.size"
    template = "the mask {path} is {got} px, the picture {wanted} px; both must have one size"


class MaskEmpty(PictureError):
    code = "mask.empty"
    template = "{name} selects nothing of the picture; paint what may change in white"


class MaskFull(PictureError):
    code = "mask.full"
    template = "{name} selects the whole picture; leave the mask out to change all of it"


class BoxOutside(RequestError):
    code = "mask.box_outside"
    template = "the box {got} does not lie within the picture of {width}x{height} px"


def parse_box(text: str) -> tuple[int, int, int, int]:
    """`x,y,w,h` in pixels from the top left; raises `WrongType`."""
    match = re.fullmatch(r"\s*(\d{1,6})\s*,\s*(\d{1,6})\s*,\s*(\d{1,6})\s*,\s*(\d{1,6})\s*", text)
    if not match:
        raise WrongType(name="box", got=repr(text)[:60], wanted="x,y,w,h in pixels")
    x, y, width, height = map(int, match.groups())
    return x, y, width, height


def from_box(box: tuple[int, int, int, int], height: int, width: int) -> Floats:
    """(H, W) of 0 and 1; raises `BoxOutside`, `MaskEmpty`, `MaskFull`."""
    x, y, wide, high = box
    shown = ",".join(map(str, box))
    if x + wide > width or y + high > height:
        raise BoxOutside(got=shown, width=width, height=height)
    mask = np.zeros((height, width), np.float32)
    mask[y : y + high, x : x + wide] = 1
    return checked(mask, f"--box {shown}")


def from_picture(picture: Image.Image, path: object, height: int, width: int) -> Floats:
    """An RGB picture, white where something may change, as (H, W) in [0, 1].

    Raises `MaskSize`, `MaskEmpty`, `MaskFull`.
    """
    if picture.size != (width, height):
        got, wanted = f"{picture.width}x{picture.height}", f"{width}x{height}"
        raise MaskSize(path=path, got=got, wanted=wanted)
    grey: Floats = np.asarray(picture.convert("L"), np.float32) / np.float32(255)
    return checked(grey, str(path))


def from_garment(garment: Floats, part: str) -> Floats:
    """A part of the garment mask (H, W): garment, background, upper, lower.

    Upper and lower are the garment above and below the middle of its height.
    Raises `UnknownChoice`, `MaskEmpty`, `MaskFull`.
    """
    if part not in PARTS:
        raise UnknownChoice(name="part", got=repr(part)[:60], allowed=", ".join(PARTS))
    name = f"--part {part}"
    if part == "background":
        return checked((1 - garment).astype(np.float32), name)
    checked(garment, name)
    if part == "garment":
        return garment
    rows = np.flatnonzero((garment > 0.5).any(axis=1))
    middle = int(rows[0] + rows[-1] + 1) // 2
    chosen = garment.copy()
    chosen[middle:] = 0 if part == "upper" else chosen[middle:]
    chosen[:middle] = 0 if part == "lower" else chosen[:middle]
    return checked(chosen, name)


def checked(mask: Floats, name: str) -> Floats:
    """`mask`, unless it selects nothing (`MaskEmpty`) or everything (`MaskFull`)."""
    if not (mask > 0.5).any():
        raise MaskEmpty(name=name)
    if (mask > 0.5).all():
        raise MaskFull(name=name)
    return mask


def feathered(mask: Floats, width_px: float) -> Floats:
    """The mask with its edge softened inwards: what was outside stays at exactly 0."""
    from scipy.ndimage import distance_transform_edt

    inside = mask > 0.5
    # The frame's own edge is no seam.
    depth = distance_transform_edt(np.pad(inside, 1, mode="edge"))[1:-1, 1:-1]
    soft: Floats = (depth / max(1.0, width_px)).clip(0, 1).astype(np.float32)
    return soft
