"""Rows with made-up vectors, and a store to put them in."""

from __future__ import annotations

import numpy as np
import pytest

from mmgen.catalogue.rows import NewItem
from mmgen.catalogue.store import CatalogueFacts, CatalogueStore

MODEL = "a" * 64
DIMENSION = 16


def unit(number: int, dimension: int = DIMENSION) -> np.ndarray:
    vector = np.random.default_rng(number).standard_normal(dimension).astype("<f4")
    return vector / np.linalg.norm(vector)


def new_item(number: int, **changes) -> NewItem:
    values = {
        "item": f"item-{number}",
        "source": "/photos",
        "key": f"{number}.jpg",
        "path": f"/photos/{number}.jpg",
        "sha256": f"{number:064x}",
        "size": 100,
        "mtime_ns": 1,
        "vector": unit(number).tobytes(),
        "caption": f"第{number}件",
        "attributes": {"colors": ("红", "白")[: 1 + number % 2]},
    }
    return NewItem(**{**values, **changes})


@pytest.fixture
def store(tmp_path):
    facts = CatalogueFacts(
        name="春装", owner="local", model="made-up", model_sha256=MODEL, dimension=DIMENSION
    )
    opened = CatalogueStore.create(tmp_path / "catalogue", facts)
    yield opened
    opened.close()
