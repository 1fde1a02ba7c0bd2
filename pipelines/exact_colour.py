"""一件 #1F3A5F 的衬衫: drawn in the nearest colour that has a name, then moved to the exact one."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmgen.colour.lab import difference, lab_of
from mmgen.colour.names import IN_TEXT, parse_colour
from mmgen.colour.recolour import NothingToRecolour, find_main, recolour
from mmgen.text.normalize import normalize
from mmgen.text.vocabulary import load_vocabulary


def normalize_colours(prompt: str) -> str:
    """The prompt as the model reads it: normalised, each `#RRGGBB` by its nearest name."""
    return normalize(IN_TEXT.sub(lambda match: nearest_name(match[0]), prompt))


@functools.lru_cache(maxsize=1_024)
def nearest_name(value: str) -> str:
    """The colour of the captions that is nearest to `#RRGGBB`, with 色: 藏青色."""
    names = list(load_vocabulary().attributes["colors"])
    known = np.array([parse_colour(name).lab for name in names])
    wanted = np.broadcast_to(parse_colour(value).lab, known.shape)
    return names[int(np.argmin(difference(wanted, known)))] + "色"


def exact(
    prompt: str, pixels: NDArray[np.uint8]
) -> tuple[NDArray[np.uint8], dict[str, Any] | None]:
    """A drawing uint8 (H, W, 3), its garment moved to the first `#RRGGBB` of the prompt.

    Also what the record says of it; None where the prompt names no exact colour.
    Where no garment is seen the drawing stays as it is, and that is said.
    """
    match = IN_TEXT.search(prompt)
    if match is None:
        return pixels, None
    from pipelines.recolour import checks_of, shared_pipeline

    colour = parse_colour(match[0])
    lab = lab_of(pixels)
    try:
        main = find_main(lab, shared_pipeline().finder(pixels))
    except NothingToRecolour:
        return pixels, {"wanted": list(colour.lab), "after": None}
    made = recolour(pixels, main, colour.lab, lab)
    return made.pixels, checks_of(colour, made)
