"""A picture that exists -> what every edit of it starts from, and what its record says."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import mmgen
from mmgen import limits
from mmgen.errors import PictureError, PictureTooLarge
from mmgen.files.label import Label
from mmgen.files.publish import record_path_of
from mmgen.files.read import read_label, read_packet, read_record
from mmgen.files.read_picture import PictureReader, read_picture, sha256_of
from mmgen.values import Edit, ImageRequest
from pipelines.made_picture import MadePicture


class PictureTooSmall(PictureError):
    code = "picture.too_small"
    template = "{path} is {got} px; at least {least} px on each side are needed"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Source:
    """A picture to be edited, with all that its descendants must know of it."""

    path: Path
    pixels: NDArray[np.uint8]
    """(H, W, 3), upright, sRGB."""
    sha256: str
    """Of the file."""
    packet: bytes | None
    """Its XMP, whose other properties the result keeps."""
    label: Label | None
    """Its AI label, where it has exactly one."""
    prompt: str
    """From the record beside it; empty where there is none."""

    @property
    def name(self) -> str:
        """The file's name without extension; results are named after it."""
        return self.path.stem


def read_source(path: Path | str, reader: PictureReader | None = None) -> Source:
    """The picture at `path`, decoded at arm's length.

    Raises `PictureError` leaves: missing, unreadable, animated, and a side under 16
    or over 8,192 px.
    """
    path = Path(path)
    picture = reader.read(path) if reader else read_picture(path)
    least, most = limits.EDITED_SIDE_PX
    shown = f"{picture.width}x{picture.height}"
    if min(picture.size) < least:
        raise PictureTooSmall(path=path, got=shown, least=least)
    if max(picture.size) > most:
        raise PictureTooLarge(path=path, got=f"{shown} px", limit=f"{most} px")
    record = read_record(record_path_of(path))
    prompt = "" if record is None else record.request.get("prompt", "")
    return Source(
        path=path,
        pixels=np.asarray(picture),
        sha256=sha256_of(path),
        packet=read_packet(path.read_bytes()),
        label=read_label(path),
        prompt=prompt if isinstance(prompt, str) else "",
    )


def tool(name: str, revision: int, *parts: str) -> dict[str, Any]:
    """A `model` entry of the record for a computation that is code, not weights.

    `parts`: sha256 of networks that it used. The revision is raised whenever the
    same input would give other pixels.
    """
    identity = "\n".join([f"mmgen.{name}/{revision}", *parts])
    return {
        "id": f"mmgen.{name}",
        "revision": str(revision),
        "sha256": hashlib.sha256(identity.encode()).hexdigest(),
        "licence": "Apache-2.0",
    }


def edited(
    source: Source,
    operation: str,
    pixels: NDArray[np.uint8],
    *,
    model: Mapping[str, Any],
    parameters: Mapping[str, Any],
    mask_sha256: str | None = None,
    checks: Mapping[str, Any] | None = None,
) -> MadePicture:
    """The result of an edit that no prompt was needed for, ready to be saved.

    Its request names operation, parent and parameters, which is all that doing it
    again takes. The parent's label, which the new one takes the place of in the
    file, is kept in the record.
    """
    height, width = pixels.shape[:2]
    request = ImageRequest(
        prompt=source.prompt,
        height=height,
        width=width,
        model=model["id"],
        edit=Edit(
            operation=operation,
            parent_sha256=source.sha256,
            mask_sha256=mask_sha256,
            parameters=dict(parameters),
        ),
    )
    return MadePicture(
        request=request,
        pixels=pixels,
        model=model,
        parent=source.sha256,
        packet=source.packet,
        checks={**(checks or {}), **parent_label(source)} or None,
        environment={"mmgen": mmgen.__version__, "scikit-image": version("scikit-image")},
    )


def parent_label(source: Source) -> dict[str, Any]:
    """`{"parent_label": fields}`, or nothing for a picture without a label."""
    return {} if source.label is None else {"parent_label": source.label.to_dict()}
