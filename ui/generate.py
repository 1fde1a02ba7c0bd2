"""`mmgen generate`: prompts in, labelled pictures, records and a sheet out."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmgen import limits
from mmgen.errors import Conflict, Missing, OutputDiskFull, OutputNotWritable
from mmgen.files.encode import check_format, on_white
from mmgen.files.read_picture import PictureReader, sha256_of
from mmgen.files.sheet import MOST_TILES, Tile, contact_sheet
from mmgen.files.write import SavedPicture, save_sheet
from mmgen.hub.folders import defaults_of
from mmgen.seeds import seeds_for
from mmgen.settings import Settings, load_settings
from mmgen.values import ImageRequest, check_whole
from ui.ground_words import words_of
from ui.interrupt import StopOnRequest
from ui.output_names import names_of
from ui.progress import Drawing
from ui.prompt_file import PromptLine, read_prompts
from ui.words import duration, say

if TYPE_CHECKING:
    from pipelines.background import Finish
    from pipelines.made_picture import MadePicture
    from pipelines.references import Reference
    from pipelines.text_to_image import TextToImagePipeline

_THUMBNAIL_PX = (512, 512)
_LEAST_FREE_BYTES = 2**16


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """What was typed."""

    prompt: str | None
    prompts: Path | None
    num_images: int
    """For each prompt."""
    candidates: int | None = None
    """Drawn for each prompt, of which the best `num_images` are kept; None: no choice."""
    diverse: bool = False
    seed: int | None
    num_inference_steps: int | None
    """None, here and below: the model's own default."""
    guidance_scale: float | None
    negative_prompt: str
    size: tuple[int, int] | None
    """height, width in pixels."""
    references: tuple[Path, ...]
    format: str
    folder: Path
    visible_label: bool
    overwrite: bool
    embed_request: bool = False
    """Put the request into the PNG too."""
    as_json: bool
    model: str | None
    device: str | None
    retrieve: int = 0
    """References to be taken from a catalogue for each prompt."""
    catalogue: str | None = None
    filters: tuple[str, ...] = ()
    background: str | None = None
    """white, #RRGGBB, a colour name or transparent, for the garment to stand on."""
    preset: str | None = None
    """A shop's size, which the drawing is fitted into."""
    attention: str = "auto"
    placement: str = "auto"
    accept_licence: bool = False
    adapters: tuple[tuple[Path, float], ...] = ()
    """(file or folder, weight)."""

    @property
    def chooses(self) -> bool:
        """Whether more are drawn than are kept."""
        return self.candidates is not None or self.diverse

    @property
    def drawn(self) -> int:
        """Pictures drawn for each prompt; four times what is kept for a diverse choice."""
        if self.candidates is None and self.diverse:
            return min(4 * self.num_images, limits.NUM_IMAGES)
        return self.num_images if self.candidates is None else self.candidates


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class _Planned:
    """One picture to be made."""

    request: ImageRequest
    key: str | None
    """The id that its prompt has in the prompt file."""


def generate(order: Order) -> None:
    """Make all pictures of `order`; each is on disk as soon as it is drawn.

    Everything that can be checked is checked before the model is loaded.
    """
    began = time.monotonic()
    settings = load_settings({"model": order.model, "device": order.device})
    pictures = {sha256_of(path): path for path in order.references}
    plan = _plan(order, settings.model, tuple(pictures))
    _check_inputs(order)
    finish = _finish(order)
    plan, found = _with_retrieved(order, plan)
    print(say("loading"), file=sys.stderr, flush=True)
    pipe = load_pipeline(
        settings,
        attention=order.attention,
        placement=order.placement,
        accept_licence=order.accept_licence,
    )
    for path, weight in order.adapters:
        pipe.load_lora_weights(path, weight=weight)
    count = len(plan) // order.drawn * order.num_images
    sheet = _Sheet(order, settings.label_producer) if count > 1 else None
    for made, saved in _draw(pipe, order, plan, {**pictures, **found}, finish):
        _tell(made, saved, as_json=order.as_json)
        if sheet:
            sheet.add(made, saved)
    if sheet:
        sheet.save()
    if not order.as_json:
        elapsed = duration(time.monotonic() - began)
        print(say("done", count=count, folder=order.folder.absolute(), elapsed=elapsed))


def _finish(order: Order) -> Finish | None:
    """The ground and size that drawings get afterwards; raises where there are no such."""
    if order.background is None and order.preset is None:
        return None
    from pipelines.background import finish_of

    return finish_of(order.background, order.preset, file_format=order.format)


def load_pipeline(settings: Settings, **options: Any) -> TextToImagePipeline:
    """The model named by the settings, on its device; imports torch.

    `options`: attention, placement, accept_licence of `TextToImagePipeline.from_pretrained`.
    """
    from pipelines.text_to_image import TextToImagePipeline

    return TextToImagePipeline.from_pretrained(settings.model, device=settings.device, **options)


