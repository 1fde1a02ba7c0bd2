"""`mmgen replay`: make pictures again from their records, and compare."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mmgen.errors import MmgenError
from mmgen.files.publish import record_path_of
from mmgen.files.read import read_record
from mmgen.files.read_picture import sha256_of
from mmgen.home import database_path
from mmgen.settings import load_settings
from ui.show_errors import report
from ui.words import phrase, say

if TYPE_CHECKING:
    from mmgen.values import Generator
    from pipelines.replay import Replayed

NOT_EQUAL = 1
_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp"})
_MOST_BESIDE = 2_000
"""Files looked through for a parent; with more, it is to be named by `--parent`."""


def replay_files(
    files: Sequence[Path],
    *,
    references: Sequence[Path],
    parents: Sequence[Path] = (),
    model: str | None,
    device: str | None,
    as_json: bool,
) -> int:
    """Print one line a file; returns 0 when all are equal, 2 when one cannot be read, else 1."""
    from pipelines.replay import replay

    given = {sha256_of(path): path for path in (*references, *parents)}
    load = _Loader(model, device)
    code = 0
    for path in files:
        try:
            known = {**_pictures_of_job(path), **_parents_beside(path), **given}
            replayed = replay(path, load, known)
        except MmgenError as error:
            code = max(code, report(error))
            continue
        print(_as_json(replayed) if as_json else _as_words(replayed), flush=True)
        if not replayed:
            code = max(code, NOT_EQUAL)
    return code


class _Loader:
    """Loads the model of a record; the last one stays for the next file."""

    def __init__(self, model: str | None, device: str | None) -> None:
        self._model, self._device = model, device
        self._loaded: tuple[tuple[str, int | None], Generator] | None = None

    def __call__(self, model: str, micro_batch: int | None) -> Generator:
        key = (self._model or model, micro_batch)
        if self._loaded is None or self._loaded[0] != key:
            self._loaded = key, load_generator(*key, device=self._device)
        return self._loaded[1]


def load_generator(model: str, micro_batch: int | None, *, device: str | None) -> Generator:
    """The model of that name on the device of the settings; imports torch."""
    from pipelines import components

    settings = load_settings({"model": model, "device": device})
    return components.load_generator(
        settings.model, device=settings.device, micro_batch=micro_batch
    )


def _pictures_of_job(path: Path) -> dict[str, Path]:
    """The references of a job's picture, where this machine's store knows them."""
    record = read_record(record_path_of(path))
    identity = (record.job or {}).get("item") if record else None
    if not identity or not record or not record.references or not database_path().exists():
        return {}
    from mmgen.jobs.store import JobStore

    item = JobStore(database_path()).item(str(identity))
    known = {digest: Path(place) for digest, place in item.pictures.items()} if item else {}
    # A picture that was changed since is not the one that was used.
    return {digest: place for digest, place in known.items() if _is(place, digest)}


def _parents_beside(path: Path) -> dict[str, Path]:
    """The parent of an edit, where it lies in the same folder."""
    record = read_record(record_path_of(path))
    if record is None or record.parent is None:
        return {}
    files = sorted(other for other in path.parent.iterdir() if other.suffix.lower() in _SUFFIXES)
    if len(files) > _MOST_BESIDE:
        return {}
    parent = next((other for other in files if _is(other, record.parent)), None)
    return {} if parent is None else {record.parent: parent}


def _is(path: Path, digest: str) -> bool:
    try:
        return sha256_of(path) == digest
    except MmgenError:
        return False


def _as_json(replayed: Replayed) -> str:
    facts = {
        "path": str(replayed.path),
        "outcome": replayed.outcome.value,
        "equal": bool(replayed),
        "details": list(replayed.details),
    }
    return json.dumps(facts, ensure_ascii=False)


def _as_words(replayed: Replayed) -> str:
    key = f"replay.{replayed.outcome.name.lower()}"
    return say(key, path=replayed.path, details=", ".join(map(phrase, replayed.details)) or "-")
