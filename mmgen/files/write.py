"""Pixels + what made them -> a labelled picture and its record, written as a pair."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict, Unpack

from mmgen import errors
from mmgen.files import container, embedded_request, encode, publish, read, seal, visible_label
from mmgen.files.label import LOCAL_PRODUCER, Label, collection_id, produce_id
from mmgen.files.names import safe_name
from mmgen.values import ImageRecord, ImageRequest


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class SavedPicture:
    """Where a picture is, and whether it was there before."""

    path: Path
    record_path: Path | None
    label: Label | None
    sha256: str
    """Of the file."""
    kept: bool
    """True: a file of the same ProduceID was there and nothing was overwritten."""


class Details(TypedDict, total=False):
    """The parts of an `ImageRecord` that a caller may know; absent ones are null."""

    adapters: Sequence[Mapping[str, Any]]
    """Each with a `sha256`."""
    references: Sequence[Mapping[str, Any]]
    """Each with a `sha256`."""
    scores: Mapping[str, Any] | None
    seen: Mapping[str, Any] | None
    checks: Mapping[str, Any] | None
    parent: str | None
    environment: Mapping[str, Any] | None
    job: Mapping[str, Any] | None


def save_picture(
    pixels: encode.Pixels,
    *,
    folder: Path | str,
    name: str,
    request: ImageRequest,
    model: Mapping[str, Any],
    format: str = "png",  # noqa: A002 - the word users know from every picture library
    producer: str = LOCAL_PRODUCER,
    visible: bool = False,
    overwrite: bool = False,
    packet: bytes | None = None,
    embed: bool = False,
    **details: Unpack[Details],
) -> SavedPicture:
    """Write NAME.png (.jpg, .webp) with its AI label, and NAME.png.json beside it.

    `pixels`: uint8 (H, W, 3) or an RGB picture. `name`: as the user gave it, without
    extension; it is made safe here. `model`: id, revision, sha256, licence.
    `visible` draws the visible mark too. `packet` is the XMP of the picture that
    this one was made from, whose other properties are kept. `embed` puts what made
    the picture into the PNG too, see `embedded_request`; other formats cannot hold it.

    A file of that name with the same ProduceID and mark is kept; beside another
    one NAME-2 is written, unless `overwrite`. Nothing half-written stays behind.
    Raises `UnknownChoice`, `WrongType`, `Missing`, `OutputNotWritable`,
    `OutputDiskFull`, `LabelLost`.
    """
    encode.check_format(format)
    if embed and format != "png":
        raise errors.UnknownChoice(name="format", got=format, allowed="png")
    digests = read.identity_of({"adapters": (), "references": (), **details, "model": model})
    label = Label.first(produce_id(request, digests), producer)
    picture = encode.as_picture(pixels)
    if visible:
        picture = visible_label.draw_visible_label(picture)
    data = encode.encode(picture, format)
    if embed:
        facts = {
            "request": request.to_dict(),
            "model": dict(model),
            "adapters": list(details.get("adapters") or ()),
            "references": list(details.get("references") or ()),
            "environment": details.get("environment"),
            "pixels_sha256": encode.pixels_sha256(picture),
            "visible_label": visible,
        }
        data = embedded_request.embed_request(data, facts)
    data, label = seal.seal(data, label, packet)
    sha256 = hashlib.sha256(data).hexdigest()

    def record_of(file_name: str) -> bytes:
        record = ImageRecord(
            file={
                "name": file_name,
                "sha256": sha256,
                "format": format,
                "width": picture.width,
                "height": picture.height,
            },
            pixels_sha256=encode.pixels_sha256(picture),
            request=request.to_dict(),
            model=dict(model),
            label=label.to_dict(),
            visible_label=visible,
            **details,
        )
        return record.to_json().encode()

    return _publish(
        Path(folder), name, encode.SUFFIXES[format], data, label, record_of, overwrite, visible
    )


def save_sheet(
    sheet: encode.Pixels,
    produce_ids: Sequence[str],
    *,
    folder: Path | str,
    name: str = "sheet",
    format: str = "png",  # noqa: A002
    producer: str = LOCAL_PRODUCER,
    overwrite: bool = False,
) -> SavedPicture:
    """Write a sheet, labelled by the ProduceIDs of the generated pictures on it.

    A sheet of untouched photographs (no ids) carries no label. There is no record:
    the pictures have theirs. Otherwise as `save_picture`.
    """
    data = encode.encode(encode.as_picture(sheet), format)
    label = None
    if produce_ids:
        label = Label.first(collection_id(produce_ids), producer)
        data, label = seal.seal(data, label)
    return _publish(
        Path(folder), name, encode.SUFFIXES[format], data, label, None, overwrite, False
    )


def _publish(
    folder: Path,
    name: str,
    suffix: str,
    data: bytes,
    label: Label | None,
    record_of: publish.RecordOf | None,
    overwrite: bool,
    visible: bool,
) -> SavedPicture:
    stem = safe_name(name)

    def is_same(path: Path) -> bool:
        return _is_same(path, data, label, visible, has_record=record_of is not None)

    def check(path: Path) -> None:
        _check_label(path, label)

    target = folder / (stem + suffix)
    with publish.output_errors(target), publish.made_folder(folder):
        if overwrite:
            publish.publish_over(target, data, record_of, check=check)
            path, kept = target, False
        else:
            path, kept = publish.publish_new(
                folder, stem, suffix, data, record_of, is_same=is_same, check=check
            )
        there = path.read_bytes() if kept else data
    if kept and label is not None:
        label = read.examine(there, path).label
    return SavedPicture(
        path=path,
        record_path=publish.record_path_of(path) if record_of else None,
        label=label,
        sha256=hashlib.sha256(there).hexdigest(),
        kept=kept,
    )


def _is_same(
    path: Path, data: bytes, label: Label | None, visible: bool, *, has_record: bool
) -> bool:
    """Whether the file at `path` is already what is about to be written.

    It must be undamaged: a broken file of the right ProduceID is another file.
    """
    if not path.is_file():
        return False
    there = path.read_bytes()
    record_path = publish.record_path_of(path)
    if has_record and record_path.exists():
        record = read.read_record(record_path)
        if record is None or record.file.get("sha256") != hashlib.sha256(there).hexdigest():
            return False
        if record.visible_label != visible:
            return False
    elif has_record or label is None:
        return there == data
    verdict = read.examine(there, path)
    return bool(verdict) and label is not None and _id(verdict.label) == _id(label)


def _id(label: Label | None) -> str | None:
    return None if label is None else label.produce_id


def _check_label(path: Path, label: Label | None) -> None:
    """Raise `LabelLost` unless the file on disk holds exactly this label, intact."""
    data = path.read_bytes()
    try:
        found = [each.label for each in read.find_labels(data)]
    except container.BadContainer as error:
        raise errors.LabelLost(path=path) from error
    if found != ([] if label is None else [label]):
        raise errors.LabelLost(path=path)
    if label is not None and not read.examine(data, path):
        raise errors.LabelLost(path=path)
