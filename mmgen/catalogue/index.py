"""Vectors -> the nearest ones, exactly: FAISS over a memory-mapped matrix.

    vectors-G.f32   float32 (N, E), rows of length 1, in order of ids
    ids-G.i64       int64 (N,)
    index.json      which G, how many rows, checksums, what of the truth is in it

All of it is derived. New rows are appended behind the rows that `index.json`
counts, so a crash in between leaves the old state; a removal makes a new G.
Whatever does not agree with its checksum is built again from the truth. Beyond
`EXACT_ROWS` an inverted file (see `inverted.py`) saves reading everything.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import os
import secrets
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import numpy as np

from mmgen.catalogue import inverted
from mmgen.catalogue.store import CatalogueStore, State
from mmgen.errors import OutputNotWritable

EXACT_ROWS = 500_000
"""Up to here every vector is compared; beyond, only those of the nearest cells."""
_FEW_ROWS = 2_000
"""So few candidates are faster multiplied than filtered."""
_FORMAT = 1


class VectorIndex(Protocol):
    """What a catalogue asks of its index; it can always be built from the truth."""

    def refresh(self, store: CatalogueStore) -> str | None:
        """Take over what changed; what was damaged and rebuilt, or None."""
        ...

    def rebuild(self, store: CatalogueStore) -> None:
        """Build everything anew from the truth."""
        ...

    def search(
        self, query: np.ndarray, k: int, within: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """The k rows nearest to float32 (E,): float32 scores, best first, and int64 ids.

        `within`: int64 ids in order; only these count. Fewer than k where there
        are no more.
        """
        ...


class Damaged(Exception):
    """The files do not agree with their manifest; the message says how."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class _Manifest:
    """The content of index.json."""

    format: int
    generation: str
    model_sha256: str
    dimension: int
    rows: int
    last_id: int
    removals: int
    vectors_crc: int
    ids_crc: int
    probes: int
    """Cells that the inverted file reads a query; 0 where there is none."""
    inverted_rows: int
    """Rows that are in the inverted file; later ones are compared one by one."""
    inverted_crc: int

    def is_of(self, state: State) -> bool:
        """Whether nothing but additions can have happened since."""
        is_same_model = self.model_sha256 == state.model_sha256
        return is_same_model and self.removals == state.removals and self.last_id <= state.last_id

    def is_current(self, state: State) -> bool:
        return self.is_of(state) and self.rows == state.items


