"""What the job store holds: jobs, items, claims and results, as plain values."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from mmgen.values import ImageRequest, canonical_json

MOST_ATTEMPTS = 3
"""An item that failed so often is set aside, with its reason."""
ID_HEX = 32


class ItemState(StrEnum):
    """Where an item is; the value is what the store holds and machines read."""

    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    """Set aside after `MOST_ATTEMPTS`, with the reason; `retry` brings it back."""
    CANCELLED = "cancelled"
    VANISHED = "vanished"
    """No longer in the table; a picture made for it stays where it is."""


class JobState(StrEnum):
    """What may happen to a job's pending items."""

    PLANNING = "planning"
    """Its items are being put; nothing starts, and a stopped plan is put again."""
    ACTIVE = "active"
    PAUSED = "paused"
    CANCELLED = "cancelled"


class JobClass(StrEnum):
    """Who waits for it: a person now, a table overnight, a training run."""

    INTERACTIVE = "interactive"
    BATCH = "batch"
    TRAINING = "training"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """One job as it stands in the store."""

    job_id: str
    owner: str
    kind: str
    """`image`, `batch`, `index` or `finetune`."""
    job_class: str
    folder: str
    """Absolute path of the output folder; the job is named by it."""
    params: Mapping[str, Any]
    """Whatever the maker of the job needs again, plain JSON."""
    state: JobState
    reason: str | None
    """Why it is paused, as the code of an error or one word, such as `output.disk_full`."""
    created: float
    """Seconds since 1970."""
    micro_batch: int | None
    """What memory allows, once it was seen to be less than the generator wants."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class NewItem:
    """One picture to be made."""

    item_id: str
    """See `item_id`."""
    row_key: str
    position: int
    """The order in which items are begun and listed."""
    request: ImageRequest
    name: str
    """Of the file, without extension."""
    subfolder: str = ""
    """Relative to the job's folder; already safe, see mmgen/files/names.py."""
    pictures: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """sha256 of each reference -> absolute path of its file."""
    row: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """The row of the table, kept for manifest and report; plain JSON."""
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """`format`, `visible_label` and whatever else the maker reads; plain JSON."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """A picture that is on disk."""

    file: str
    """Path relative to the job's folder."""
    file_sha256: str
    pixels_sha256: str
    produce_id: str
    file_bytes: int
    details: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """scores, seen, checks: columns of the manifest; plain JSON."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """One item as it stands in the store."""

    job_id: str
    item_id: str
    row_key: str
    position: int
    state: ItemState
    attempt: int
    """Attempts begun, 0 to `MOST_ATTEMPTS`."""
    request: Mapping[str, Any]
    """As `ImageRequest.to_dict`."""
    name: str
    subfolder: str
    pictures: Mapping[str, str]
    row: Mapping[str, Any]
    options: Mapping[str, Any]
    result: Result | None
    error: Mapping[str, Any] | None
    """Of the last failed attempt: code, detail, params."""
    worker: str | None
    began: float | None
    """When the last attempt began, seconds since 1970."""
    ended: float | None


class Outline(NamedTuple):
    """An item without its request and row: cheap enough to look at a million."""

    item_id: str
    row_key: str
    state: ItemState
    has_picture: bool
    """That was finished once; a vanished item keeps it."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """An item lent to one worker until `until`; only the holder of `token` may end it."""

    item: Item
    token: str
    until: float
    """Seconds since 1970."""
    alone: bool = False
    """Suspected of having taken a worker down: nothing else may be in work beside it."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Planned:
    """What putting the items of a table changed."""

    new: int
    kept: int
    """Were there already, whatever their state."""
    vanished: int
    """Were there before and are no longer in the table; see `JobStore.items`."""


def job_id(owner: str, folder: str) -> str:
    """The id of the job that writes into `folder` (absolute): the same on every run."""
    return _id(f"{owner}\n{folder}")


def item_id(job: str, row_key: str, request: ImageRequest) -> str:
    """The id of one picture of one row: changes with the row's key and wish, not its number."""
    return _id(canonical_json([job, row_key, request.to_dict()]))


def group_of(request: ImageRequest, options: Mapping[str, Any]) -> str:
    """What two items must share to be drawn by one call of the model."""
    size = (request.height, request.width)
    steps = (request.num_inference_steps, request.guidance_scale)
    return _id(canonical_json([request.model, request.adapters, size, steps, options.get("group")]))


def _id(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:ID_HEX]
