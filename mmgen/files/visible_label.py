"""The visible AI mark of GB 45438-2025, clause 5.2, drawn into the pixels.

The standard asks for a text at an edge or corner, at least 5% of the shorter
side high and legible, and leaves open what "high" measures. The strictest
reading is taken: the ink of the smallest glyph. Legibility is a contrast of at
least 4.5:1 (WCAG 2.2, 1.4.3), held on any ground by a dark plate.
"""

from __future__ import annotations

import functools
import math

from PIL import Image, ImageDraw

from mmgen import errors, limits
from mmgen.files.fonts import font

TEXT = "AI生成"
CORNERS = ("bottom right", "bottom left", "top right", "top left")
_SHARE_OF_SHORTER_SIDE = 0.05
_SMALLEST_INK_PX = 9
"""Below this 生成 is a blot, whatever share of the picture it takes."""
_SOLID_INK = 128
"""Coverage from which an antialiased pixel counts as ink."""
_PLATE_ALPHA = 168
"""On white the plate is grey 87, and white on it has a contrast of 7.3:1."""


def draw_visible_label(picture: Image.Image, corner: str = "bottom right") -> Image.Image:
    """A copy of the picture, RGB or RGBA, with `AI生成` on a dark plate in a corner.

    Raises `UnknownChoice` for another corner, `OutOfRange` for a side under 64 px.
    """
    if corner not in CORNERS:
        raise errors.UnknownChoice(name="corner", got=repr(corner)[:60], allowed=", ".join(CORNERS))
    for name, side in zip(("width", "height"), picture.size, strict=True):
        if side < limits.SIDE_PX[0]:
            raise errors.OutOfRange(name=name, got=side, low=limits.SIDE_PX[0], high="any")
    ink_px = smallest_ink_px(*picture.size)
    text = _text_mask(_size_for(ink_px))
    padding, margin = max(2, round(0.35 * ink_px)), max(2, round(0.4 * ink_px))
    width, height = text.width + 2 * padding, text.height + 2 * padding
    left = margin if "left" in corner else picture.width - margin - width
    top = margin if "top" in corner else picture.height - margin - height
    marked = picture.copy()
    plate = _plate_mask(width, height, radius=padding)
    # On a clear ground the plate must hold by itself.
    ends = (255,) if picture.mode == "RGBA" else ()
    marked.paste((0, 0, 0, *ends), (left, top), plate)
    marked.paste((255, 255, 255, *ends), (left + padding, top + padding), text)
    return marked


def smallest_ink_px(width: int, height: int) -> int:
    """Least ink height in pixels of every glyph of the mark, for a picture's size."""
    return max(_SMALLEST_INK_PX, math.ceil(_SHARE_OF_SHORTER_SIDE * min(width, height)))


@functools.lru_cache(maxsize=32)
def _size_for(ink_px: int) -> int:
    """The least font size at which each glyph has that much solid ink."""
    size_px = ink_px
    while min(_ink_height(glyph, size_px) for glyph in TEXT) < ink_px:
        size_px += 1
    return size_px


def _ink_height(glyph: str, size_px: int) -> int:
    mask = _draw_text(glyph, size_px).point(lambda value: 255 if value >= _SOLID_INK else 0)
    box = mask.getbbox()
    return box[3] - box[1] if box else 0


def _text_mask(size_px: int) -> Image.Image:
    """Coverage of the whole mark, cropped to its ink."""
    mask = _draw_text(TEXT, size_px)
    return mask.crop(mask.getbbox())


def _draw_text(text: str, size_px: int) -> Image.Image:
    mask = Image.new("L", (size_px * (len(text) + 1), size_px * 2))
    ImageDraw.Draw(mask).text((size_px // 2, size_px // 4), text, font=font(size_px), fill=255)
    return mask


def _plate_mask(width: int, height: int, radius: int) -> Image.Image:
    """Coverage of the plate: one even alpha, so that the contrast holds everywhere."""
    mask = Image.new("L", (width, height))
    box = (0, 0, width - 1, height - 1)
    ImageDraw.Draw(mask).rounded_rectangle(box, radius, fill=_PLATE_ALPHA)
    return mask
