"""What a catalogue holds -> references that the generator draws by.

Of a user's catalogue a reference is a picture file, of the built-in one the
features that the generator's own image tower made of a photograph.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmgen import limits
from mmgen.catalogue.builtin import features_sha256
from mmgen.errors import MmgenWarning, ModelError, PictureError
from mmgen.files.read_picture import sha256_of
from mmgen.values import check_whole
from pipelines.catalogue import Catalogue
from pipelines.collections import BuiltinCatalogue
from pipelines.search import Filters, SearchHit

_SPARE = 8
"""More hits are asked for than references, since files may be gone."""


class FeaturesForeign(ModelError):
    code = "references.features"
    template = (
        "the reference features of the catalogue {catalogue} were made for another model than "
        "{model}; name a catalogue of your own with --catalogue"
    )


class FewerReferences(MmgenWarning):
    code = "references.fewer"
    template = "the catalogue {name} gave {got} usable references, fewer than the {wanted} wanted"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Reference:
    """Something that exists, to draw by."""

    sha256: str
    """Of the picture file, or of the features (`features_sha256`)."""
    source: Path | np.ndarray
    """The picture file, or float32 (T, C) features of the generator's image tower."""
    catalogue: str | None = None
    item: str | None = None
    licence: str | None = None
    score: float | None = None
    towers_sha256: str | None = None
    """Of the towers that made the features; None for a file."""

    def to_record(self) -> dict[str, Any]:
        """What the record of a picture says of it."""
        return {
            "sha256": self.sha256,
            "catalogue": self.catalogue,
            "item": self.item,
            "licence": self.licence,
            "score": None if self.score is None else round(self.score, 4),
        }


def retrieve(
    prompt: str,
    catalogue: Catalogue | BuiltinCatalogue,
    k: int,
    *,
    filters: Filters | None = None,
) -> list[Reference]:
    """The k items nearest to the prompt that can be used; best first.

    A file that is gone, or holds another picture than the catalogue knew, is
    passed over. Warns with `FewerReferences`; raises as `Catalogue.search`.
    """
    check_whole("--retrieve", k, 0, limits.NUM_REFERENCES)
    if not k:
        return []
    spare = 0 if isinstance(catalogue, BuiltinCatalogue) else _SPARE
    found: dict[str, Reference] = {}
    for hit in catalogue.search(prompt, filters=filters, n=k + spare):
        made = reference_of(hit, catalogue)
        if made is not None and len(found) < k:
            found.setdefault(made.sha256, made)
    if len(found) < k:
        warnings.warn(FewerReferences(name=catalogue.name, got=len(found), wanted=k), stacklevel=2)
    return list(found.values())


def reference_of(hit: SearchHit, catalogue: Catalogue | BuiltinCatalogue) -> Reference | None:
    """The hit as a reference; None where its file is not what the catalogue knew."""
    source: Path | np.ndarray
    towers = None
    if isinstance(catalogue, BuiltinCatalogue):
        source = catalogue.features.features(hit.item.id)
        towers = catalogue.features.towers_sha256
    else:
        assert hit.item.path is not None
        source = Path(hit.item.path)
        try:
            if sha256_of(source) != hit.item.sha256:
                return None
        except PictureError:
            return None
    return Reference(
        sha256=hit.item.sha256,
        source=source,
        catalogue=catalogue.name,
        item=hit.item.item,
        licence=hit.item.licence,
        score=hit.score,
        towers_sha256=towers,
    )


def check_references(references: Mapping[str, Path | Reference], generator: Any) -> None:
    """Raise `FeaturesForeign` for features that another model's image tower made."""
    own = getattr(generator, "towers_sha256", None)
    for reference in references.values():
        if not isinstance(reference, Reference) or reference.towers_sha256 is None:
            continue
        is_whole = features_sha256(np.asarray(reference.source)) == reference.sha256
        if reference.towers_sha256 != own or not is_whole:
            raise FeaturesForeign(catalogue=reference.catalogue, model=generator.id)


def sources_of(references: Mapping[str, Path | Reference]) -> dict[str, Path | np.ndarray]:
    """sha256 -> what the generator reads."""
    return {
        sha256: each.source if isinstance(each, Reference) else each
        for sha256, each in references.items()
    }


def records_of(
    weighted: Sequence[tuple[str, float]], references: Mapping[str, Path | Reference]
) -> tuple[dict[str, Any], ...]:
    """The `references` of a record, in the order of the request."""
    records = []
    for sha256, _ in weighted:
        known = references.get(sha256)
        reference = known if isinstance(known, Reference) else None
        records.append((reference or Reference(sha256=sha256, source=Path())).to_record())
    return tuple(records)
