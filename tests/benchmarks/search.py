"""Searching 100,000 vectors: our catalogue, with a filter and its rows, against FAISS flat.

    .venv/bin/python -m tests.benchmarks.search [ROWS]

Both answer the same queries in turn within one run; what counts is the ratio.
Recall is of the 10 nearest, against FAISS flat on the same vectors.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import faiss
import numpy as np

from mmgen.catalogue.rows import NewItem
from mmgen.catalogue.store import CatalogueFacts, CatalogueStore
from pipelines.catalogue import Catalogue
from pipelines.search import matching

DIMENSION, QUERIES, ROUNDS = 256, 20, 5
COLOURS = ("黑", "白", "灰", "红", "蓝")


def main(rows: int) -> None:
    faiss.omp_set_num_threads(1)
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((500, DIMENSION))
    vectors = centres[rng.integers(500, size=rows)] + rng.standard_normal((rows, DIMENSION))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype("<f4")
    queries = vectors[rng.integers(rows, size=QUERIES)] + 0.05 * rng.standard_normal(
        (QUERIES, DIMENSION)
    )
    queries = (queries / np.linalg.norm(queries, axis=1, keepdims=True)).astype("f4")
    flat = faiss.IndexFlatIP(DIMENSION)
    flat.add(vectors)
    with tempfile.TemporaryDirectory() as folder:
        catalogue = filled(Path(folder), vectors)
        began = time.perf_counter()
        catalogue.nearest(queries[0], 10)
        print(f"index of {rows} vectors built in {time.perf_counter() - began:.1f} s")
        wanted = flat.search(queries, 10)[1]
        got = [catalogue.nearest(query, 10)[1] - 1 for query in queries]
        hits = sum(len(np.intersect1d(a, b)) for a, b in zip(wanted, got, strict=True))
        print(f"recall@10 {hits / wanted.size:.4f}")

        def plain(query: np.ndarray) -> None:
            flat.search(query[None], 20)

        def without_filter(query: np.ndarray) -> None:
            catalogue.items(catalogue.nearest(query, 20)[1])

        def one_colour(query: np.ndarray) -> None:
            within = matching(catalogue, {"颜色": "红"})
            catalogue.items(catalogue.nearest(query, 20, within)[1])

        def rare(query: np.ndarray) -> None:
            within = matching(catalogue, {"品牌": "稀"})
            catalogue.items(catalogue.nearest(query, 20, within)[1])

        ways = {"rows": without_filter, "filter of 20% + rows": one_colour, "filter of 1%": rare}
        compare(queries, plain, ways)


def compare(
    queries: np.ndarray,
    base: Callable[[np.ndarray], None],
    ways: dict[str, Callable[[np.ndarray], None]],
) -> None:
    """Print the median time of each way and its ratio to the base, taken alternately."""
    times: dict[str, list[float]] = {"FAISS flat": [], **{name: [] for name in ways}}
    for _ in range(ROUNDS):
        for query in queries:
            for name, way in {"FAISS flat": base, **ways}.items():
                began = time.perf_counter()
                way(query)
                times[name].append(time.perf_counter() - began)
    least = float(np.median(times["FAISS flat"]))
    for name, taken in times.items():
        median = float(np.median(taken))
        print(f"{name:<22} p50 {median * 1e3:7.2f} ms   {median / least:5.2f} x")


def filled(folder: Path, vectors: np.ndarray) -> Catalogue:
    facts = CatalogueFacts(
        name="bench", owner="local", model="made-up", model_sha256="a" * 64, dimension=DIMENSION
    )
    store = CatalogueStore.create(folder, facts)
    for start in range(0, len(vectors), 5_000):
        store.put(
            [
                NewItem(
                    item=f"item-{number}",
                    source="/photos",
                    key=f"{number}",
                    path=f"/photos/{number}.jpg",
                    sha256=f"{number:064x}",
                    size=1,
                    mtime_ns=1,
                    vector=vectors[number].tobytes(),
                    caption="一件衣服",
                    attributes={
                        "colors": (COLOURS[number % 5],),
                        "品牌": ("稀" if number % 100 == 0 else "常",),
                    },
                )
                for number in range(start, min(start + 5_000, len(vectors)))
            ],
            "local",
            "a" * 64,
        )
    return Catalogue(store)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
