"""The catalogue that ships with mmgen: features, words and ids of photographs, no pixels.

about.json              schema, licence, source, sha256 of the towers that made the features
items.jsonl             item, caption, attributes, one a line
features.safetensors    pooled int8 (N, E) with float32 (N, 1) scales: for searching;
                        grid int8 (N, T, C) with float32 (N, T, 1) scales: for the generator
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmgen.catalogue.errors import CatalogueBroken, CatalogueNewer
from mmgen.catalogue.rows import CatalogueItem

NAME = "builtin"
SCHEMA = "mmgen.catalogue.builtin/1"
_LARGEST = 127.0


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Quantized:
    """float32 in a quarter of the room: int8 with one scale a row (of the last axis)."""

    values: np.ndarray
    """int8 (..., C)."""
    scales: np.ndarray
    """float32 (..., 1)."""

    @classmethod
    def of(cls, array: np.ndarray) -> Quantized:
        """Of float (..., C); off by at most half a step, 1/254 of a row's largest value."""
        array = np.asarray(array, np.float32)
        scales = np.abs(array).max(axis=-1, keepdims=True) / _LARGEST
        values = np.rint(array / np.where(scales > 0, scales, 1)).astype(np.int8)
        return cls(values, scales.astype(np.float32))

    def restore(self, index: Any = ...) -> np.ndarray:
        """float32 again, of the rows at `index`."""
        restored: np.ndarray = self.values[index].astype(np.float32) * self.scales[index]
        return restored


class BuiltinFeatures:
    """The files of a built-in catalogue; ids are positions, beginning at 0."""

    def __init__(
        self,
        about: Mapping[str, Any],
        rows: Sequence[Mapping[str, Any]],
        pooled: Quantized,
        grid: Quantized,
    ) -> None:
        self.about = about
        self.towers_sha256: str = about["towers_sha256"]
        self.licence: str = about["licence"]
        self._rows = rows
        self._grid = grid
        vectors = pooled.restore()
        self._vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    @classmethod
    def load(cls, folder: Path) -> BuiltinFeatures:
        """The catalogue in `folder`; raises `CatalogueBroken`, `CatalogueNewer`."""
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        try:
            about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
            if about["schema"] != SCHEMA:
                raise CatalogueNewer(path=folder, got=about["schema"], limit=SCHEMA)
            lines = (folder / "items.jsonl").read_text(encoding="utf-8").splitlines()
            rows = [json.loads(line) for line in lines]
            tensors = load_file(folder / "features.safetensors")
            pooled = Quantized(tensors["pooled"], tensors["pooled_scales"])
            grid = Quantized(tensors["grid"], tensors["grid_scales"])
            if not len(rows) == len(pooled.values) == len(grid.values) == about["items"]:
                raise CatalogueBroken(path=folder, reason="its parts have different lengths")
            return cls(about, rows, pooled, grid)
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            if isinstance(error, CatalogueBroken | CatalogueNewer):
                raise
            raise CatalogueBroken(path=folder, reason=error) from error

    @staticmethod
    def save(
        folder: Path,
        about: Mapping[str, Any],
        rows: Sequence[Mapping[str, Any]],
        pooled: np.ndarray,
        grid: np.ndarray,
    ) -> None:
        """Write float (N, E) and (N, T, C) with their words; `about` gets schema and count."""
        from safetensors.numpy import save_file

        small, fine = Quantized.of(pooled), Quantized.of(grid)
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {
            "pooled": small.values,
            "pooled_scales": small.scales,
            "grid": fine.values,
            "grid_scales": fine.scales,
        }
        save_file(tensors, folder / "features.safetensors")
        (folder / "features.safetensors").chmod(0o644)
        lines = [json.dumps(row, ensure_ascii=False, separators=(",", ":")) for row in rows]
        (folder / "items.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
        text = json.dumps(
            {"schema": SCHEMA, "items": len(rows), **about}, ensure_ascii=False, indent=2
        )
        (folder / "about.json").write_text(text + "\n", encoding="utf-8")

    def __len__(self) -> int:
        return len(self._rows)

    def features(self, row_id: int) -> np.ndarray:
        """float32 (T, C): what the generator's image tower saw, place by place."""
        return self._grid.restore(row_id)

    def nearest(
        self, query: np.ndarray, k: int, within: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Scores, best first, and ids of the k items nearest to float32 (E,)."""
        ids = np.arange(len(self)) if within is None else within
        scores = self._vectors[ids] @ query
        best = np.argsort(-scores, kind="stable")[:k]
        return scores[best], ids[best]

    def items(self, ids: Sequence[int]) -> list[CatalogueItem]:
        """The items of `ids` in their order; their sha256 is that of their features."""
        return [self._item(int(row_id)) for row_id in ids]

    def find(self, item: str) -> CatalogueItem | None:
        """The item with this id, or None."""
        for row_id, row in enumerate(self._rows):
            if row["item"] == item:
                return self._item(row_id)
        return None

    def attribute_names(self) -> list[str]:
        """Every attribute that some item has, sorted."""
        return sorted({name for row in self._rows for name in row["attributes"]})

    def attribute_values(self, name: str) -> list[str]:
        """The values of an attribute, the commonest first."""
        counts: dict[str, int] = {}
        for row in self._rows:
            for value in row["attributes"].get(name, ()):
                counts[value] = counts.get(value, 0) + 1
        return sorted(counts, key=lambda value: (-counts[value], value))

    def ids_with(self, name: str, value: str) -> np.ndarray:
        """int64 ids of items that have the value, in order."""
        has = [value in row["attributes"].get(name, ()) for row in self._rows]
        return np.flatnonzero(has)

    def _item(self, row_id: int) -> CatalogueItem:
        row = self._rows[row_id]
        return CatalogueItem(
            id=row_id,
            item=row["item"],
            path=None,
            sha256=features_sha256(self.features(row_id)),
            caption=row["caption"],
            licence=self.licence,
            attributes={name: tuple(values) for name, values in row["attributes"].items()},
        )


def features_sha256(features: np.ndarray) -> str:
    """The identity of features: sha256 of their float32 little-endian bytes, 64 hex."""
    return hashlib.sha256(np.ascontiguousarray(features, "<f4").tobytes()).hexdigest()
