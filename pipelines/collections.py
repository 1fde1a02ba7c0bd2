"""A name -> what can be searched: a user's catalogue, or the one that ships with mmgen."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL.Image import Image

from mmgen.assets import asset_path
from mmgen.catalogue.builtin import NAME, BuiltinFeatures
from mmgen.catalogue.errors import CatalogueMissing, CatalogueOtherModel
from mmgen.catalogue.rows import CatalogueItem
from mmgen.files.read_picture import read_picture
from mmgen.home import LOCAL_OWNER
from mmgen.values import Retriever
from pipelines.catalogue import DEFAULT, Catalogue
from pipelines.search import Filters, SearchHit, search


class BuiltinCatalogue:
    """Features of public-domain photographs, so that a fresh clone has something to retrieve.

    Searched with the towers of the embedded model, whose image tower made the
    features; others are refused.
    """

    name = NAME

    def __init__(self, features: BuiltinFeatures, retriever: Retriever | None = None) -> None:
        self.features = features
        self._retriever = retriever

    @classmethod
    def open(cls) -> BuiltinCatalogue:
        """The one in `assets/catalogue`; raises `AssetMissing`, `CatalogueBroken`."""
        return cls(_features())

    def __len__(self) -> int:
        return len(self.features)

    @property
    def retriever(self) -> Retriever:
        """The embedded model's towers; raises `CatalogueOtherModel`."""
        if self._retriever is None:
            from pipelines.components import EMBEDDED, load_retriever

            self._retriever = load_retriever(EMBEDDED)
        if self._retriever.sha256 != self.features.towers_sha256:
            theirs, ours = self.features.towers_sha256[:12], self._retriever.sha256[:12]
            raise CatalogueOtherModel(name=self.name, theirs=theirs, ours=ours)
        return self._retriever

    def search(
        self,
        text: str | None = None,
        *,
        picture: Image | Path | str | None = None,
        filters: Filters | None = None,
        n: int = 20,
    ) -> list[SearchHit]:
        """The n items nearest to words, a picture, or both; as `Catalogue.search`."""
        image = read_picture(picture) if isinstance(picture, str | Path) else picture
        return search(self, self.retriever, text, picture=image, filters=filters, n=n)

    def nearest(
        self, query: np.ndarray, k: int, within: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Scores, best first, and ids of the k items nearest to float32 (E,)."""
        return self.features.nearest(query, k, within)

    def ids_with(self, name: str, value: str) -> np.ndarray:
        """int64 ids of items that have the value, in order."""
        return self.features.ids_with(name, value)

    def items(self, ids: Sequence[int]) -> list[CatalogueItem]:
        """The items of `ids` in their order."""
        return self.features.items(ids)

    def attribute_names(self) -> list[str]:
        """Every attribute that some item has."""
        return self.features.attribute_names()

    def attribute_values(self, name: str) -> list[str]:
        """The values of an attribute, the commonest first."""
        return self.features.attribute_values(name)


def open_collection(
    name: str | None = None, *, owner: str = LOCAL_OWNER
) -> Catalogue | BuiltinCatalogue:
    """The catalogue of this name; `builtin` is the one that ships with mmgen.

    None is the user's default catalogue, or where there is none the built-in one.
    Raises as `Catalogue.open`.
    """
    if name == NAME:
        return BuiltinCatalogue.open()
    if name is not None:
        return Catalogue.open(name, owner=owner)
    try:
        return Catalogue.open(DEFAULT, owner=owner)
    except CatalogueMissing:
        return BuiltinCatalogue.open()


@functools.cache
def _features() -> BuiltinFeatures:
    return BuiltinFeatures.load(asset_path("catalogue"))
