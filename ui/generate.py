"""`mmgen generate`: prompts in, labelled pictures, records and a sheet out."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from mmgen import limits
from mmgen.errors import Conflict, Missing, OutputDiskFull, OutputNotWritable
from mmgen.files.encode import check_format
from mmgen.files.read_picture import PictureReader, sha256_of
from mmgen.files.sheet import MOST_TILES, Tile, contact_sheet
from mmgen.files.write import SavedPicture, save_sheet
from mmgen.seeds import seeds_for
from mmgen.settings import Settings, load_settings
from mmgen.values import ImageRequest, check_whole
from ui.interrupt import StopOnRequest
from ui.output_names import names_of
from ui.progress import Drawing
from ui.prompt_file import PromptLine, read_prompts
from ui.words import duration, say

if TYPE_CHECKING:
    from pipelines.text_to_image import MadePicture, TextToImagePipeline

_THUMBNAIL_PX = (512, 512)
_LEAST_FREE_BYTES = 2**16


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


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class _Planned:
    """One picture to be made, and what its file will be called."""

    request: ImageRequest
    name: str


def generate(order: Order) -> None:
    """Make all pictures of `order`; each is on disk as soon as it is drawn.

    Everything that can be checked is checked before the model is loaded.
    """
    began = time.monotonic()
    settings = load_settings({"model": order.model, "device": order.device})
    pictures = {sha256_of(path): path for path in order.references}
    plan = _plan(order, settings.model, tuple(pictures))
    _check_inputs(order)
    print(say("loading"), file=sys.stderr, flush=True)
    pipe = load_pipeline(settings)
    sheet = _Sheet(order, settings.label_producer) if len(plan) > 1 else None
    for made, saved in _draw(pipe, order, plan, pictures):
        _tell(made.request, saved, as_json=order.as_json)
        if sheet:
            sheet.add(made, saved)
    if sheet:
        sheet.save()
    if not order.as_json:
        elapsed = duration(time.monotonic() - began)
        print(say("done", count=len(plan), folder=order.folder.absolute(), elapsed=elapsed))


def load_pipeline(settings: Settings) -> TextToImagePipeline:
    """The model named by the settings, on its device; imports torch."""
    from pipelines.text_to_image import TextToImagePipeline

    return TextToImagePipeline.from_pretrained(settings.model, device=settings.device)


def _plan(order: Order, model: str, references: tuple[str, ...]) -> list[_Planned]:
    """Every picture asked for; raises on the first that cannot be."""
    check_format(order.format)
    check_whole("num_images_per_prompt", order.num_images, 1, limits.NUM_IMAGES)
    seeds = seeds_for(order.seed, order.num_images)
    height, width = order.size
    plan = []
    for line in _lines(order):
        names = names_of(line.prompt, line.key, seeds)
        for seed, name in zip(seeds, names, strict=True):
            request = ImageRequest(
                prompt=line.prompt,
                negative_prompt=order.negative_prompt,
                height=height,
                width=width,
                num_inference_steps=order.num_inference_steps,
                guidance_scale=order.guidance_scale,
                seed=seed,
                model=model,
                references=tuple((sha256, 1.0) for sha256 in references),
            )
            plan.append(_Planned(request=request, name=name))
    return plan


def _lines(order: Order) -> list[PromptLine]:
    if order.prompts and order.prompt is not None:
        raise Conflict(first="PROMPT", second="--prompts")
    if order.prompts:
        return read_prompts(order.prompts)
    if order.prompt is None:
        raise Missing(name="PROMPT", advice="give a prompt or --prompts FILE")
    return [PromptLine(prompt=order.prompt)]


def _check_inputs(order: Order) -> None:
    """Read every reference and look at the output folder, before anything slow."""
    with PictureReader() as reader:
        for path in order.references:
            reader.read(path)
    _check_folder(order.folder)


def _check_folder(folder: Path) -> None:
    """Raise where writing is bound to fail; nothing is created yet."""
    there = next(path for path in (folder, *folder.absolute().parents) if os.path.lexists(path))
    if not there.is_dir():
        raise OutputNotWritable(path=folder, reason=os.strerror(errno.ENOTDIR))
    if not os.access(there, os.W_OK | os.X_OK):
        is_read_only = os.statvfs(there).f_flag & os.ST_RDONLY
        reason = os.strerror(errno.EROFS if is_read_only else errno.EACCES)
        raise OutputNotWritable(path=folder, reason=reason)
    disk = shutil.disk_usage(there)
    if disk.total > 0 and disk.free < _LEAST_FREE_BYTES:
        raise OutputDiskFull(path=folder)


def _draw(
    pipe: TextToImagePipeline, order: Order, plan: list[_Planned], pictures: dict[str, Path]
) -> Iterator[tuple[MadePicture, SavedPicture]]:
    """Each picture, drawn and written; the first Ctrl-C ends it after the step."""
    with StopOnRequest() as stop, Drawing(len(plan), stop) as drawing:
        # The id of the model, not the path it was typed as: records hold no paths.
        model = pipe.generator.id
        requests = [dataclasses.replace(planned.request, model=model) for planned in plan]
        stream = pipe.stream(requests, pictures, on_step=drawing.on_step)
        for planned, made in zip(plan, stream, strict=True):
            saved = made.save(
                order.folder,
                name=planned.name,
                format=order.format,
                visible_label=order.visible_label,
                overwrite=order.overwrite,
            )
            drawing.picture_done()
            yield made, saved


def _tell(request: ImageRequest, saved: SavedPicture, *, as_json: bool) -> None:
    """Say where one picture is: a line for people, or an object for programs."""
    if not as_json:
        print(say("kept", path=saved.path) if saved.kept else saved.path, flush=True)
        return
    facts = {
        "path": str(saved.path),
        "record": str(saved.record_path) if saved.record_path else None,
        "sha256": saved.sha256,
        "produce_id": saved.label.produce_id if saved.label else None,
        "kept": saved.kept,
        "prompt": request.prompt,
        "seed": request.seed,
    }
    print(json.dumps(facts, ensure_ascii=False), flush=True)


class _Sheet:
    """Collects the pictures of a run, small, to be seen side by side in sheet.png."""

    def __init__(self, order: Order, producer: str) -> None:
        self._order = order
        self._producer = producer
        self._tiles: list[Tile] = []
        self._ids: list[str] = []
        self._written = 0

    def add(self, made: MadePicture, saved: SavedPicture) -> None:
        """Take one more picture; a full sheet is written at once."""
        if saved.label is None:
            return
        small = made.image.copy()
        small.thumbnail(_THUMBNAIL_PX)
        note = f"seed {made.request.seed}"
        self._tiles.append(Tile(picture=small, caption=made.request.prompt, note=note))
        self._ids.append(saved.label.produce_id)
        if len(self._tiles) == MOST_TILES:
            self.save()

    def save(self) -> None:
        """Write what was collected as sheet.png, then sheet-2.png, ..."""
        if not self._tiles:
            return
        self._written += 1
        saved = save_sheet(
            contact_sheet(self._tiles),
            self._ids,
            folder=self._order.folder,
            name="sheet" if self._written == 1 else f"sheet-{self._written}",
            producer=self._producer,
            overwrite=self._order.overwrite,
        )
        self._tiles, self._ids = [], []
        if not self._order.as_json:
            print(say("sheet", path=saved.path))
