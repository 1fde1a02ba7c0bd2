"""A named, searchable collection of pictures: open, add, search, check, remove.

catalogue = Catalogue.create("spring")
catalogue.add("photos/")
catalogue.search("红色格子衬衫", filters={"袖长": "长袖"}, n=5)
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import shutil
import unicodedata
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL.Image import Image

from mmgen.catalogue.builtin import NAME
from mmgen.catalogue.errors import (
    CatalogueBroken,
    CatalogueEmpty,
    CatalogueMissing,
    CatalogueOtherModel,
    CatalogueReadOnly,
    IndexRebuilt,
    ItemMissing,
)
from mmgen.catalogue.index import FlatIndex, VectorIndex
from mmgen.catalogue.rows import CatalogueItem
from mmgen.catalogue.store import FILE, CatalogueFacts, CatalogueStore
from mmgen.errors import Missing, MmgenError, PictureError, WrongType
from mmgen.files.read_picture import read_picture, sha256_of
from mmgen.home import LOCAL_OWNER, catalogues_path, private_folder
from mmgen.values import Retriever
from pipelines.catalogue_import import (
    AddReport,
    OnProgress,
    Tagger,
    add_source,
    encode_anew,
)
from pipelines.catalogue_source import read_source
from pipelines.search import Filters, SearchHit, search

DEFAULT = "default"
"""The catalogue that is meant where none is named."""
_MOST_NAME = 100
_MOST_POSTINGS = 256
_PROBE = "衣服"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class CatalogueSummary:
    """One line of `mmgen catalogue list`."""

    name: str
    items: int
    model: str
    model_sha256: str
    folder: str
    error: MmgenError | None = None
    """Why it cannot be opened, if it cannot."""


@dataclasses.dataclass(kw_only=True, slots=True)
class CheckReport:
    """What `Catalogue.check` found."""

    items: int = 0
    damage: list[str] = dataclasses.field(default_factory=list)
    """What SQLite finds wrong with the truth."""
    index_damage: str | None = None
    """What was wrong with the index, which has been rebuilt."""
    missing: list[str] = dataclasses.field(default_factory=list)
    """Items whose file is gone."""
    changed: list[str] = dataclasses.field(default_factory=list)
    """Items whose file holds another picture now."""
    encoded: int = 0
    """Pictures that were encoded anew for another retrieval model."""
    lost: int = 0
    """Items taken out because their picture could not be encoded anew."""

    def __bool__(self) -> bool:
        return not (self.damage or self.missing or self.changed or self.lost)


class Catalogue:
    """A collection of pictures under the home folder of one owner."""

    def __init__(
        self,
        store: CatalogueStore,
        retriever: Retriever | str | Path | None = None,
        index: VectorIndex | None = None,
    ) -> None:
        self.store = store
        self._retriever = retriever
        self.index: VectorIndex = index or _index_of(store)
        self._postings: dict[tuple[str, str], np.ndarray] = {}
        self._names: list[str] | None = None
        self._known_change = -1

    @classmethod
    def open(
        cls,
        name: str = DEFAULT,
        *,
        owner: str = LOCAL_OWNER,
        retriever: Retriever | str | Path | None = None,
    ) -> Catalogue:
        """The catalogue of this name.

        `retriever` replaces the retrieval model that the catalogue names; its
        vectors must be of the same one. Raises `CatalogueMissing`, which names
        those that exist, `CatalogueNewer`, `CatalogueBroken`.
        """
        folder = folder_of(name, owner)
        if not (folder / FILE).is_file():
            names = ", ".join(summary.name for summary in list_catalogues(owner))
            raise CatalogueMissing(name=name, allowed=names or "-")
        return cls(CatalogueStore.open(folder), retriever)

    @classmethod
    def create(
        cls,
        name: str = DEFAULT,
        *,
        owner: str = LOCAL_OWNER,
        retriever: Retriever | str | Path | None = None,
        index: str = "",
    ) -> Catalogue:
        """The catalogue of this name, made with `retriever` if there is none yet.

        `retriever`: a `Retriever`, or what `load_retriever` takes (`towers`,
        `embedded`, a folder); default: the towers that ship with mmgen. `index`: an
        address such as s3://bucket/prefix, where LanceDB (extra `lance`) keeps the
        index for others to search; default: FAISS in the catalogue's own folder.
        """
        folder = folder_of(name, owner)
        if (folder / FILE).is_file():
            with contextlib.suppress(CatalogueBroken):
                return cls.open(name, owner=owner, retriever=retriever)
        loaded, model = _load(retriever)
        facts = CatalogueFacts(
            name=_clean_name(name),
            owner=owner,
            model=model,
            model_sha256=loaded.sha256,
            dimension=loaded.encode_text([_PROBE]).shape[1],
            index=index,
        )
        private_folder(folder)
        return cls(CatalogueStore.create(folder, facts), loaded)

    @property
    def name(self) -> str:
        """What the user calls it."""
        return self.store.facts().name

    def __len__(self) -> int:
        return self.store.state().items

    @property
    def retriever(self) -> Retriever:
        """The retrieval model, loaded on first use; raises `CatalogueOtherModel`."""
        facts = self.store.facts()
        if self._retriever is None or isinstance(self._retriever, str | Path):
            self._retriever, _ = _load(self._retriever or facts.model)
        if self._retriever.sha256 != facts.model_sha256:
            theirs, ours = facts.model_sha256[:12], self._retriever.sha256[:12]
            raise CatalogueOtherModel(name=facts.name, theirs=theirs, ours=ours)
        return self._retriever

    # --- changes -----------------------------------------------------------------------

    def add(
        self,
        source: Path | str,
        *,
        licence: str | None = None,
        tagger: Tagger | None = None,
        on_progress: OnProgress | None = None,
    ) -> AddReport:
        """Bring in a folder, or a CSV, XLSX or JSONL table that names pictures.

        Only what is new or has changed is read; what was interrupted goes on.
        `licence` holds where the source names none; `tagger` gives attributes
        where it gives none; `on_progress(done, of)` returns False to stop.
        Raises as `read_source`; bad pictures are listed in the report.
        """
        report = add_source(
            read_source(source),
            self.store,
            self.retriever,
            owner=self.store.facts().owner,
            licence=licence,
            tagger=tagger,
            on_progress=on_progress,
        )
        self._refresh()
        return report

    def remove(self, items: Sequence[str]) -> int:
        """Take items out by their ids, all or none; raises `ItemMissing`."""
        ids = []
        for item in items:
            found = self.store.find(item)
            if found is None:
                raise ItemMissing(name=self.name, item=item)
            ids.append(found.id)
        removed = self.store.remove(ids)
        self._refresh()
        return removed

    def remove_missing(self) -> list[str]:
        """Take out the items whose file is gone; returns their ids."""
        lost = [file for file in self.store.files() if not Path(file.path).is_file()]
        self.store.remove(file.id for file in lost)
        self._refresh()
        return [file.item for file in lost]

    def check(self, *, rebuild: bool = False, on_progress: OnProgress | None = None) -> CheckReport:
        """Compare truth, index and files; mend the index.

        `rebuild` builds the index anew, and where another retrieval model is in
        use encodes every picture with it.
        """
        report = CheckReport(damage=self.store.damage())
        if rebuild:
            self._rebuild(report, on_progress)
        else:
            report.index_damage = self.index.refresh(self.store)
        for file in self.store.files():
            try:
                is_changed = sha256_of(file.path) != file.sha256
            except PictureError:
                report.missing.append(file.item)
            else:
                if is_changed:
                    report.changed.append(file.item)
        report.items = len(self)
        return report

    def _rebuild(self, report: CheckReport, on_progress: OnProgress | None) -> None:
        facts = self.store.facts()
        loaded, model = _load(self._retriever)
        if loaded.sha256 != facts.model_sha256:
            report.encoded, report.lost = encode_anew(self.store, loaded, model, on_progress)
        self._retriever = loaded
        self.index.rebuild(self.store)

    # --- searching ---------------------------------------------------------------------

    def search(
        self,
        text: str | None = None,
        *,
        picture: Image | Path | str | None = None,
        filters: Filters | None = None,
        n: int = 20,
    ) -> list[SearchHit]:
        """The n items nearest to words, a picture, or the mean of both; best first.

        See `pipelines.search.search`; also raises `CatalogueEmpty`,
        `CatalogueOtherModel`, and `PictureError` leaves for a picture file.
        """
        if not len(self):
            raise CatalogueEmpty(name=self.name)
        image = read_picture(picture) if isinstance(picture, str | Path) else picture
        return search(self, self.retriever, text, picture=image, filters=filters, n=n)

    def nearest(
        self, query: np.ndarray, k: int, within: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Scores, best first, and ids of the k items nearest to float32 (E,)."""
        self._refresh()
        return self.index.search(query, k, within)

    def ids_with(self, name: str, value: str) -> np.ndarray:
        """int64 ids of items whose attribute has the value; kept until something changes."""
        self._forget_old()
        key = (name, value)
        if key not in self._postings:
            self._postings[key] = self.store.ids_with(name, value)
        return self._postings[key]

    def items(self, ids: Sequence[int]) -> list[CatalogueItem]:
        """The items of `ids` in their order, without those that are gone."""
        return self.store.items(ids)

    def attribute_names(self) -> list[str]:
        """Every attribute that some item has."""
        self._forget_old()
        if self._names is None:
            self._names = self.store.attribute_names()
        return self._names

    def attribute_values(self, name: str) -> list[str]:
        """The commonest values of an attribute."""
        return self.store.attribute_values(name)

    def _forget_old(self) -> None:
        """Drop what was kept of an older state of the catalogue."""
        change = self.store.change()
        if change != self._known_change or len(self._postings) > _MOST_POSTINGS:
            self._postings, self._names, self._known_change = {}, None, change

    def _refresh(self) -> None:
        if damage := self.index.refresh(self.store):
            warnings.warn(IndexRebuilt(name=self.name, reason=damage), stacklevel=3)


