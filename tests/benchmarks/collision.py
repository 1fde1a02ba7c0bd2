"""Is a copy found, and is a stranger left alone? The collision check on photographs.

    .venv/bin/python -m tests.benchmarks.collision --data data/garments [--count 100]
        [--seed 1] [--towers FOLDER] [--tags FOLDER] [--packed FOLDER]

The catalogue holds the training photographs. A copy is one of them, mirrored,
cropped by up to a tenth at each side, scaled and saved as JPEG of quality 30 to
70; a stranger is a held-out photograph.
"""

from __future__ import annotations

import argparse
import io
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from mmgen.catalogue.rows import CatalogueItem
from pipelines.retrievers import load_retriever
from pipelines.similar import find_similar
from pipelines.tag import near_of, our_towers
from training.dataset import read_rows
from training.tag_heads import features_of

SHOWN = (0, 1, 5, 50, 95, 99, 100)


class Photographs:
    """An exact search over vectors in memory, as `pipelines.search.Collection`."""

    def __init__(self, paths: Sequence[Path], vectors: np.ndarray) -> None:
        """`vectors` float32 (N, E), rows of length 1."""
        self.paths, self.vectors = paths, vectors

    def nearest(
        self, query: np.ndarray, k: int, within: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        scores = self.vectors @ query
        ids = np.argsort(-scores)[:k]
        return scores[ids], ids

    def items(self, ids: Sequence[int]) -> list[CatalogueItem]:
        return [
            CatalogueItem(item=self.paths[i].stem, path=str(self.paths[i]), sha256="", id=i)
            for i in ids
        ]


def altered(picture: Image.Image, rng: random.Random) -> Image.Image:
    """A mirrored, cropped, scaled and recompressed copy."""
    left, top, right, bottom = (rng.uniform(0, 0.1) for _ in range(4))
    box = (left, top, 1 - right, 1 - bottom)
    sides = (*picture.size, *picture.size)
    crop = picture.crop(tuple(round(part * side) for part, side in zip(box, sides, strict=True)))
    scale = rng.uniform(0.6, 1.2)
    small = crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT).resize(
        (round(crop.width * scale), round(crop.height * scale))
    )
    data = io.BytesIO()
    small.save(data, "JPEG", quality=rng.randint(30, 70))
    return Image.open(data).convert("RGB")


def read(path: Path) -> Image.Image:
    return Image.open(path).convert("RGB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--towers")
    parser.add_argument("--tags", type=Path)
    parser.add_argument("--packed", type=Path, default=Path("packed"))
    options = parser.parse_args()
    retriever = our_towers(load_retriever(options.towers))
    rows = read_rows(options.data, "train")
    features = features_of(retriever.image_encoder, options.data, rows, options.packed)
    width = retriever.image_encoder.config.projection_dim
    vectors = features[0, :, :width].float().numpy()
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    paths = [options.data / row["file_name"] for row in rows]
    report(Photographs(paths, vectors), retriever, near_of(retriever, options.tags), options)


def report(shop: Photographs, retriever: object, near: float, options: argparse.Namespace) -> None:
    """Print how many copies are found and how many strangers raise an alarm."""
    rng = random.Random(options.seed)
    strangers = [options.data / row["file_name"] for row in read_rows(options.data, "validation")]
    found, alarms, same, likeness = 0, 0, ([], []), ([], [])
    for number, (own, other) in enumerate(
        zip(
            rng.sample(range(len(shop.paths)), options.count),
            rng.sample(strangers, options.count),
            strict=True,
        ),
        1,
    ):
        for kind, picture in enumerate((altered(read(shop.paths[own]), rng), read(other))):
            seen = find_similar(shop, retriever, picture, near=near, read=read, n=24)
            same[kind].append(max(one.alignment or 0.0 for one in seen.items))
            likeness[kind].append(max(one.likeness for one in seen.items))
            if kind == 0:
                found += any(one.is_same and one.item.id == own for one in seen.items)
            else:
                alarms += seen.is_collision
        if number % 10 == 0:
            print(f"after {number}: found {found}, false alarms {alarms}", flush=True)
    print(f"\nnear {near:.4f}; percentiles {SHOWN}")
    for name, (copies, others) in (("alignment", same), ("likeness", likeness)):
        print(f"{name} of copies    {np.percentile(copies, SHOWN).round(3)}")
        print(f"{name} of strangers {np.percentile(others, SHOWN).round(3)}")


if __name__ == "__main__":
    main()
