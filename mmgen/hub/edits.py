"""A picture that exists -> what a family's img2img or inpaint pipeline starts from.

The picture is scaled into sides that the model was trained for, whole and not
stretched, and what is drawn is scaled back to the picture's own size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from PIL import Image

from mmgen.errors import ModelError
from mmgen.framing import letterbox
from mmgen.hub.families import Family, HubModel
from mmgen.values import Edit, ImageRequest


class EditUnsupported(ModelError):
    code = "model.edit_unsupported"
    template = "{model} cannot {what}; models that can: {allowed}"


def check_edit(row: HubModel, model: str, edit: Edit, rows: Sequence[HubModel]) -> None:
    """Raise `EditUnsupported` where the family has no pipeline for it in diffusers."""
    if pipeline_for(row.family, edit):
        return
    what = "change a part of a picture" if edit.mask_sha256 else "start from a picture"
    able = [one.id for one in rows if pipeline_for(one.family, edit)]
    raise EditUnsupported(model=model, what=what, allowed=", ".join(["embedded", *able]))


def pipeline_for(family: Family, edit: Edit) -> str:
    """Name of the pipeline class that does the edit; empty: none."""
    return family.inpaint if edit.mask_sha256 else family.img2img


def drawn_size(row: HubModel, height: int, width: int) -> tuple[int, int]:
    """Height and width that the model draws an edit of this size at.

    The nearest scale at which both sides lie within those it was trained for, or,
    of a picture too long for that, at which the longer one does.
    """
    low, high = row.sides
    scale = max(1.0, low / min(height, width))
    scale = min(scale, high / max(height, width))
    step = row.family.side_multiple
    return tuple(max(step, round(side * scale / step) * step) for side in (height, width))  # type: ignore[return-value]


def starting_points(
    row: HubModel, requests: Sequence[ImageRequest], read: Callable[[str], Image.Image]
) -> dict[str, Any]:
    """Arguments of the edit's pipeline for requests that are the same but for words and seed."""
    first = requests[0]
    edit = first.edit
    assert edit is not None
    height, width = drawn_size(row, first.height, first.width)
    frame, (top, left, bottom, right) = letterbox(read(edit.parent_sha256), height, width)
    # At least one step is always drawn.
    least = 1.0 / first.num_inference_steps
    given: dict[str, Any] = {
        "image": [Image.fromarray(frame)] * len(requests),
        "height": height,
        "width": width,
        "strength": max(float(edit.parameters.get("strength", 1.0)), least),
    }
    if edit.mask_sha256:
        mask = Image.new("L", (width, height))
        chosen = read(edit.mask_sha256).convert("L")
        mask.paste(chosen.resize((right - left, bottom - top), Image.Resampling.BOX), (left, top))
        given["mask_image"] = [mask] * len(requests)
    return given


def cut_out(pixels: np.ndarray, request: ImageRequest) -> np.ndarray:
    """What lay in the frame of `letterbox`, at the picture's own size; uint8 (H, W, 3)."""
    size = (request.width, request.height)
    if pixels.shape[:2] == size[::-1]:
        return pixels
    _, (top, left, bottom, right) = letterbox(Image.new("RGB", size), *pixels.shape[:2])
    inner = Image.fromarray(pixels[top:bottom, left:right])
    return np.array(inner.resize(size, Image.Resampling.LANCZOS))
