"""The pictures of a source -> rows of a catalogue: decode in parallel, encode in batches.

Work that a crash interrupts is not lost: each batch is one transaction, and the
next run finds by size, time and sha256 what is there already. Every batch has
the same shape, so a picture's vector does not depend on its neighbours.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL.Image import Image

from mmgen.catalogue.rows import KnownFile, NewItem
from mmgen.catalogue.store import CatalogueStore
from mmgen.errors import (
    Cancelled,
    MmgenError,
    PictureError,
    PictureMissing,
    PictureUnreadable,
)
from mmgen.files.read_picture import sha256_of
from mmgen.values import Retriever
from pipelines.catalogue_source import BadSource, Source, SourceRow
from pipelines.decode_ahead import DecodeAhead

BATCH = 64
"""Pictures that are encoded and committed together."""

Attributes = Mapping[str, tuple[str, ...]]
Tagger = Callable[[Sequence[Image]], Sequence[Attributes]]
"""Pictures -> attributes seen in them, for rows whose source gives none."""
OnProgress = Callable[[int, int], bool]
"""(done, of) -> whether to go on."""


@dataclasses.dataclass(kw_only=True, slots=True)
class AddReport:
    """What became of every picture of a source."""

    added: int = 0
    updated: int = 0
    """Another picture, or other words, under the same key."""
    moved: int = 0
    unchanged: int = 0
    gone: list[str] = dataclasses.field(default_factory=list)
    """Items whose file is no longer in the source; they stay until they are removed."""
    repeated: list[str] = dataclasses.field(default_factory=list)
    """Ids that the source gives more than once."""
    bad: list[BadSource] = dataclasses.field(default_factory=list)
    stopped: bool = False
    """Whether a stop was asked for before the end."""

    @property
    def total(self) -> int:
        """Pictures that are in the catalogue because of this source."""
        return self.added + self.updated + self.moved + self.unchanged


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class _Hashed:
    """A file that was looked at, and what the catalogue knew of it."""

    row: SourceRow
    sha256: str
    size: int
    mtime_ns: int
    before: KnownFile | None


def add_source(
    source: Source,
    store: CatalogueStore,
    retriever: Retriever,
    *,
    owner: str,
    licence: str | None = None,
    tagger: Tagger | None = None,
    on_progress: OnProgress | None = None,
) -> AddReport:
    """Bring the catalogue up to date with `source`.

    `licence` holds for rows that name none. A picture that cannot be read is
    listed in the report and costs only itself.
    """
    return _Import(source, store, retriever, owner, licence, tagger, on_progress).run()


def encode_anew(
    store: CatalogueStore, retriever: Retriever, model: str, on_progress: OnProgress | None = None
) -> tuple[int, int]:
    """Give every item the vector of another retrieval model, read from its file again.

    What an interruption leaves is kept and used by the next run; until all are
    there the catalogue stays with its old model. Returns how many were encoded,
    and how many items were taken out because their picture is gone or changed.
    Raises `Cancelled` when `on_progress` returns False.
    """
    files = list(store.files())
    have = store.ids_anew(retriever.sha256)
    waiting = [file for file in files if file.id not in have and _is_unchanged(file)]
    dimension = retriever.encode_text(["衣服"]).shape[1]
    encoded = 0
    with DecodeAhead[KnownFile](lambda file: file.path) as decoder:
        results = decoder.read(waiting)
        while some := list(itertools.islice(results, BATCH)):
            good = [(file, image) for file, image in some if not isinstance(image, PictureError)]
            if good:
                vectors = encode_batch(retriever, [image for _, image in good])
                ids = [file.id for file, _ in good]
                store.put_anew(retriever.sha256, dict(zip(ids, vectors, strict=True)))
            encoded += len(good)
            done = len(have) + encoded
            if on_progress and not on_progress(done, len(files)):
                raise Cancelled(done=done, total=len(files))
    return encoded, store.switch_model(model, retriever.sha256, dimension)


def _is_unchanged(file: KnownFile) -> bool:
    try:
        return sha256_of(file.path) == file.sha256
    except PictureError:
        return False


def encode_batch(retriever: Retriever, images: list[Image]) -> list[bytes]:
    """At most `BATCH` pictures -> float32 (E,) each, little-endian, in a call of one shape."""
    filled = images + [images[-1]] * (BATCH - len(images))
    vectors = retriever.encode_image(filled)[: len(images)].astype("<f4")
    return [np.ascontiguousarray(vector).tobytes() for vector in vectors]


class _Import:
    """One run over a source."""

    def __init__(
        self,
        source: Source,
        store: CatalogueStore,
        retriever: Retriever,
        owner: str,
        licence: str | None,
        tagger: Tagger | None,
        on_progress: OnProgress | None,
    ) -> None:
        self.source, self.store, self.retriever = source, store, retriever
        self.owner, self.licence, self.tagger = owner, licence, tagger
        self._on_progress = on_progress
        self.known = store.known(source.name)
        self.report = AddReport(bad=list(source.bad), repeated=source.repeated)
        self._done = 0

    def run(self) -> AddReport:
        new = self._new_files()
        with DecodeAhead[_Hashed](lambda hashed: hashed.row.path) as decoder:
            batch: list[tuple[_Hashed, Image]] = []
            for hashed, result in decoder.read(new):
                if isinstance(result, PictureError):
                    self._fail(hashed.row, result)
                else:
                    batch.append((hashed, result))
                if len(batch) == BATCH:
                    self._commit(batch)
                    batch = []
                if self.report.stopped:
                    break
            if batch:
                self._commit(batch)
        if not self.report.stopped:
            named = {row.key for row in self.source.rows}
            lost = (file for key, file in self.known.items() if key not in named)
            self.report.gone = [file.item for file in lost if not Path(file.path).is_file()]
        return self.report

    def _new_files(self) -> Iterator[_Hashed]:
        """What must be encoded; the rest is settled on the way."""
        for row in self.source.rows:
            if self.report.stopped:
                return
            try:
                hashed = self._look(row)
            except PictureError as error:
                self._fail(row, error)
                continue
            if hashed is None:
                self.report.unchanged += 1
                self._advance()
            elif self._settle(hashed):
                self._advance()
            else:
                yield hashed

    def _look(self, row: SourceRow) -> _Hashed | None:
        """The file's identity; None where size, time and words are those of before."""
        before = self.known.get(row.key)
        try:
            status = os.stat(row.path)
            stamp = (status.st_size, status.st_mtime_ns)
            if before and self._is_as_before(row, before, stamp):
                return None
            if not stat.S_ISREG(status.st_mode):  # a pipe would be waited for
                raise PictureUnreadable(path=row.path, reason="not a file")
            with open(row.path, "rb") as file:
                sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        except (FileNotFoundError, NotADirectoryError) as error:
            raise PictureMissing(path=row.path) from error
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise PictureUnreadable(path=row.path, reason=reason) from error
        return _Hashed(row=row, sha256=sha256, size=stamp[0], mtime_ns=stamp[1], before=before)

    def _is_as_before(self, row: SourceRow, before: KnownFile, stamp: tuple[int, int]) -> bool:
        is_same_file = (before.size, before.mtime_ns, before.path) == (*stamp, str(row.path))
        return is_same_file and before.facts == self._facts(row)

    def _settle(self, hashed: _Hashed) -> bool:
        """Whether a picture that the catalogue holds already was all that was needed."""
        before = hashed.before
        twins = self.store.with_sha256(hashed.sha256)
        if not twins:
            return False
        seen = self.store.items([twins[0].id])[0].seen
        if before and before.sha256 == hashed.sha256:
            self.store.follow(before.id, self._same_picture(hashed, before))
            same_words = before.facts == self._facts(hashed.row)
            self.report.unchanged += same_words
            self.report.updated += not same_words
            return True
        moved = next((twin for twin in twins if self._has_moved(twin, hashed)), None)
        if moved and not before:
            self.store.follow(moved.id, self._same_picture(hashed, moved))
            self.report.moved += 1
            return True
        vector = self.store.vector(twins[0].id)
        self._put([self._item(hashed, vector, seen)])
        self._count(hashed)
        return True

    def _same_picture(self, hashed: _Hashed, file: KnownFile) -> NewItem:
        """The row of `file` at its new place; words that the source no longer has are kept."""
        known = self.store.items([file.id])[0]
        made = self._item(hashed, b"", known.seen)
        if hashed.row.caption or hashed.row.attributes:
            return made
        said = {
            name: values
            for name, values in known.attributes.items()
            if known.seen.get(name) != values
        }
        return dataclasses.replace(
            made, caption=known.caption, attributes=said, licence=made.licence or known.licence
        )

    def _has_moved(self, twin: KnownFile, hashed: _Hashed) -> bool:
        """Whether a row's own place is empty now, so that this file must be the one."""
        is_other = (twin.source, twin.key) != (self.source.name, hashed.row.key)
        return is_other and not Path(twin.path).exists()

    def _commit(self, batch: list[tuple[_Hashed, Image]]) -> None:
        """Encode one batch, filled up to its one shape, and write its rows."""
        images = [image for _, image in batch]
        vectors = encode_batch(self.retriever, images)
        seen: Sequence[Attributes] = self.tagger(images) if self.tagger else [{}] * len(images)
        rows = [
            self._item(hashed, vector, attributes)
            for (hashed, _), vector, attributes in zip(batch, vectors, seen, strict=True)
        ]
        self._put(rows)
        for hashed, _ in batch:
            self._count(hashed)
        self._advance(len(batch))

    def _put(self, rows: list[NewItem]) -> None:
        self.store.put(rows, self.owner, self.retriever.sha256)

    def _item(self, hashed: _Hashed, vector: bytes, seen: Attributes | None = None) -> NewItem:
        row = hashed.row
        return NewItem(
            item=row.item,
            source=self.source.name,
            key=row.key,
            path=str(row.path),
            sha256=hashed.sha256,
            size=hashed.size,
            mtime_ns=hashed.mtime_ns,
            vector=vector,
            caption=row.caption,
            licence=row.licence or self.licence,
            attributes=row.attributes,
            seen=seen or {},
            facts=self._facts(row),
        )

    def _facts(self, row: SourceRow) -> str:
        return f"{row.facts}:{self.licence or ''}"

    def _count(self, hashed: _Hashed) -> None:
        self.report.added += hashed.before is None
        self.report.updated += hashed.before is not None

    def _fail(self, row: SourceRow, error: MmgenError) -> None:
        self.report.bad.append(BadSource(place=row.key, error=error))
        self._advance()

    def _advance(self, by: int = 1) -> None:
        self._done += by
        if self._on_progress and not self._on_progress(self._done, len(self.source.rows)):
            self.report.stopped = True