def _plan(order: Order, model: str, references: tuple[str, ...]) -> list[_Planned]:
    """Every picture asked for; raises on the first that cannot be."""
    check_format(order.format)
    if order.embed_request and order.format != "png":
        raise Conflict(first="--embed-request", second=f"--format {order.format}")
    check_whole("num_images_per_prompt", order.num_images, 1, limits.NUM_IMAGES)
    check_whole("candidates", order.drawn, order.num_images, limits.NUM_IMAGES)
    seeds = seeds_for(order.seed, order.drawn)
    own = defaults_of(model)
    height, width = order.size or (own.height, own.width)
    steps, guidance = order.num_inference_steps, order.guidance_scale
    plan = []
    for line in _lines(order):
        for seed in seeds:
            request = ImageRequest(
                prompt=line.prompt,
                negative_prompt=order.negative_prompt,
                height=height,
                width=width,
                num_inference_steps=own.num_inference_steps if steps is None else steps,
                guidance_scale=own.guidance_scale if guidance is None else guidance,
                seed=seed,
                model=model,
                references=tuple((sha256, 1.0) for sha256 in references),
            )
            plan.append(_Planned(request=request, key=line.key))
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
    check_folder(order.folder)


def check_folder(folder: Path) -> None:
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


def _with_retrieved(
    order: Order, plan: list[_Planned]
) -> tuple[list[_Planned], dict[str, Reference]]:
    """The plan with what a catalogue holds nearest to each prompt; and sha256 -> reference."""
    if not order.retrieve and (order.catalogue or order.filters):
        raise Missing(name="--retrieve", advice="--catalogue and --filter go with --retrieve K")
    if order.retrieve and order.references:
        raise Conflict(first="--reference", second="--retrieve")
    if not order.retrieve:
        return plan, {}
    from pipelines.collections import open_collection
    from pipelines.references import retrieve
    from pipelines.search import read_filters

    check_whole("--retrieve", order.retrieve, 0, limits.NUM_REFERENCES)
    filters = read_filters(order.filters)
    collection = open_collection(order.catalogue)
    found: dict[str, Reference] = {}
    of_prompt = {}
    for prompt in dict.fromkeys(planned.request.prompt for planned in plan):
        each = retrieve(prompt, collection, order.retrieve, filters=filters)
        found.update({reference.sha256: reference for reference in each})
        of_prompt[prompt] = tuple((reference.sha256, 1.0) for reference in each)
    return [
        dataclasses.replace(
            planned,
            request=dataclasses.replace(
                planned.request, references=of_prompt[planned.request.prompt]
            ),
        )
        for planned in plan
    ], found


def _draw(
    pipe: TextToImagePipeline,
    order: Order,
    plan: list[_Planned],
    pictures: Mapping[str, Path | Reference],
    finish: Finish | None,
) -> Iterator[tuple[MadePicture, SavedPicture]]:
    """Each picture that is kept, written; the first Ctrl-C ends it after the step."""
    with StopOnRequest() as stop, Drawing(len(plan), stop) as drawing:
        # The id of the model, not the path it was typed as: records hold no paths.
        model = pipe.generator.id
        requests = [
            dataclasses.replace(planned.request, model=model, adapters=pipe.adapters)
            for planned in plan
        ]
        stream = pipe.stream(requests, pictures, on_step=drawing.on_step)
        kept = _counted(stream, drawing)
        if order.chooses:
            from pipelines.best_of import best_of

            kept = best_of(
                kept, pipe.ranker, keep=order.num_images, of=order.drawn, diverse=order.diverse
            )
        if finish:
            from pipelines.background import BackgroundPipeline

            kept = BackgroundPipeline.from_pretrained().finished(kept, finish)
        for index, made in enumerate(kept):
            prompt, place = divmod(index, order.num_images)
            planned = plan[prompt * order.drawn]
            seeds = [made.request.seed] * order.num_images
            saved = made.save(
                order.folder,
                name=names_of(planned.request.prompt, planned.key, seeds)[place],
                format=order.format,
                visible_label=order.visible_label,
                embed_request=order.embed_request,
                overwrite=order.overwrite,
            )
            yield made, saved


def _counted(stream: Iterator[MadePicture], drawing: Drawing) -> Iterator[MadePicture]:
    for made in stream:
        drawing.picture_done()
        yield made


def _tell(made: MadePicture, saved: SavedPicture, *, as_json: bool) -> None:
    """Say where one picture is: a line for people, or an object for programs."""
    ground = (made.checks or {}).get("background")
    if not as_json:
        where = say("kept", path=saved.path) if saved.kept else str(saved.path)
        print(f"{where}  {words_of(ground)}".rstrip(), flush=True)
        return
    facts = {
        "path": str(saved.path),
        "record": str(saved.record_path) if saved.record_path else None,
        "sha256": saved.sha256,
        "produce_id": saved.label.produce_id if saved.label else None,
        "kept": saved.kept,
        "prompt": made.request.prompt,
        "seed": made.request.seed,
    }
    if ground:
        facts["background"] = ground
    if made.scores:
        facts["scores"] = dict(made.scores)
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
        small = on_white(made.image).copy()
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
