"""The implicit AI label of GB 45438-2025: seven fields, their JSON, their identity.

Annex E of the standard names the fields, their order and the characters that a
value may hold: printable ASCII without space, quotation mark and backslash.
Both reserved codes hold checks of this software; `seal.py` says over what.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from mmgen import errors
from mmgen.values import ImageRequest, canonical_json

GENERATED = "1"
"""Label value of content that is AI generated (2: may be, 3: suspected)."""
LOCAL_PRODUCER = "mmgen-local"
FIELDS = (
    "Label",
    "ContentProducer",
    "ProduceID",
    "ReservedCode1",
    "ContentPropagator",
    "PropagateID",
    "ReservedCode2",
)
ALLOWED = "ASCII 0x21, 0x23-0x5B and 0x5D-0x7E (no space, quotation mark or backslash)"
_VALUE = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]*")
_LONGEST_VALUE = 512


def check_value(name: str, value: Any, *, may_be_empty: bool = False) -> None:
    """Raise unless `value` is text that the standard allows in a label field."""
    fits = isinstance(value, str) and len(value) <= _LONGEST_VALUE and _VALUE.fullmatch(value)
    if not fits or not (value or may_be_empty):
        raise errors.WrongType(name=name, got=repr(value)[:60], wanted=ALLOWED)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Label:
    """Seven fields in the order of Annex E; attribute names are ours, keys theirs."""

    label: str = GENERATED
    """"1", "2" or "3"."""
    content_producer: str = LOCAL_PRODUCER
    """Code of the service; a public service must set the one assigned to it."""
    produce_id: str
    reserved_code_1: str = ""
    """Check of the picture data, `sha256:` + 64 hex; empty before sealing."""
    content_propagator: str
    propagate_id: str
    reserved_code_2: str = ""
    """Check of the packet that holds this label, in the same form."""

    def __post_init__(self) -> None:
        if self.label not in ("1", "2", "3"):
            raise errors.UnknownChoice(name="Label", got=repr(self.label)[:60], allowed="1, 2, 3")
        for name, value in self.to_dict().items():
            check_value(name, value, may_be_empty=name.startswith("Reserved"))

    @classmethod
    def first(cls, produce_id: str, producer: str = LOCAL_PRODUCER) -> Label:
        """The label of a first writing: the producer is the propagator too."""
        return cls(
            content_producer=producer,
            produce_id=produce_id,
            content_propagator=producer,
            propagate_id=produce_id,
        )

    def to_dict(self) -> dict[str, str]:
        """Field name of the standard -> value, in its order."""
        values = (getattr(self, field.name) for field in dataclasses.fields(self))
        return dict(zip(FIELDS, values, strict=True))

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Label:
        """The label of `to_dict`; raises `UnknownKey`, `Missing` or a value error."""
        for key in data:
            if key not in FIELDS:
                raise errors.UnknownKey(got=key, allowed=", ".join(FIELDS))
        for key in FIELDS:
            if key not in data:
                raise errors.Missing(name=key, advice="a label has seven fields")
        names = (field.name for field in dataclasses.fields(cls))
        return cls(**{name: data[key] for name, key in zip(names, FIELDS, strict=True)})

    def to_json(self) -> str:
        """The inner JSON object: what the XMP property AIGC holds."""
        return json.dumps(self.to_dict(), separators=(",", ":"))


def produce_id(request: ImageRequest, digests: Mapping[str, Any]) -> str:
    """First 32 hex of the sha256 over the request and what made it into pixels.

    `digests`: `model` -> sha256, `adapters` and `references` -> lists of sha256.
    No job, owner, clock or host: the same wish gives the same id everywhere.
    """
    return _identity({"request": request.to_dict(), **digests})


def collection_id(produce_ids: Sequence[str]) -> str:
    """The ProduceID of a sheet: made from those of the pictures on it, in order."""
    return _identity({"pictures": list(produce_ids)})


def _identity(value: Mapping[str, Any]) -> str:
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:32]
