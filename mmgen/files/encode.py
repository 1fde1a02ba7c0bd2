"""Pixels -> PNG, JPEG or WebP bytes, tagged sRGB; same pixels, same bytes."""

from __future__ import annotations

import functools
import hashlib
import io
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from PIL import Image, PngImagePlugin

from mmgen import errors
from mmgen.assets import asset_path

if TYPE_CHECKING:
    from numpy.typing import NDArray

Pixels: TypeAlias = "Image.Image | NDArray[np.uint8]"

SUFFIXES = {"png": ".png", "jpeg": ".jpg", "webp": ".webp"}
_LOSSY_QUALITY = 95
_LARGEST_SIDE_PX = {"png": 2**31 - 1, "jpeg": 65_500, "webp": 16_383}
_PERCEPTUAL = b"\0"


class NoTransparency(errors.RequestError):
    code = "format.no_transparency"
    template = "JPEG holds no transparency; choose --format png or webp"


def check_format(name: str) -> None:
    """Raise `UnknownChoice` unless pictures can be written in this format."""
    if name not in SUFFIXES:
        raise errors.UnknownChoice(name="format", got=repr(name)[:60], allowed=", ".join(SUFFIXES))


def as_picture(pixels: Pixels) -> Image.Image:
    """An RGB or RGBA picture of a uint8 (H, W, 3 or 4) array or of a PIL picture.

    Raises `WrongType` for any other array or mode: guessing a range or an alpha
    would change what was made.
    """
    wanted = "a uint8 array (H, W, 3 or 4) or an RGB or RGBA picture"
    if isinstance(pixels, Image.Image):
        if pixels.mode not in ("RGB", "RGBA") or 0 in pixels.size:
            raise errors.WrongType(name="pixels", got=f"{pixels.mode} {pixels.size}", wanted=wanted)
        return pixels
    if not isinstance(pixels, np.ndarray):
        raise errors.WrongType(name="pixels", got=type(pixels).__name__, wanted=wanted)
    is_colour = pixels.ndim == 3 and pixels.shape[2] in (3, 4) and pixels.size > 0
    if not is_colour or pixels.dtype != np.uint8:
        raise errors.WrongType(name="pixels", got=f"{pixels.dtype} {pixels.shape}", wanted=wanted)
    return Image.fromarray(np.ascontiguousarray(pixels))


def pixels_sha256(picture: Image.Image) -> str:
    """Identity of the pixels before encoding: their RGB bytes, row by row.

    Of a transparent picture those on white, which is what `read_picture` gives back.
    """
    return hashlib.sha256(on_white(picture).tobytes()).hexdigest()


def on_white(picture: Image.Image) -> Image.Image:
    """An RGB picture as it is; an RGBA one on white."""
    if picture.mode == "RGB":
        return picture
    ground = Image.new("RGB", picture.size, (255, 255, 255))
    ground.paste(picture.convert("RGB"), mask=picture.getchannel("A"))
    return ground


def encode(picture: Image.Image, kind: str) -> bytes:
    """The file of a picture without label: `kind` is png, jpeg or webp.

    Nothing of `picture.info` is written. Raises `OutOfRange` for a side that the
    format cannot hold, `NoTransparency` for an RGBA picture as JPEG.
    """
    check_format(kind)
    if picture.mode == "RGBA" and kind == "jpeg":
        raise NoTransparency()
    for name, side in zip(("width", "height"), picture.size, strict=True):
        if side > _LARGEST_SIDE_PX[kind]:
            raise errors.OutOfRange(name=name, got=side, low=1, high=_LARGEST_SIDE_PX[kind])
    bare = Image.frombytes(picture.mode, picture.size, picture.tobytes())
    buffer = io.BytesIO()
    if kind == "png":
        colour = PngImagePlugin.PngInfo()
        colour.add(b"sRGB", _PERCEPTUAL)
        bare.save(buffer, "PNG", pnginfo=colour, compress_level=6)
    elif kind == "jpeg":
        # 4:4:4, because halved colour bleeds at the edges of saturated fabric. Not
        # `optimize`: for that Pillow guesses a buffer, which busy pictures overflow.
        bare.save(
            buffer,
            "JPEG",
            quality=_LOSSY_QUALITY,
            subsampling=0,
            icc_profile=srgb_profile(),
        )
    else:
        bare.save(buffer, "WEBP", quality=_LOSSY_QUALITY, method=4, icc_profile=srgb_profile())
    return buffer.getvalue()


@functools.cache
def srgb_profile() -> bytes:
    """The ICC profile that tags lossy files; constant, so that bytes are too."""
    return asset_path("colour/srgb.icc").read_bytes()
