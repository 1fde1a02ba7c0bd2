"""The one font that ships, at a given size."""

from __future__ import annotations

import functools

from PIL import ImageFont

from mmgen.assets import asset_path

FONT = "fonts/noto-sans-cjk-sc-subset.otf"


@functools.lru_cache(maxsize=16)
def font(size_px: int) -> ImageFont.FreeTypeFont:
    """Noto Sans CJK SC, `size_px` an em; basic layout, the same on every machine."""
    return ImageFont.truetype(str(asset_path(FONT)), size_px, layout_engine=ImageFont.Layout.BASIC)
