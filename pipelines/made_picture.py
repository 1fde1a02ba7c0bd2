"""A drawn picture with all that its label and record will say, and how it is written."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mmgen.errors import WrongType
from mmgen.files.names import picture_name
from mmgen.files.write import SavedPicture, save_picture
from mmgen.settings import load_settings
from mmgen.values import ImageRequest


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class MadePicture:
    """One picture with everything that its label and record will say."""

    request: ImageRequest
    pixels: np.ndarray
    """uint8 (H, W, 3), sRGB."""
    model: Mapping[str, Any]
    """id, revision, sha256, licence."""
    adapters: tuple[Mapping[str, Any], ...] = ()
    references: tuple[Mapping[str, Any], ...] = ()
    scores: Mapping[str, Any] | None = None
    seen: Mapping[str, Any] | None = None
    checks: Mapping[str, Any] | None = None
    parent: str | None = None
    packet: bytes | None = None
    """XMP of the picture that this one was made from; its other properties are kept."""
    environment: Mapping[str, Any] | None = None

    @property
    def image(self) -> Image.Image:
        """A plain PIL picture. Its own `save` writes no label; use `MadePicture.save`."""
        return Image.fromarray(self.pixels)

    def save(
        self,
        folder: Path | str,
        *,
        name: str | None = None,
        format: str = "png",  # noqa: A002 - the word users know from every picture library
        visible_label: bool = False,
        overwrite: bool = False,
        embed_request: bool = False,
        job: Mapping[str, Any] | None = None,
    ) -> SavedPicture:
        """Write `folder/NAME.png` with its AI label, and `NAME.png.json` beside it.

        `name` defaults to the beginning of the prompt and the seed. `embed_request`
        puts prompt, seed and model into the PNG itself. `job`: job, item
        and row_key, for a picture made by a job. Raises
        `UnknownChoice`, `OutputNotWritable`, `OutputDiskFull`, `LabelLost`.
        """
        return save_picture(
            self.pixels,
            folder=folder,
            name=name or picture_name(self.request.prompt, self.request.seed),
            request=self.request,
            model=self.model,
            format=format,
            producer=load_settings().label_producer,
            visible=visible_label,
            overwrite=overwrite,
            packet=self.packet,
            embed=embed_request,
            adapters=self.adapters,
            references=self.references,
            scores=self.scores,
            seen=self.seen,
            checks=self.checks,
            parent=self.parent,
            environment=self.environment,
            job=job,
        )


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class TextToImageOutput:
    """What `TextToImagePipeline` gives."""

    pictures: list[MadePicture]

    @property
    def images(self) -> list[Image.Image]:
        """Plain PIL pictures, in the order of prompts, then seeds."""
        return [picture.image for picture in self.pictures]

    @property
    def requests(self) -> list[ImageRequest]:
        """What was asked for each picture; its seed makes it again."""
        return [picture.request for picture in self.pictures]

    def save(
        self,
        folder: Path | str,
        *,
        names: Sequence[str] | None = None,
        format: str = "png",  # noqa: A002
        visible_label: bool = False,
        overwrite: bool = False,
    ) -> list[SavedPicture]:
        """Write every picture as `MadePicture.save` does; `names` without extension."""
        if names is not None and len(names) != len(self.pictures):
            raise WrongType(
                name="names", got=f"{len(names)} names", wanted=f"{len(self.pictures)} names"
            )
        return [
            picture.save(
                folder,
                name=name,
                format=format,
                visible_label=visible_label,
                overwrite=overwrite,
            )
            for picture, name in zip(
                self.pictures, names or itertools.repeat(None), strict=names is not None
            )
        ]
