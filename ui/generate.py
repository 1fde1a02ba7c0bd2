"""`mmgen generate`: prompts in, labelled pictures, records and a sheet out."""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmgen import limits
from mmgen.errors import Conflict, Missing
from mmgen.files.encode import check_format
from mmgen.files.read_picture import sha256_of
from mmgen.seeds import seeds_for
from mmgen.settings import Settings, load_settings
from mmgen.values import ImageRequest, check_whole
from ui.interrupt import StopOnRequest
from ui.output_names import names_of
from ui.progress import Drawing
from ui.prompt_file import PromptLine, read_prompts
from ui.words import duration, say

if TYPE_CHECKING:
    from mmgen.files.write import SavedPicture
    from pipelines.text_to_image import TextToImagePipeline


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """What was typed."""

    prompt: str | None
    prompts: Path | None
    num_images: int
    """For each prompt."""
    seed: int | None
    num_inference_steps: int
    guidance_scale: float
    negative_prompt: str
    size: tuple[int, int]
    """height, width in pixels."""
    references: tuple[Path, ...]
    format: str
    folder: Path
    visible_label: bool
    overwrite: bool
    as_json: bool
    model: str | None
    device: str | None


def generate(order: Order) -> None:
    """Make all pictures of `order`; each is on disk as soon as it is drawn.

    Everything that can be checked is checked before the model is loaded.
    """
    began = time.monotonic()
    settings = load_settings({"model": order.model, "device": order.device})
    pictures = {sha256_of(path): path for path in order.references}
    plan = _plan(order, settings, pictures)
    pipe = load_pipeline(settings)
    sheet = _Sheet(order, settings)
    count = 0
    for saved in _draw(pipe, order, plan, pictures, settings, sheet):
        _tell(saved, order.as_json)
        count += 1
    sheet.save()
    if not order.as_json:
        elapsed = duration(time.monotonic() - began)
        print(say("done", count=count, folder=order.folder.absolute(), elapsed=elapsed))
