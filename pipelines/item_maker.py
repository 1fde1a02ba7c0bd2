"""Items of a job -> labelled pictures in its folder, by any `Generator`."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmgen.files.encode import SUFFIXES
from mmgen.files.names import safe_name
from mmgen.files.publish import record_path_of, sweep_parts
from mmgen.files.read import examine, read_record
from mmgen.jobs.items import Item, Job, Result
from mmgen.settings import load_settings
from mmgen.values import Generator, ImageRequest, OnStep
from pipelines.made_picture import MadePicture
from pipelines.row_models import ModelChanger
from pipelines.text_to_image import TextToImagePipeline

Judge = Callable[[Item, MadePicture], MadePicture]
"""Adds scores, seen and checks to a picture before it is written."""

_LARGEST_RESERVE_BYTES = 2**30
_RESERVE_SHARE = 0.05
"""Of the whole disk, where that is less: small disks are used too."""
_PICTURES_AHEAD = 50
_MOST_NAMES = 1_000


class ItemMaker:
    """A `Generator` as the `Maker` of a worker (mmgen/jobs/worker.py)."""

    def __init__(
        self,
        generator: Generator,
        job: Job,
        judge: Judge | None = None,
        changer: ModelChanger | None = None,
    ) -> None:
        """`changer`: gives the generators of rows that name another model, or adapters."""
        self._pipe = TextToImagePipeline(generator)
        self._changer = changer
        self._job, self._folder, self._judge = job, Path(job.folder), judge
        self._bytes = self._pictures = 0

    @property
    def micro_batch(self) -> int:
        """Pictures a call."""
        return self._pipe.generator.micro_batch

    @micro_batch.setter
    def micro_batch(self, size: int) -> None:
        self._pipe.generator.micro_batch = size

    def draw(self, items: Sequence[Item], on_step: OnStep) -> list[MadePicture]:
        """One picture an item, all of one model. Raises what the generator raises."""
        self._use(items[0])
        # The id of the model, not the path it was typed as: records hold no paths.
        model = self._pipe.generator.id
        requests = [
            dataclasses.replace(ImageRequest.from_dict(item.request), model=model) for item in items
        ]
        pictures = {sha256: Path(path) for item in items for sha256, path in item.pictures.items()}
        return list(self._pipe.stream(requests, pictures, on_step=on_step))

    def _use(self, item: Item) -> None:
        if self._changer is None:
            return
        generator = self._changer.ready(item.request["model"], item.request["adapters"])
        if generator is not self._pipe.generator:
            self._pipe = TextToImagePipeline(generator)

    def keep(self, item: Item, drawn: MadePicture) -> Result:
        """Write picture and record; they are on disk when this returns."""
        made = drawn if self._judge is None else self._judge(item, drawn)
        saved = made.save(
            self._folder / item.subfolder,
            name=item.name,
            format=item.options.get("format", "png"),
            visible_label=item.options.get("visible_label", False),
            embed_request=item.options.get("embed_request", False),
            job={"job": item.job_id, "item": item.item_id, "row_key": item.row_key},
        )
        size = saved.path.stat().st_size
        self._bytes, self._pictures = self._bytes + size, self._pictures + 1
        return Result(
            file=saved.path.relative_to(self._folder).as_posix(),
            file_sha256=saved.sha256,
            pixels_sha256=hashlib.sha256(made.pixels.tobytes()).hexdigest(),
            produce_id=saved.label.produce_id if saved.label else "",
            file_bytes=size,
            details=_details(made.scores, made.seen, made.checks),
        )

    def has_room(self) -> bool:
        """Whether the disk has room for 50 pictures more and is not nearly full."""
        there = next(path for path in (self._folder, *self._folder.parents) if path.exists())
        disk = shutil.disk_usage(there)
        mean = self._bytes / self._pictures if self._pictures else 0
        reserve = min(_LARGEST_RESERVE_BYTES, _RESERVE_SHARE * disk.total)
        return disk.total == 0 or disk.free >= max(reserve, _PICTURES_AHEAD * mean)


def load_maker(job: Job, options: Mapping[str, Any]) -> ItemMaker:
    """The maker of a worker process; imports torch. Raises as `load_generator`."""
    changer = load_models(options)
    return ItemMaker(changer.generator, job, changer=changer)


def load_models(options: Mapping[str, Any]) -> ModelChanger:
    """The model of a job, loaded. `options`: `model` and `device`, else the settings';
    `models` and `adapters` that rows name, as `RowModels` has them.
    """
    from pipelines.components import load_generator

    settings = load_settings({name: options.get(name) for name in ("model", "device")})
    load = functools.partial(load_generator, device=settings.device)
    return ModelChanger(options, settings.model, load)


def find_picture(job: Job, item: Item) -> Result | None:
    """The picture of an item that reached the disk whole, with its record, or None.

    What its worker left half-written is removed on the way.
    """
    folder = Path(job.folder) / item.subfolder
    sweep_parts(folder)
    suffix = SUFFIXES[item.options.get("format", "png")]
    stem = safe_name(item.name)
    for number in range(1, _MOST_NAMES):
        path = folder / (f"{stem}{suffix}" if number == 1 else f"{stem}-{number}{suffix}")
        if not path.is_file():
            return None
        if result := result_of(job, item, path):
            return result
    return None


def result_of(job: Job, item: Item, path: Path) -> Result | None:
    """What stands at `path`, if it is the undamaged picture of `item` with its record."""
    record = read_record(record_path_of(path))
    if record is None or (record.job or {}).get("item") != item.item_id:
        return None
    data = path.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    verdict = examine(data, path)
    if not verdict or verdict.label is None or record.file.get("sha256") != digest:
        return None
    return Result(
        file=path.relative_to(job.folder).as_posix(),
        file_sha256=digest,
        pixels_sha256=record.pixels_sha256,
        produce_id=verdict.label.produce_id,
        file_bytes=len(data),
        details=_details(record.scores, record.seen, record.checks),
    )


def _details(scores: Any, seen: Any, checks: Any) -> dict[str, Any]:
    parts = {"scores": scores, "seen": seen, "checks": checks}
    return {name: dict(part) for name, part in parts.items() if part}
