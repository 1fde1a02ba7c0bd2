"""Words, a picture or both -> the pictures of a catalogue that are nearest."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from PIL.Image import Image

from mmgen import limits
from mmgen.catalogue.errors import (
    FilterBad,
    FilterMatchesNothing,
    FilterUnknown,
    QueryEmpty,
)
from mmgen.catalogue.rows import CatalogueItem
from mmgen.characters import plain
from mmgen.errors import Missing
from mmgen.text.normalize import normalize
from mmgen.text.vocabulary import load_vocabulary
from mmgen.values import EXAMPLE_PROMPT, Retriever, check_prompt, check_whole
from pipelines.agreement import rescore, wanted_of
from pipelines.catalogue_source import attribute_name, attribute_word

RESCORED = 100
"""Nearest items whose attributes are held against the words."""
_WIDE_EQUALS = "\uff1d"

Filters = Mapping[str, str | Sequence[str]]
"""Attribute -> a value, or several of which one must hold: {"袖长": "长袖"}."""


class Collection(Protocol):
    """What can be searched: a user's catalogue, or the one that ships with mmgen."""

    def attribute_names(self) -> list[str]:
        """Every attribute that some item has."""
        ...

    def attribute_values(self, name: str) -> list[str]:
        """The commonest values of an attribute."""
        ...

    def ids_with(self, name: str, value: str) -> np.ndarray:
        """int64 ids of items that have the value, in order."""
        ...

    def nearest(
        self, query: np.ndarray, k: int, within: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Scores, best first, and ids of the k items nearest to float32 (E,)."""
        ...

    def items(self, ids: Sequence[int]) -> list[CatalogueItem]:
        """The items of `ids` in their order, without those that are gone."""
        ...


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class SearchHit:
    """One item that was found."""

    item: CatalogueItem
    score: float
    """Cosine of query and picture, -1 to 1, less what the words name and the item is not."""

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {**self.item.to_dict(), "score": round(self.score, 4)}


def search(
    collection: Collection,
    retriever: Retriever,
    text: str | None = None,
    *,
    picture: Image | None = None,
    filters: Filters | None = None,
    n: int = 20,
) -> list[SearchHit]:
    """The n items nearest to words, a picture, or the mean of both; best first.

    Where the words name a garment, colour, pattern or sleeve, the `RESCORED`
    nearest are ordered anew by what their attributes say of it.
    Filters name an attribute in English or Chinese; of several all must hold.
    Raises `Missing` without a query, `QueryEmpty` for one of punctuation alone,
    `FilterUnknown`; warns with `FilterMatchesNothing`.
    """
    check_whole("-n", n, *limits.SEARCH_HITS)
    query = encode_query(retriever, text, picture)
    within = matching(collection, filters or {})
    names_something = bool(text and wanted_of(text))
    scores, ids = collection.nearest(query, max(n, RESCORED) if names_something else n, within)
    score_of = {int(each): float(score) for each, score in zip(ids, scores, strict=True)}
    found = collection.items([int(each) for each in ids])
    cosines = [score_of[item.id] for item in found]
    rows = [item.attributes for item in found]
    totals = rescore(text or "", cosines, rows) if names_something else cosines
    hits = [SearchHit(item=item, score=one) for item, one in zip(found, totals, strict=True)]
    return sorted(hits, key=lambda hit: -hit.score)[:n]


def encode_query(retriever: Retriever, text: str | None, picture: Image | None) -> np.ndarray:
    """float32 (E,) of length 1; of text and picture the mean of their vectors."""
    vectors = []
    if text is not None:
        check_prompt(text)
        if not any(letter.isalnum() for letter in normalize(text)):
            raise QueryEmpty(got=text[:40], example=EXAMPLE_PROMPT)
        vectors.append(retriever.encode_text([text])[0])
    if picture is not None:
        vectors.append(retriever.encode_image([picture])[0])
    if not vectors:
        raise Missing(name="QUERY", advice="give words, --picture PIC, or both")
    mean = np.mean(vectors, axis=0)
    length = np.linalg.norm(mean)
    return np.asarray(mean / (length if length > 0 else 1), np.float32)


def matching(collection: Collection, filters: Filters) -> np.ndarray | None:
    """int64 ids of the items that pass every filter, in order; None without filters."""
    within: np.ndarray | None = None
    for typed, wanted in filters.items():
        name = attribute_name(typed)
        if name not in (names := collection.attribute_names()):
            allowed = ", ".join(map(attribute_word, names)) or "-"
            raise FilterUnknown(got=typed, allowed=allowed)
        values = [wanted] if isinstance(wanted, str) else list(wanted)
        ids = _ids_with_any(collection, name, values)
        if not len(ids):
            allowed = ", ".join(collection.attribute_values(name))
            warnings.warn(
                FilterMatchesNothing(name=typed, got=" | ".join(values), allowed=allowed),
                stacklevel=2,
            )
        within = ids if within is None else np.intersect1d(within, ids, assume_unique=True)
    return within


def _ids_with_any(collection: Collection, name: str, values: Sequence[str]) -> np.ndarray:
    found = [_ids_with(collection, name, value) for value in values]
    return found[0] if len(found) == 1 else np.unique(np.concatenate(found))


def _ids_with(collection: Collection, name: str, value: str) -> np.ndarray:
    """By the value as typed, else by the value that it is another word for."""
    ids = collection.ids_with(name, value)
    if len(ids):
        return ids
    word = plain(value).strip().lower()
    for meant, words in load_vocabulary().attributes.get(name, {}).items():
        if word == meant.lower() or word in words.same:
            return collection.ids_with(name, meant)
    return ids


def read_filters(typed: Sequence[str]) -> dict[str, list[str]]:
    """`袖长=长袖` as typed, any number -> filters; the same name again means either value.

    Raises `FilterBad`.
    """
    filters: dict[str, list[str]] = {}
    for text in typed:
        name, sign, value = text.replace(_WIDE_EQUALS, "=").partition("=")
        if not sign or not name.strip() or not value.strip():
            raise FilterBad(got=text)
        filters.setdefault(name.strip(), []).append(value.strip())
    return filters
