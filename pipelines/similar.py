"""A design -> the catalogue's nearest pictures, and whether one of them is too near (撞款).

Two questions, two answers. Is it the same picture, mirrored, cropped or saved
again? The edges decide, laid over each other (`mmgen.retrieval.alignment`).
Is it another picture of nearly the same design? The towers decide, against
what photographs of different garments have in common at most.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mmgen.catalogue.rows import CatalogueItem
from mmgen.errors import PictureError
from mmgen.retrieval.alignment import SAME, alignment
from mmgen.values import Retriever
from pipelines.search import Collection

LOOKED_AT = 12
"""Nearest items to the design, and as many to its mirror image, whose pixels are compared."""

ReadPicture = Callable[[Path], Image.Image]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class SimilarItem:
    """One item near the design."""

    item: CatalogueItem
    likeness: float
    """Cosine of the towers' vectors, the better of the design and its mirror image."""
    alignment: float | None
    """Correlation of the edges; None where the item's pixels cannot be read."""
    is_same: bool
    """The same picture, perhaps cropped, mirrored or saved again."""
    is_near: bool
    """Nearer than different designs are, 98 times of 100."""

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            **self.item.to_dict(),
            "likeness": round(self.likeness, 4),
            "alignment": None if self.alignment is None else round(self.alignment, 4),
            "is_same": self.is_same,
            "is_near": self.is_near,
        }


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class SimilarReport:
    """What `find_similar` found."""

    items: tuple[SimilarItem, ...]
    """The same pictures first, then by likeness."""
    near: float
    """Likeness from which on another picture is too near."""

    @property
    def is_collision(self) -> bool:
        """Whether any item is the same picture or too near."""
        return any(one.is_same or one.is_near for one in self.items)


def find_similar(
    collection: Collection,
    retriever: Retriever,
    picture: Image.Image,
    *,
    near: float,
    read: ReadPicture,
    n: int = 8,
) -> SimilarReport:
    """The n items most like `picture`, PIL RGB.

    `near`: likeness from which on another picture counts as too near; it belongs
    to the retriever's towers. `read` gives an item's picture. An item whose file
    is gone is judged by likeness alone.
    """
    mirror = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    likeness = _nearest(collection, retriever.encode_image([picture, mirror]), max(n, LOOKED_AT))
    found = []
    for item in collection.items(list(likeness)):
        aligned = _aligned(picture, item, read)
        found.append(
            SimilarItem(
                item=item,
                likeness=likeness[item.id],
                alignment=aligned,
                is_same=aligned is not None and aligned >= SAME,
                is_near=likeness[item.id] >= near,
            )
        )
    found.sort(key=lambda one: (not one.is_same, -one.likeness))
    return SimilarReport(items=tuple(found[:n]), near=near)


def _nearest(collection: Collection, vectors: np.ndarray, k: int) -> dict[int, float]:
    """Id -> likeness of the k items nearest to each of `vectors`, best first."""
    likeness: dict[int, float] = {}
    for vector in vectors:
        scores, ids = collection.nearest(vector, k, None)
        for score, item in zip(scores.tolist(), ids.tolist(), strict=True):
            likeness[item] = max(score, likeness.get(item, -1.0))
    return dict(sorted(likeness.items(), key=lambda pair: -pair[1]))


def _aligned(picture: Image.Image, item: CatalogueItem, read: ReadPicture) -> float | None:
    if item.path is None:
        return None
    try:
        return alignment(picture, read(Path(item.path)))
    except PictureError:
        return None
