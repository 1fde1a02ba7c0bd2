"""Models and adapters that a table names, checked before anything is drawn.

Requests and records hold a model's name and an adapter's sha256; where their files
lie is told to the workers beside the job.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from mmgen import limits, typed
from mmgen.adapter_file import check_adapter
from mmgen.errors import Conflict, UnknownChoice
from mmgen.hub.folders import row_of
from mmgen.values import Defaults, Generator, check_number

Weighted = tuple[tuple[str, float], ...]


class RowModels:
    """What `--model`, `--adapter` and the columns of these names stand for."""

    def __init__(self) -> None:
        self.places: dict[str, str] = {}
        """Name of a model -> what was typed for it, which finds its files."""
        self.files: dict[str, str] = {}
        """sha256 of an adapter -> its absolute path."""
        self._own: dict[str, tuple[str, Defaults]] = {}
        self._digests: dict[Path, str] = {}

    def model(self, text: str) -> tuple[str, Defaults]:
        """Name, never a path, and defaults of a model.

        Raises `ModelNotFetched`, `UnknownChoice` for what is neither a known model nor a
        folder, and `Conflict` for two folders of one name.
        """
        if text not in self._own:
            if text != "embedded" and row_of(text) is None and not Path(text).is_dir():
                allowed = "embedded, a model of `mmgen models list`, a folder"
                raise UnknownChoice(name="model", got=text, allowed=allowed)
            name, row = Path(text).name, row_of(text)
            if self.places.setdefault(name, text) != text:
                raise Conflict(first=self.places[name], second=text)
            self._own[text] = name, row.defaults if row else Defaults()
        return self._own[text]

    def adapters(self, model: str, named: Iterable[tuple[Path, float]]) -> Weighted:
        """(sha256, weight) of each LoRA file or folder, for requests of this model.

        Raises the errors of `check_adapter`, and `UnknownChoice` for a model that takes
        none.
        """
        weighted = []
        for path, weight in named:
            row = row_of(model)
            if row is None or not row.family.lora:
                allowed = f"none for {Path(model).name}"
                raise UnknownChoice(name="adapter", got=path.name, allowed=allowed)
            check_number("weight", weight, *limits.WEIGHT)
            weighted.append((self._digest(path.absolute()), weight))
        return tuple(weighted)

    def _digest(self, path: Path) -> str:
        if path not in self._digests:
            found = check_adapter(path)
            self._digests[path] = found.sha256
            self.files[found.sha256] = str(path)
        return self._digests[path]


def adapters_of(cell: str, folder: Path) -> list[tuple[Path, float]]:
    """`a.safetensors:0.8|b.safetensors`, relative to the table, as (path, weight)."""
    found = []
    for part in filter(None, (part.strip() for part in cell.split("|"))):
        name, colon, weight = part.rpartition(":")
        if not colon or (folder / part).exists():
            found.append((folder / part, 1.0))
        else:
            found.append((folder / name, typed.number("weight", weight)))
    return found


class ModelChanger:
    """Gives workers the model that a row names; one is in memory at a time."""

    def __init__(
        self,
        options: Mapping[str, Any],
        first: str,
        load: Callable[[str], Generator],
    ) -> None:
        """`options`: `models` and `adapters` as `RowModels` has them; `first` is loaded now."""
        self._places: Mapping[str, str] = options.get("models", {})
        self._files: Mapping[str, str] = options.get("adapters", {})
        self._load, self._now = load, first
        self.generator = load(first)
        self._put_on: set[str] = set()

    def ready(self, model: str, adapters: Iterable[tuple[str, float]]) -> Generator:
        """The generator for requests of `model`, with these adapters loaded."""
        place = self._places.get(model, self._now)
        if place != self._now:
            self.generator, self._now = self._exchanged(place), place
            self._put_on.clear()
        for sha256, _ in adapters:
            if sha256 not in self._put_on and sha256 in self._files:
                self.generator.load_adapter(Path(self._files[sha256]))  # type: ignore[attr-defined]
                self._put_on.add(sha256)
        return self.generator

    def _exchanged(self, place: str) -> Generator:
        """The next model; the one before leaves its device first, for two may not fit."""
        old: Any = self.generator
        device = old.environment["device"]
        if device == "cpu":
            return self._load(place)
        old.to("cpu")
        try:
            return self._load(place)
        except Exception:
            old.to(device)
            raise
