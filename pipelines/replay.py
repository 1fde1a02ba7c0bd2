"""A picture -> the same picture made again from what is written of it, and compared.

The record beside a file says what made it; a PNG may carry the same within
itself (`mmgen.files.embedded_request`), so that the record may be lost.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mmgen
from mmgen.errors import MmgenError
from mmgen.files.embedded_request import embedded_request
from mmgen.files.encode import as_picture, pixels_sha256
from mmgen.files.publish import record_path_of
from mmgen.files.read import State, read_record, verify
from mmgen.files.visible_label import draw_visible_label
from mmgen.values import Generator, ImageRequest
from pipelines.made_picture import MadePicture
from pipelines.remake import OPERATIONS, finished, needed, remake
from pipelines.text_to_image import TextToImagePipeline

Load = Callable[[str, int | None], Generator]
"""(model id of the record, recorded micro-batch) -> the generator to draw with."""


class Outcome(StrEnum):
    """What came of it; the value is the stable word for machines."""

    EQUAL = "equal"
    """The same pixels again, and the file is as it was written."""
    ALTERED = "altered"
    """The file or its record was changed after it was written; nothing is drawn."""
    DIFFERS = "differs"
    """The file is whole, but other pixels were drawn: other versions or another device."""
    OTHER_MODEL = "other model"
    REFERENCE_MISSING = "reference missing"
    NO_REQUEST = "no request"
    """Neither a record nor an embedded request says what to draw."""
    PARENT_MISSING = "parent missing"
    """An edit of another picture (or by a mask) that is not at hand."""
    NOT_FROM_WORDS = "not from words"
    """An edit of a kind that is not known here."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Replayed:
    """The outcome for one file; true only when it is equal."""

    path: Path
    outcome: Outcome
    details: tuple[str, ...] = ()
    """What was altered, or what differs between then and now (`torch 2.13 -> 2.14`)."""

    def __bool__(self) -> bool:
        return self.outcome is Outcome.EQUAL


def replay(path: Path, load: Load, pictures: Mapping[str, Path]) -> Replayed:
    """Draw the picture at `path` again and compare.

    `pictures`: sha256 -> file of every reference, parent and mask that may be needed. Raises
    `PictureMissing`, and what `load` raises.
    """
    verdict = verify(path)
    if verdict.state is not State.INTACT:
        reasons = verdict.differs or (verdict.state.value,)
        return Replayed(path=path, outcome=Outcome.ALTERED, details=reasons)
    facts = _facts(path)
    if facts is None:
        return Replayed(path=path, outcome=Outcome.NO_REQUEST)
    try:
        request = ImageRequest.from_dict(facts["request"])
        size = (facts.get("environment") or {}).get("micro_batch")
        sha256 = facts["model"]["sha256"]
    except (MmgenError, KeyError, TypeError, AttributeError):
        return Replayed(path=path, outcome=Outcome.ALTERED, details=("record.request",))
    if request.edit is not None:
        return _edited(path, facts, request, load, pictures)
    missing = tuple(digest for digest, _ in request.references if digest not in pictures)
    if missing:
        return Replayed(path=path, outcome=Outcome.REFERENCE_MISSING, details=missing)
    generator = load(request.model, size if isinstance(size, int) else None)
    if generator.sha256 != sha256:
        change = f"{sha256} -> {generator.sha256}"
        return Replayed(path=path, outcome=Outcome.OTHER_MODEL, details=(change,))
    return _compare(path, facts, request, generator, pictures)


def _edited(
    path: Path,
    facts: Mapping[str, Any],
    request: ImageRequest,
    load: Load,
    pictures: Mapping[str, Path],
) -> Replayed:
    """The edit done again on its parent, by the parts that did it then."""
    assert request.edit is not None
    if request.edit.operation not in OPERATIONS:
        return Replayed(path=path, outcome=Outcome.NOT_FROM_WORDS)
    missing = tuple(digest for digest in needed(request.edit) if digest not in pictures)
    if missing:
        return Replayed(path=path, outcome=Outcome.PARENT_MISSING, details=missing)
    size = (facts.get("environment") or {}).get("micro_batch")
    try:
        made = remake(request, pictures, lambda: load(request.model, size))
    except (KeyError, TypeError):
        return Replayed(path=path, outcome=Outcome.ALTERED, details=("record.request",))
    then, now = facts["model"]["sha256"], made.model["sha256"]
    if then != now:
        return Replayed(path=path, outcome=Outcome.OTHER_MODEL, details=(f"{then} -> {now}",))
    if _is_same(made, facts):
        return Replayed(path=path, outcome=Outcome.EQUAL)
    before = facts.get("environment") or {}
    details = tuple(
        f"{name} {before.get(name)} -> {value}"
        for name, value in (made.environment or {}).items()
        if before.get(name) != value
    )
    return Replayed(path=path, outcome=Outcome.DIFFERS, details=details)


def _is_same(made: MadePicture, facts: Mapping[str, Any]) -> bool:
    picture = as_picture(made.pixels)
    if facts.get("visible_label"):
        picture = draw_visible_label(picture)
    return pixels_sha256(picture) == facts.get("pixels_sha256")


def _facts(path: Path) -> Mapping[str, Any] | None:
    """Request, model, environment and pixels as the record has them, or the file itself."""
    record = read_record(record_path_of(path))
    if record is not None:
        return dataclasses.asdict(record)
    return embedded_request(path.read_bytes())


def _compare(
    path: Path,
    facts: Mapping[str, Any],
    request: ImageRequest,
    generator: Generator,
    pictures: Mapping[str, Path],
) -> Replayed:
    request = dataclasses.replace(request, model=generator.id)
    (made,) = TextToImagePipeline(generator).stream([request], pictures)
    if _is_same(finished(made, facts.get("checks")), facts):
        return Replayed(path=path, outcome=Outcome.EQUAL)
    changes = tuple(_changes(facts.get("environment") or {}, generator))
    return Replayed(path=path, outcome=Outcome.DIFFERS, details=changes)


def _changes(then: Mapping[str, Any], generator: Generator) -> list[str]:
    """What differs between the environment of a record and this one."""
    now = {
        "mmgen": mmgen.__version__,
        "torch": version("torch"),
        "diffusers": version("diffusers"),
        **generator.environment,
    }
    return [
        f"{name} {then.get(name)} -> {now[name]}" for name in now if then.get(name) != now[name]
    ]