def list_catalogues(owner: str = LOCAL_OWNER) -> list[CatalogueSummary]:
    """Every catalogue of an owner, by name; one that cannot be opened says why."""
    folder = catalogues_path(owner)
    found = [path for path in _folders(folder) if (path / FILE).is_file()]
    return sorted(map(_summary, found), key=lambda summary: summary.name)


def folder_of(name: str, owner: str = LOCAL_OWNER) -> Path:
    """Where the catalogue of this name lies, if it exists: names on disk are ids.

    Raises `CatalogueReadOnly` for the built-in one, which no user's may hide.
    """
    if _clean_name(name) == NAME:
        raise CatalogueReadOnly(name=name)
    digest = hashlib.sha256(_clean_name(name).encode()).hexdigest()[:16]
    return catalogues_path(owner) / digest


def _clean_name(name: str) -> str:
    clean = unicodedata.normalize("NFC", name).strip()
    is_text = all(letter.isprintable() for letter in clean)
    if not clean or not is_text or len(clean) > _MOST_NAME:
        wanted = f"a name of 1 to {_MOST_NAME} characters"
        raise WrongType(name="--catalogue", got=repr(name)[:60], wanted=wanted)
    return clean


def _folders(folder: Path) -> Iterator[Path]:
    with contextlib.suppress(FileNotFoundError):
        yield from (path for path in folder.iterdir() if path.is_dir())


