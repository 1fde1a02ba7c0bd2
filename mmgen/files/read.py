"""A picture file -> its label, and whether file, label and record still agree."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

from mmgen import errors
from mmgen.files import container, seal, xmp
from mmgen.files.label import Label, produce_id
from mmgen.files.read_picture import PictureReader, read_picture
from mmgen.values import ImageRecord, ImageRequest

_LARGEST_JSON = 65_536
_EXIF_HEADER = b"Exif\0\0"


class State(StrEnum):
    """What `verify` found; the value is the stable word for machines."""

    INTACT = "intact"
    PIXELS_CHANGED = "pixels changed"
    LABEL_CHANGED = "label changed"
    RECORD_MISMATCH = "record mismatch"
    FOREIGN = "foreign label"
    """One label of another producer, without checks that could be verified."""
    NO_LABEL = "no label"
    SEVERAL_LABELS = "several labels"
    UNREADABLE = "unreadable"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class FoundLabel:
    """A label as it stands in a file, valid or not."""

    where: str
    """`xmp`, `text` or `exif`: the three places known from the practice guide."""
    text: str
    chunk: container.Chunk

    @property
    def label(self) -> Label | None:
        """The label, or None where the text is not seven allowed fields."""
        fields = _fields(self.text)
        if fields is None:
            return None
        try:
            return Label.from_dict(fields)
        except errors.RequestError:
            return None


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """The state of one file; true only when it is intact."""

    path: Path
    state: State
    label: Label | None = None
    differs: tuple[str, ...] = ()
    """Of `pixels`, `label`, `record.schema`, `record.file`, `record.pixels`,
    `record.label`, `record.request`; for an unreadable file the reason."""
    has_record: bool = False
    """Whether a record lay beside the picture and was compared."""

    def __bool__(self) -> bool:
        return self.state is State.INTACT


def read_label(path: Path | str) -> Label | None:
    """The label of a picture, or None unless it holds exactly one valid label.

    Raises `PictureMissing`; `verify` says why there is none.
    """
    try:
        found = find_labels(_read(Path(path)))
    except container.BadContainer:
        return None
    return found[0].label if len(found) == 1 else None


def find_labels(data: bytes) -> list[FoundLabel]:
    """Every label in a file: XMP property, PNG text `AIGC`, EXIF.

    Raises `BadContainer` where the bytes are no PNG, JPEG or WebP file.
    """
    found = []
    for chunk in container.chunks_of(data):
        for where, text in _texts(chunk):
            found.append(FoundLabel(where=where, text=text, chunk=chunk))
    return found


def read_packet(data: bytes) -> bytes | None:
    """The first XMP packet of a file, for keeping other people's properties."""
    packets = (container.xmp_packet(chunk) for chunk in container.chunks_of(data))
    return next((packet for packet in packets if packet), None)


def verify(path: Path | str, reader: PictureReader | None = None) -> Verdict:
    """Whether pixels, label and the record beside the picture still agree.

    Any changed byte of a file that mmgen wrote is found. `reader` saves the start
    of a decoder where many files are asked for. Raises `PictureMissing`.
    """
    path = Path(path)
    data = _read(path)
    verdict = examine(data, path)
    record_path = path.with_name(path.name + ".json")
    if verdict.state is not State.INTACT or not record_path.is_file():
        return verdict
    differs = _compare_record(read_record(record_path), path, data, verdict.label, reader)
    state = State.RECORD_MISMATCH if differs else State.INTACT
    return dataclasses.replace(verdict, state=state, differs=differs, has_record=True)


def examine(data: bytes, path: Path) -> Verdict:
    """The verdict on a file's bytes alone, without the record."""
    try:
        found = find_labels(data)
    except container.BadContainer as error:
        return Verdict(path=path, state=State.UNREADABLE, differs=(str(error),))
    if not found:
        return Verdict(path=path, state=State.NO_LABEL)
    if len(found) > 1:
        return Verdict(path=path, state=State.SEVERAL_LABELS)
    label = found[0].label
    if label is None:
        return Verdict(path=path, state=State.LABEL_CHANGED, differs=("label",))
    if not seal.is_sealed(label):
        return Verdict(path=path, state=State.FOREIGN, label=label)
    broken = seal.broken_seals(data, found[0].chunk, label)
    if not broken:
        return Verdict(path=path, state=State.INTACT, label=label)
    # A touched label can take the picture's code with it; the reverse cannot happen.
    state = State.LABEL_CHANGED if "label" in broken else State.PIXELS_CHANGED
    return Verdict(path=path, state=state, label=label, differs=broken)