class FlatIndex:
    """Implements `VectorIndex` in a folder of files."""

    def __init__(self, folder: Path, *, exact_rows: int = EXACT_ROWS) -> None:
        self.folder = folder
        self.exact_rows = exact_rows
        self._manifest: _Manifest | None = None
        self._change = -1
        self._vectors = np.empty((0, 0), np.float32)
        self._ids = np.empty(0, np.int64)
        self._inverted: inverted.Inverted | None = None

    def refresh(self, store: CatalogueStore) -> str | None:
        """Take over what changed since; returns what was damaged and is rebuilt, or None."""
        change = store.change()
        if self._manifest and change == self._change:
            return None
        state = store.state()
        with self._locked():
            damage = None
            try:
                manifest = self._read_manifest()
                if manifest and not manifest.is_of(state):
                    manifest = None
                if manifest:
                    self._map(manifest)
                    self._append(store, state)
            except (Damaged, OSError) as error:
                damage, manifest = str(error), None
            if manifest is None:
                self._build(store)
        self._change = change
        return damage

    def rebuild(self, store: CatalogueStore) -> None:
        """Build everything anew from the truth."""
        with self._locked():
            self._build(store)

    def search(
        self, query: np.ndarray, k: int, within: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """See `VectorIndex.search`; call `refresh` first."""
        query = np.ascontiguousarray(query, np.float32).reshape(1, -1)
        if within is None:
            scores, places = self._nearest(query, k, None)
        else:
            scores, places = self._nearest_within(query, k, self._places_of(within))
        order = np.lexsort((places, -scores))[:k]
        return scores[order], self._ids[places[order]]

    def _places_of(self, ids: np.ndarray) -> np.ndarray:
        """Positions in the matrix of `ids`; an id that is not in it is left out."""
        places = np.searchsorted(self._ids, ids)
        places[places == len(self._ids)] = 0
        return places[self._ids[places] == ids] if len(self._ids) else places[:0]

    def _nearest_within(
        self, query: np.ndarray, k: int, places: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        if len(places) > _FEW_ROWS:
            mask = np.zeros(len(self._ids), bool)
            mask[places] = True
            return self._nearest(query, k, np.packbits(mask, bitorder="little"))
        scores = self._vectors[places] @ query[0]
        best = np.argsort(-scores, kind="stable")[:k]
        return scores[best], places[best]

    def _nearest(
        self, query: np.ndarray, k: int, bits: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Scores and positions of the best; of both parts where there is an inverted file."""
        if not self._inverted or not self._manifest:
            return _exact(self._vectors, query, k, bits)
        first = self._manifest.inverted_rows
        near = self._inverted.search(query, k, bits)
        tail_bits = None
        if bits is not None:
            mask = np.unpackbits(bits, bitorder="little", count=len(self._ids))
            tail_bits = np.packbits(mask[first:], bitorder="little")
        scores, places = _exact(self._vectors[first:], query, k, tail_bits)
        return np.concatenate([near[0], scores]), np.concatenate([near[1], places + first])

    # --- files ---------------------------------------------------------------------------

    def _build(self, store: CatalogueStore) -> None:
        state, facts = store.state(), store.facts()
        generation = secrets.token_hex(4)
        manifest = _Manifest(
            format=_FORMAT,
            generation=generation,
            model_sha256=state.model_sha256,
            dimension=facts.dimension,
            rows=0,
            last_id=0,
            removals=state.removals,
            vectors_crc=0,
            ids_crc=0,
            probes=0,
            inverted_rows=0,
            inverted_crc=0,
        )
        for name in self._names(generation):
            (self.folder / name).touch(mode=0o600)
        self._map(manifest)
        self._append(store, state)
        self._sweep(generation)

    def _append(self, store: CatalogueStore, state: State) -> None:
        """Write what came after the manifest's last id behind its rows, then count it."""
        manifest = self._manifest
        assert manifest is not None
        if manifest.is_current(state) and self._read_manifest() == manifest:
            return
        rows, last_id = manifest.rows, manifest.last_id
        vectors_crc, ids_crc = manifest.vectors_crc, manifest.ids_crc
        vectors_name, ids_name = self._names(manifest.generation)
        with (
            open(self.folder / vectors_name, "r+b") as vectors_file,
            open(self.folder / ids_name, "r+b") as ids_file,
        ):
            vectors_file.truncate(vectors_file.seek(rows * manifest.dimension * 4))
            ids_file.truncate(ids_file.seek(rows * 8))
            for ids, vectors in store.vectors(last_id, state.last_id):
                vectors_crc = zlib.crc32(vectors_file_bytes := vectors.tobytes(), vectors_crc)
                ids_crc = zlib.crc32(ids_bytes := ids.astype("<i8").tobytes(), ids_crc)
                vectors_file.write(vectors_file_bytes)
                ids_file.write(ids_bytes)
                rows, last_id = rows + len(ids), int(ids[-1])
        manifest = dataclasses.replace(
            manifest,
            rows=rows,
            last_id=state.last_id,
            vectors_crc=vectors_crc,
            ids_crc=ids_crc,
        )
        self._map(manifest, is_checked=True)
        manifest = self._with_inverted(manifest)
        self._write_manifest(manifest)
        self._manifest = manifest

    def _with_inverted(self, manifest: _Manifest) -> _Manifest:
        """Make or renew the inverted file where there are enough rows without one."""
        path = self.folder / f"cells-{manifest.generation}.faiss"
        if not inverted.is_due(manifest.rows, manifest.inverted_rows, self.exact_rows):
            return manifest
        self._inverted = inverted.build(self._vectors, path)
        return dataclasses.replace(
            manifest,
            probes=self._inverted.probes,
            inverted_rows=manifest.rows,
            inverted_crc=self._inverted.crc,
        )

    def _map(self, manifest: _Manifest, *, is_checked: bool = False) -> None:
        """Open the files of a manifest; raises `Damaged` where they do not agree with it."""
        vectors_name, ids_name = self._names(manifest.generation)
        shape = (manifest.rows, manifest.dimension)
        vectors = _mapped(self.folder / vectors_name, np.dtype("<f4"), shape)
        ids = _mapped(self.folder / ids_name, np.dtype("<i8"), (manifest.rows,))
        if not is_checked:
            for array, crc in ((vectors, manifest.vectors_crc), (ids, manifest.ids_crc)):
                if inverted.crc_of(array) != crc:
                    raise Damaged("a checksum is wrong")
        if manifest.inverted_rows and not is_checked:
            path = self.folder / f"cells-{manifest.generation}.faiss"
            self._inverted = inverted.load(path, manifest.probes, manifest.inverted_crc)
            if self._inverted is None:
                raise Damaged("the inverted file is damaged")
        elif not manifest.inverted_rows:
            self._inverted = None
        self._vectors, self._ids, self._manifest = vectors, np.asarray(ids), manifest

    def _read_manifest(self) -> _Manifest | None:
        """What index.json says; None where there is none, `Damaged` where it is no manifest."""
        try:
            data = json.loads((self.folder / "index.json").read_bytes())
            crc = data.pop("crc")
            if crc != _crc_of(data) or data["format"] != _FORMAT:
                raise Damaged("index.json was changed")
            return _Manifest(**data)
        except FileNotFoundError:
            is_first = not any(self.folder.glob("vectors-*.f32"))
            if is_first:
                return None
            raise Damaged("index.json is gone") from None
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise Damaged("index.json is damaged") from error

    def _write_manifest(self, manifest: _Manifest) -> None:
        data = dataclasses.asdict(manifest)
        text = json.dumps({**data, "crc": _crc_of(data)}, indent=1)
        part = self.folder / f"index.json.part-{secrets.token_hex(4)}"
        part.write_text(text, encoding="utf-8")
        os.replace(part, self.folder / "index.json")

    def _sweep(self, generation: str) -> None:
        """Remove what earlier generations and crashes left; a reader that maps it keeps it."""
        keep = {*self._names(generation), f"cells-{generation}.faiss"}
        for pattern in ("vectors-*.f32", "ids-*.i64", "cells-*.faiss", "index.json.part-*"):
            for path in self.folder.glob(pattern):
                if path.name not in keep:
                    path.unlink(missing_ok=True)

    def _names(self, generation: str) -> tuple[str, str]:
        return f"vectors-{generation}.f32", f"ids-{generation}.i64"

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """One process at a time reads the manifest and appends; the kernel frees a dead one's."""
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with open(self.folder / "index.lock", "a") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                yield
        except PermissionError as error:
            raise OutputNotWritable(path=self.folder, reason=error.strerror) from error


def _crc_of(data: dict[str, object]) -> int:
    return zlib.crc32(json.dumps(data, sort_keys=True).encode())


def _mapped(path: Path, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        raise Damaged(f"{path.name.split('-')[0]} is gone") from None
    wanted = int(np.prod(shape)) * dtype.itemsize
    if size < wanted:
        raise Damaged(f"{path.name.split('-')[0]} is cut short")
    if not wanted:
        return np.empty(shape, dtype)
    return np.memmap(path, dtype, "r", shape=shape)


def _exact(
    vectors: np.ndarray, query: np.ndarray, k: int, bits: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Inner products with every row that `bits` (one a row, or None) lets through.

    FAISS' own search on the mapped matrix, so that nothing is copied.
    """
    import faiss

    k = min(k, len(vectors))
    if not k:
        return np.empty(0, np.float32), np.empty(0, np.int64)
    scores, places = np.empty((1, k), np.float32), np.empty((1, k), np.int64)
    selector = faiss.IDSelectorBitmap(len(bits), faiss.swig_ptr(bits)) if bits is not None else None
    faiss.knn_inner_product(
        *(faiss.swig_ptr(query), faiss.swig_ptr(vectors), vectors.shape[1], 1, len(vectors), k),
        *(faiss.swig_ptr(scores), faiss.swig_ptr(places), selector),
    )
    found = places[0] >= 0
    return scores[0][found], places[0][found]
