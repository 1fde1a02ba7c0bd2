"""Half a million vectors and more: FAISS' inverted file, held to the recall of exact search.

k-means cells; a query reads the nearest ones (Jégou et al. 2011, "Product
quantization for nearest neighbor search", without the quantisation). How many
is not guessed: it is doubled until sampled vectors find what exact search finds.
"""

from __future__ import annotations

import dataclasses
import os
import secrets
import zlib
from pathlib import Path
from typing import Any

import numpy as np

RECALL = 0.99
"""Share of the 10 nearest that must be found."""
_SAMPLES = 100
_TRAINED_PER_CELL = 40
_GROWTH = 1.25
"""Built anew once there are so many times the rows."""
_PIECE = 65_536


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Inverted:
    """An open inverted file over the first rows of the matrix."""

    index: Any
    probes: int
    crc: int
    """crc32 of its file."""

    def search(
        self, query: np.ndarray, k: int, bits: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Scores and positions of the rows found near float32 (1, E); `bits` one a row."""
        import faiss

        options: dict[str, Any] = {"nprobe": self.probes}
        if bits is not None:
            # Where few pass the filter, more cells must be read to find as many.
            share = max(int(np.unpackbits(bits).sum()) / max(self.index.ntotal, 1), 1e-6)
            options["nprobe"] = min(self.index.nlist, int(self.probes / share) + 1)
            options["sel"] = faiss.IDSelectorBitmap(len(bits), faiss.swig_ptr(bits))
        parameters = faiss.SearchParametersIVF(**options)
        scores, places = self.index.search(query, min(k, self.index.ntotal), params=parameters)
        found = places[0] >= 0
        return scores[0][found], places[0][found]


def crc_of(array: np.ndarray) -> int:
    """crc32 of a contiguous array, which is not copied."""
    data: Any = array
    return zlib.crc32(data) if array.size else 0


def is_due(rows: int, inverted_rows: int, exact_rows: int) -> bool:
    """Whether an inverted file should be built now."""
    return rows > exact_rows and rows > inverted_rows * _GROWTH


def build(vectors: np.ndarray, path: Path) -> Inverted:
    """Cells over all rows of float32 (N, E), written to `path`."""
    import faiss

    rows, dimension = vectors.shape
    cells = max(1, min(int(4 * np.sqrt(rows)), rows // _TRAINED_PER_CELL))
    index = faiss.IndexIVFFlat(
        faiss.IndexFlatIP(dimension), dimension, cells, faiss.METRIC_INNER_PRODUCT
    )
    index.cp.seed = 0
    index.cp.spherical = True
    rng = np.random.default_rng(0)
    some = np.sort(rng.choice(rows, min(rows, cells * _TRAINED_PER_CELL), replace=False))
    index.train(np.ascontiguousarray(vectors[some]))
    for start in range(0, rows, _PIECE):
        index.add(np.ascontiguousarray(vectors[start : start + _PIECE]))
    probes = _probes(index, vectors, rng)
    part = path.with_name(f"{path.name}.part-{secrets.token_hex(4)}")
    faiss.write_index(index, str(part))
    crc = crc_of(np.memmap(part, np.uint8, "r"))
    os.replace(part, path)
    return Inverted(index=index, probes=probes, crc=crc)


def load(path: Path, probes: int, crc: int) -> Inverted | None:
    """The inverted file at `path`, mapped; None where it is gone or not what was written."""
    import faiss

    # FAISS believes the lengths in a mapped file, so it must not see a damaged one.
    if not path.is_file() or not path.stat().st_size:
        return None
    if crc_of(np.memmap(path, np.uint8, "r")) != crc:
        return None
    index = faiss.read_index(str(path), faiss.IO_FLAG_MMAP)
    return Inverted(index=index, probes=probes, crc=crc)


def _probes(index: Any, vectors: np.ndarray, rng: np.random.Generator) -> int:
    """The fewest cells, a power of two, that give `RECALL` of the 10 nearest."""
    import faiss

    picked = np.sort(rng.choice(len(vectors), min(_SAMPLES, len(vectors)), replace=False))
    queries = np.ascontiguousarray(vectors[picked])
    k = min(10, len(vectors))
    _, exact = faiss.knn(queries, vectors, k, metric=faiss.METRIC_INNER_PRODUCT)
    probes = 1
    while probes < index.nlist:
        options: dict[str, Any] = {"nprobe": probes}
        parameters = faiss.SearchParametersIVF(**options)
        _, found = index.search(queries, k, params=parameters)
        hits = sum(len(np.intersect1d(a, b)) for a, b in zip(exact, found, strict=True))
        if hits >= RECALL * exact.size:
            break
        probes *= 2
    return min(probes, int(index.nlist))