def read_record(path: Path) -> ImageRecord | None:
    """The record in a file, or None where it is missing or not one of this schema."""
    try:
        return ImageRecord.from_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError, RecursionError):
        return None


def identity_of(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """The digests that a ProduceID is made from: `model`, `adapters`, `references`.

    Raises `Missing` where a part has no sha256.
    """
    parts = [("model", record["model"])]
    parts += [("adapter", part) for part in record["adapters"]]
    parts += [("reference", part) for part in record["references"]]
    for name, part in parts:
        if not part.get("sha256"):
            raise errors.Missing(name=f"sha256 of the {name}", advice="the label depends on it")
    return {
        "model": record["model"]["sha256"],
        "adapters": [part["sha256"] for part in record["adapters"]],
        "references": [part["sha256"] for part in record["references"]],
    }


def _compare_record(
    record: ImageRecord | None,
    path: Path,
    data: bytes,
    label: Label | None,
    reader: PictureReader | None,
) -> tuple[str, ...]:
    if record is None or label is None:
        return ("record.schema",)
    differs = []
    if record.file.get("sha256") != hashlib.sha256(data).hexdigest():
        differs.append("record.file")
    if not _pixels_agree(record, path, reader):
        differs.append("record.pixels")
    if record.label != label.to_dict():
        differs.append("record.label")
    if not _request_agrees(record, label):
        differs.append("record.request")
    return tuple(differs)


def _pixels_agree(record: ImageRecord, path: Path, reader: PictureReader | None) -> bool:
    """Only PNG gives back the pixels that were hashed; lossy files are not asked."""
    if record.file.get("format") != "png":
        return True
    try:
        picture = reader.read(path) if reader else read_picture(path)
    except errors.PictureError:
        return False
    return hashlib.sha256(picture.tobytes()).hexdigest() == record.pixels_sha256


def _request_agrees(record: ImageRecord, label: Label) -> bool:
    try:
        request = ImageRequest.from_dict(record.request)
        digests = identity_of(dataclasses.asdict(record))
    except (errors.RequestError, TypeError, KeyError, AttributeError, ValueError):
        return False
    return produce_id(request, digests) == label.produce_id


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise errors.PictureMissing(path=path) from error
    except OSError as error:
        raise errors.PictureUnreadable(path=path, reason=error.strerror) from error


def _texts(chunk: container.Chunk) -> list[tuple[str, str]]:
    packet = container.xmp_packet(chunk)
    if packet is not None:
        try:
            return [("xmp", value) for value in xmp.read_properties(packet)]
        except xmp.BadPacket:
            # Broken XML may still show a label to a careless reader: it counts as a bad one.
            return [("xmp", "")] if xmp.NAMESPACE.encode() in packet else []
    if chunk.kind in (b"tEXt", b"iTXt") and chunk.payload.startswith(b"AIGC\0"):
        is_plain = chunk.kind == b"tEXt"
        text = chunk.payload[5:] if is_plain else container.itxt_text(chunk.payload)
        return [("text", (text or b"").decode("utf-8", "replace"))]
    is_exif = chunk.kind in (b"eXIf", b"EXIF") or chunk.payload.startswith(_EXIF_HEADER)
    if is_exif and chunk.kind != b"IDAT":
        return [("exif", text) for text in _exif_texts(chunk.payload)]
    return []


def _exif_texts(payload: bytes) -> list[str]:
    """The wrapped label in UserComment, which is ASCII or UTF-16 of either order."""
    for encoding in ("latin-1", "utf-16-le", "utf-16-be"):
        for shift in (0, 1) if encoding != "latin-1" else (0,):
            text = payload[shift:].decode(encoding, "replace")
            match = re.search(r'\{\s*"AIGC"\s*:\s*(\{[^{}]*\})', text)
            if match:
                return [match.group(1)]
    return []


def _fields(text: str) -> Mapping[str, Any] | None:
    """The inner object of a label's JSON, also from the wrapped form."""
    if len(text) > _LARGEST_JSON:
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if isinstance(value, dict) and list(value) == ["AIGC"]:
        value = value["AIGC"]
    return value if isinstance(value, dict) else None
