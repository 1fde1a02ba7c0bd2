"""Where a fetched model lies, what was fetched, and what a folder says it is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from mmgen.errors import ModelError
from mmgen.home import home_path
from mmgen.hub.families import FAMILIES, HubModel, find_row, rows_of
from mmgen.hub.licences import UNKNOWN, Licence
from mmgen.model_folder import INDEX
from mmgen.strict_json import NotJson, parse_json
from mmgen.values import Defaults

MANIFEST = "mmgen.json"
_MOST_BYTES = 4 * 2**20


class ModelNotFetched(ModelError):
    code = "model.not_fetched"
    template = "{model} is not in {path} yet; fetch it with: mmgen models fetch {model}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
    """What `fetch` writes into a folder: whence, which revision, and every file's sha256."""

    model: str
    source: str
    """hub or modelscope."""
    repository: str
    revision: str
    """The commit that was fetched."""
    files: Mapping[str, str]
    """Path inside the folder -> sha256, without the manifest itself."""

    def to_json(self) -> str:
        """Indented JSON, the same for the same model."""
        return json.dumps(asdict(self), indent=2, sort_keys=True) + "\n"


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest in `folder`, or None where there is none that can be read."""
    data = _json(folder / MANIFEST)
    try:
        return Manifest(**data) if isinstance(data, dict) else None
    except TypeError:
        return None


def fetched_path(row: HubModel) -> Path:
    """The folder that `fetch` keeps this model in; it need not exist."""
    return home_path() / "models" / row.id


def folder_of(model: str) -> Path:
    """The folder of a row's name, or of a path.

    A folder that exists is taken before a row of the same name. Raises
    `ModelNotFetched` for a known model that is not here.
    """
    path = Path(model)
    if path.is_dir():
        return path
    row = find_row(model)
    if row is None:
        return path
    path = fetched_path(row)
    if not (path / INDEX).is_file():
        raise ModelNotFetched(model=row.id, path=path)
    return path


def pipeline_of(folder: Path) -> str | None:
    """The pipeline class that the folder names; None where it does not say. Trusts nothing."""
    data = _json(folder / INDEX)
    name = data.get("_class_name") if isinstance(data, dict) else None
    return name if isinstance(name, str) else None


def identify(path: Path, pipeline: str, manifest: Manifest | None) -> tuple[HubModel, str, Licence]:
    """The row that tells how to draw, the model's name, and the licence of its weights.

    A folder is known by what `fetch` wrote into it, else by its name. Of another
    one only the pipeline is known: it draws like the first row of its kind, under
    an unknown licence unless all rows of the kind share one.
    """
    rows = rows_of(pipeline)
    known = find_row(manifest.model if manifest else path.resolve().name)
    if known is not None and known in rows:
        return known, known.id, known.licence
    shared = {row.licence for row in rows}
    return rows[0], path.resolve().name, rows[0].licence if len(shared) == 1 else UNKNOWN


def defaults_of(model: str) -> Defaults:
    """Size, steps and guidance of `model` where the user names none; nothing is loaded.

    Raises `ModelNotFetched` for a known model that is not here.
    """
    row = row_of(model)
    return row.defaults if row else Defaults()


def row_of(model: str) -> HubModel | None:
    """The row that tells how to draw with `model`; None for the embedded model and its kind.

    Nothing is loaded. Raises `ModelNotFetched` for a known model that is not here.
    """
    folder = None if model == "embedded" else folder_of(model)
    pipeline = pipeline_of(folder) if folder else None
    if folder is None or pipeline not in FAMILIES:
        return None
    return identify(folder, pipeline, read_manifest(folder))[0]


def _json(path: Path) -> object:
    try:
        if path.is_symlink() or not path.is_file():
            return None
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
        return parse_json(data) if len(data) <= _MOST_BYTES else None
    except (OSError, NotJson):
        return None
