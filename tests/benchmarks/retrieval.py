"""What the retrieval towers and tag heads are worth: recall, and colour + garment by words.

    .venv/bin/python -m tests.benchmarks.retrieval --data data/garments
        [--towers FOLDER] [--tags FOLDER] [--packed FOLDER]

Recall: each of the held-out captions among all held-out photographs, and back.
Cells: the photographs of one colour family and one category, asked for by words
("红色连衣裙"). R-precision over the held-out cells of three or more photographs;
precision@10 over the 60 largest cells of all photographs. Each for the towers
alone and with the agreement of the tags at several weights.
"""

from __future__ import annotations

import argparse
import functools
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mmgen.text.vocabulary import colour_family
from pipelines import agreement
from pipelines.retrievers import load_retriever
from pipelines.tag import Tagger, Tags, completed
from training.dataset import read_rows
from training.tag_heads import features_of, figures
from training.towers import recalls

LARGE_CELLS = 60
LEAST = 3
WEIGHTS = (0.0, 0.1, 0.2, 0.5, 1.0)
Rows = Sequence[Mapping[str, Any]]
Cell = tuple[str, str]


def cells_of(rows: Rows) -> list[Cell | None]:
    """(family of the main colour, category) of each row; None without a colour."""
    return [
        (colour_family(row["colors"][0]), row["category"]) if row["colors"] else None
        for row in rows
    ]


def query_of(cell: Cell) -> str:
    """How a person asks for a cell: 红色连衣裙."""
    return f"{cell[0]}色{cell[1]}"


def precision(
    retriever: Any,
    vectors: np.ndarray,
    given: Sequence[agreement.Agreed],
    rows: Rows,
    cells: Sequence[Cell],
    first: int | None,
    weight: float,
) -> float:
    """Mean share of right pictures among the first R, or the first `first`, of each cell."""
    of_row = cells_of(rows)
    texts = retriever.encode_text([query_of(cell) for cell in cells])
    shares = []
    for cell, text in zip(cells, texts, strict=True):
        wanted = agreement.wanted_of(query_of(cell))
        agreed = np.array([one(wanted) for one in given]) if weight else 0.0
        order = np.argsort(-(vectors @ text + weight * agreed), kind="stable")
        count = first or of_row.count(cell)
        shares.append(np.mean([of_row[index] == cell for index in order[:count]]))
    return float(np.mean(shares))


def report(tagger: Tagger, features: Mapping[str, torch.Tensor], rows: Mapping[str, Rows]) -> None:
    """Print all tables. `features`: float16 (2, N, F) of `train` and `validation`."""
    retriever = tagger.retriever
    width = retriever.image_encoder.config.projection_dim
    vectors = {
        split: torch.nn.functional.normalize(seen[0, :, :width].float(), dim=1).numpy()
        for split, seen in features.items()
    }
    tags: dict[str, list[Tags]] = {
        split: tagger.tags_of(seen[0].float()) for split, seen in features.items()
    }
    held_out = rows["validation"]
    texts = retriever.encode_text([row["caption"] for row in held_out])
    for name, value in recalls(torch.from_numpy(texts @ vectors["validation"].T)).items():
        print(f"{name:24} {value:.3f}")
    for name, value in figures(tagger.heads, features["validation"], held_out).items():
        print(f"{name:24} {value:.3f}")
    every = [*rows["train"], *held_out]
    all_vectors = np.concatenate([vectors["train"], vectors["validation"]])
    counted = Counter(cell for cell in cells_of(held_out) if cell)
    small = sorted(cell for cell, count in counted.items() if count >= LEAST)
    counted = Counter(cell for cell in cells_of(every) if cell)
    large = [cell for cell, _ in counted.most_common(LARGE_CELLS)]
    print(f"\n{len(small)} held-out cells, {len(large)} large cells\n")
    print(f"{'weight':8}{'R-precision':>14}{'by row':>10}{'P@10':>10}{'by row':>10}")
    for weight in WEIGHTS:
        told = [
            precision(retriever, vectors["validation"], given(tags["validation"]), held_out,
                      small, None, weight)
            for given in (by_probability, by_row)
        ] + [
            precision(retriever, all_vectors, given([*tags["train"], *tags["validation"]]), every,
                      large, 10, weight)
            for given in (by_probability, by_row)
        ]  # fmt: skip
        print(f"{weight:<8}{told[0]:>14.3f}{told[1]:>10.3f}{told[2]:>10.3f}{told[3]:>10.3f}")


def by_probability(tags: Sequence[Tags]) -> list[agreement.Agreed]:
    """With every probability at hand, as candidates are ranked."""
    return [lambda wanted, one=one: agreement.agreement(wanted, one) for one in tags]


def by_row(tags: Sequence[Tags]) -> list[agreement.Agreed]:
    """With what a catalogue keeps: what is sure, and the likeliest garment and colour."""
    return [
        functools.partial(agreement.agreement_of_row, attributes=completed(one)) for one in tags
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--towers")
    parser.add_argument("--tags", type=Path)
    parser.add_argument("--packed", type=Path, default=Path("packed"))
    options = parser.parse_args()
    retriever = load_retriever(options.towers)
    tagger = Tagger.from_pretrained(options.tags, retriever=retriever)
    rows = {split: read_rows(options.data, split) for split in ("train", "validation")}
    features = {
        split: features_of(retriever.image_encoder, options.data, rows[split], options.packed)
        for split in rows
    }
    report(tagger, features, rows)


if __name__ == "__main__":
    main()
