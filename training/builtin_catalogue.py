"""Training photographs -> the built-in catalogue: features, words and ids, no pixels.

What the generator's own image tower sees of some 1,500 photographs, so that
`--retrieve` works in a fresh clone. To be run again whenever that tower changes.
"""

from __future__ import annotations

import collections
import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mmgen.catalogue.builtin import BuiltinFeatures
from mmgen.errors import TrainingDataMissing
from mmgen.files.read_picture import PictureReader
from mmgen.retrieval.retriever import TowerRetriever
from mmgen.text.vocabulary import ATTRIBUTES

ITEMS = 1_500
LICENCE = "CC0-1.0"
SOURCE = "Clothing dataset (public domain, CC0 1.0), training photographs; captions by mmgen"
_BATCH = 64


def build_builtin_catalogue(
    data: Path,
    out: Path,
    retriever: TowerRetriever,
    *,
    items: int = ITEMS,
    on_progress: Callable[[int, int], None] | None = None,
) -> int:
    """Write the built-in catalogue of `data` (an image folder) to `out`; returns its size.

    `retriever`: the towers of the generator that will draw by these features.
    Raises `TrainingDataMissing` and `PictureError` leaves.
    """
    rows = choose(_training_rows(data), items)
    pooled, grids = [], []
    with PictureReader() as reader:
        for start in range(0, len(rows), _BATCH):
            some = rows[start : start + _BATCH]
            images = [reader.read(data / row["file_name"]) for row in some]
            vectors, grid = _encode(retriever, images)
            pooled.append(vectors)
            grids.append(grid)
            if on_progress:
                on_progress(start + len(some), len(rows))
    about = {
        "towers_sha256": retriever.sha256,
        "licence": LICENCE,
        "source": SOURCE,
    }
    BuiltinFeatures.save(
        out, about, [_shown(row) for row in rows], np.concatenate(pooled), np.concatenate(grids)
    )
    return len(rows)


def choose(rows: Sequence[Mapping[str, Any]], items: int, seed: int = 0) -> list[dict[str, Any]]:
    """At most `items` rows, taken in turn from every category and main colour there is.

    So the rare kinds are all there, and the common ones fill the rest.
    """
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = collections.defaultdict(list)
    for row in rows:
        groups[row["category"], row["colors"][0]].append(row)
    rng = random.Random(seed)
    for group in groups.values():
        rng.shuffle(group)
    queue = collections.deque(groups[key] for key in sorted(groups))
    chosen: list[dict[str, Any]] = []
    while queue and len(chosen) < items:
        group = queue.popleft()
        chosen.append(dict(group.pop()))
        if group:
            queue.append(group)
    return sorted(chosen, key=lambda row: row["file_name"])


def _training_rows(data: Path) -> list[dict[str, Any]]:
    return list(_lines(data / "metadata.jsonl"))


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    if not path.is_file():
        raise TrainingDataMissing(path=path.parent, wanted="metadata.jsonl and train/")
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        # Validation photographs are never part of what a model is given.
        if row["file_name"].startswith("train/"):
            yield row


@torch.inference_mode()
def _encode(retriever: TowerRetriever, images: list[Any]) -> tuple[np.ndarray, np.ndarray]:
    """float32 (B, E) unit vectors and (B, T, C) features, as the generator's pipeline has them."""
    tower = retriever.image_encoder
    pixels = retriever.prepare(images).to(tower.dtype).div(127.5).sub(1)
    seen = tower(pixels)
    unit = torch.nn.functional.normalize(seen.image_embeds.float(), dim=1)
    return unit.numpy(), seen.last_hidden_state.float().numpy()


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    """Of a row of metadata what a catalogue says of an item."""
    attributes = {}
    for name in ATTRIBUTES:
        value = row.get(name)
        values = value if isinstance(value, list) else [value] if value else []
        if values:
            attributes[name] = values
    return {"item": row["file_name"], "caption": row["caption"], "attributes": attributes}
