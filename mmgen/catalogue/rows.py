"""What a catalogue holds of one picture, on its way in and out; no third-party imports."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

Attributes = Mapping[str, tuple[str, ...]]
"""Name -> values, main one first: {"category": ("衬衫",), "colors": ("红", "白")}."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class KnownFile:
    """A picture that the catalogue holds, as the file system knew it."""

    id: int
    item: str
    source: str
    key: str
    path: str
    sha256: str
    size: int
    mtime_ns: int
    facts: str
    """Digest of caption, licence and attributes as given by the source."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class NewItem:
    """A picture to be put into the catalogue."""

    item: str
    """The id wished for; `#2` is added where another picture has it."""
    source: str
    """The folder or table it came from, absolute."""
    key: str
    """Its place in the source: a relative path or the id of a line."""
    path: str
    sha256: str
    size: int
    mtime_ns: int
    vector: bytes
    """float32 (E,), little-endian, of length 1."""
    caption: str | None = None
    licence: str | None = None
    attributes: Attributes = dataclasses.field(default_factory=dict)
    """What the source says; it goes before what was seen."""
    seen: Attributes = dataclasses.field(default_factory=dict)
    """What a tagger saw in the picture."""
    facts: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class CatalogueItem:
    """A picture of the catalogue, as a search gives it."""

    item: str
    """Its id, unique in the catalogue."""
    path: str | None
    """The file; None in the built-in catalogue, which has no pixels."""
    sha256: str
    caption: str | None = None
    licence: str | None = None
    owner: str = "local"
    attributes: Attributes = dataclasses.field(default_factory=dict)
    """What the source said, and what was seen where it said nothing."""
    seen: Attributes = dataclasses.field(default_factory=dict)
    id: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "item": self.item,
            "path": self.path,
            "sha256": self.sha256,
            "caption": self.caption,
            "licence": self.licence,
            "attributes": {name: list(values) for name, values in self.attributes.items()},
        }