def _summary(folder: Path) -> CatalogueSummary:
    try:
        store = CatalogueStore.open(folder)
    except MmgenError as error:
        return CatalogueSummary(
            name=folder.name, items=0, model="-", model_sha256="-", folder=str(folder), error=error
        )
    facts = store.facts()
    items = store.state().items
    store.close()
    return CatalogueSummary(
        name=facts.name,
        items=items,
        model=facts.model,
        model_sha256=facts.model_sha256,
        folder=str(folder),
    )


def _load(retriever: Retriever | str | Path | None) -> tuple[Retriever, str]:
    """The retrieval model, and the name by which it can be loaded again."""
    if retriever is None or isinstance(retriever, str | Path):
        from pipelines.retrievers import load_retriever, name_of_retriever

        name = None if retriever is None else str(retriever)
        return load_retriever(name), name_of_retriever(name)
    return retriever, type(retriever).__name__


def _index_of(store: CatalogueStore) -> VectorIndex:
    if not (address := store.facts().index):
        return FlatIndex(store.folder / "index")
    try:
        from mmgen.catalogue.lance import LanceIndex
    except ImportError as error:
        raise Missing(name="lancedb", advice="install it: pip install 'mmgen[lance]'") from error
    return LanceIndex(address)


def delete_catalogue(name: str = DEFAULT, owner: str = LOCAL_OWNER) -> int:
    """Delete a whole catalogue, its pictures' files not; returns how many items it held."""
    catalogue = Catalogue.open(name, owner=owner)
    items = len(catalogue)
    catalogue.store.close()
    shutil.rmtree(folder_of(name, owner))
    return items
