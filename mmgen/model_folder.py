"""A model folder is checked before anything in it is opened by a loader.

Weights only as safetensors, judged by content; no program code and nothing that
asks a loader to fetch or run some; only classes that this version knows; every
part there and whole. Nothing of torch or diffusers is imported, so a bad folder
costs neither time nor trust.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from mmgen.errors import (
    ModelClassForeign,
    ModelFileBroken,
    ModelFileForeign,
    ModelFileMissing,
    ModelFolderMissing,
    ModelUnsupported,
)
from mmgen.model_files import MOST_JSON_BYTES, Contents, list_files, stamp_of
from mmgen.strict_json import NotJson, parse_json

INDEX = "model_index.json"

_SAFE_PART = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_SHARD = re.compile(r"(.+)-\d{5}-of-\d{5}\.safetensors")


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelFolder:
    """A folder that passed `check_model_folder`."""

    path: Path
    files: Mapping[str, str]
    """Path inside the folder, with `/` -> sha256 of the file, hex."""
    sha256: str
    """sha256 of the sorted lines `path<TAB>sha256`; the model's identity."""
    stamps: Mapping[str, tuple[int, ...]]
    """What the file system said of each file when it was read."""

    def check_unchanged(self) -> None:
        """Raise `ModelFileBroken` if a file was replaced since; call it after loading."""
        for name, stamp in self.stamps.items():
            try:
                now = stamp_of(os.stat(self.path / name))
            except OSError:
                now = ()
            if now != stamp:
                reason = "it changed while it was loaded"
                raise ModelFileBroken(file=name, path=self.path, reason=reason)


def identity_of(files: Mapping[str, str]) -> str:
    """sha256 of the sorted lines `path<TAB>sha256` of `files`, hex."""
    lines = "\n".join(f"{name}\t{digest}" for name, digest in sorted(files.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


def check_model_folder(path: Path, *, allowed_classes: Collection[tuple[str, str]]) -> ModelFolder:
    """The folder's files and identity, once it is found safe and whole.

    `path` is a pipeline folder (`model_index.json`) or that of a single model
    (`config.json` with `_class_name`). `allowed_classes` lists the (library,
    class) pairs that may be named, the pipeline's own among them.
    Raises `ModelFolderMissing`, `ModelFileMissing`, `ModelFileBroken`,
    `ModelFileForeign`, `ModelPickle`, `ModelRunsCode`, `ModelClassForeign` or
    `ModelUnsupported`. No file is changed and nothing is loaded.
    """
    path = Path(path)
    if not path.is_dir():
        raise ModelFolderMissing(path=path)
    names = list_files(path)
    if not {INDEX, "config.json"} & set(names):
        raise ModelFileMissing(path=path, file=INDEX)
    contents = Contents(path)
    for name in names:
        contents.read(name)
    if INDEX in contents.json:
        _check_pipeline(path, contents, allowed_classes)
    else:
        _check_single_model(path, contents, allowed_classes)
    return _passed(path, contents)


def check_parts_folder(path: Path, parts: Mapping[str, str]) -> ModelFolder:
    """As `check_model_folder`, for parts that lie together without an index.

    `parts` maps folder names to the one class that may lie there.
    """
    contents = _read_all(path)
    for part, kind in parts.items():
        _check_part(path, contents, f"{part}/", kind)
    for name in contents.sha256:
        if "/" in name and name.partition("/")[0] not in parts:
            raise ModelFileForeign(path=path, file=name, reason="unknown type")
    return _passed(path, contents)


def check_transformers_folder(path: Path, *, architecture: str) -> ModelFolder:
    """As `check_model_folder`, for a model in transformers' format of one class."""
    contents = _read_all(path)
    config = contents.json.get("config.json")
    if not isinstance(config, dict):
        raise ModelFileMissing(path=path, file="config.json")
    if config.get("architectures") != [architecture]:
        got = shown(config.get("architectures"))
        raise ModelUnsupported(path=path, got=got, allowed=architecture)
    for file in ("preprocessor_config.json", "vocab.txt"):
        if file not in contents.sha256:
            raise ModelFileMissing(path=path, file=file)
    if not any("/" not in name for name in contents.tensors):
        raise ModelFileMissing(path=path, file="model.safetensors")
    _check_weights(path, contents, "")
    return _passed(path, contents)


def is_chinese_clip(path: Path) -> bool:
    """Whether a folder says of itself that it is a Chinese-CLIP; nothing else is checked."""
    try:
        with (path / "config.json").open("rb") as file:
            config = parse_json(file.read(MOST_JSON_BYTES))
    except (OSError, NotJson):
        return False
    return isinstance(config, dict) and config.get("model_type") == "chinese_clip"


def _read_all(path: Path) -> Contents:
    if not path.is_dir():
        raise ModelFolderMissing(path=path)
    contents = Contents(path)
    for name in list_files(path):
        contents.read(name)
    return contents


def _passed(path: Path, contents: Contents) -> ModelFolder:
    return ModelFolder(
        path=path,
        files=MappingProxyType(dict(sorted(contents.sha256.items()))),
        sha256=identity_of(contents.sha256),
        stamps=MappingProxyType(contents.stamps),
    )


# --- structure: classes named, parts present -------------------------------------------------


def _check_pipeline(root: Path, contents: Contents, allowed: Collection[tuple[str, str]]) -> None:
    index = contents.json[INDEX]
    if not isinstance(index, dict):
        contents.broken(INDEX, "not a JSON object")
    _check_own_class(root, index.get("_class_name"), allowed)
    parts = 0
    for part, value in index.items():
        if part.startswith("_") or not isinstance(value, list | dict):
            continue
        is_pair = isinstance(value, list) and len(value) == 2
        if not is_pair or not _SAFE_PART.fullmatch(part):
            contents.broken(INDEX, "a part is described wrongly")
        if value == [None, None]:
            continue
        if tuple(map(str, value)) not in allowed:
            got = shown(".".join(map(str, value)))
            raise ModelClassForeign(path=root, file=INDEX, got=got)
        _check_part(root, contents, f"{part}/", value[1])
        parts += 1
    if not parts:
        contents.broken(INDEX, "it names no part")


def _check_single_model(
    root: Path, contents: Contents, allowed: Collection[tuple[str, str]]
) -> None:
    config = contents.json["config.json"]
    if not isinstance(config, dict):
        contents.broken("config.json", "not a JSON object")
    _check_own_class(root, config.get("_class_name"), allowed)
    _check_part(root, contents, "", config["_class_name"])


def _check_own_class(root: Path, got: Any, allowed: Collection[tuple[str, str]]) -> None:
    classes = sorted({name for _, name in allowed})
    # diffusers reads a list here as a module of the folder to import.
    if not isinstance(got, str) or got not in classes:
        raise ModelUnsupported(path=root, got=shown(got), allowed=", ".join(classes))


def _check_part(root: Path, contents: Contents, folder: str, kind: str) -> None:
    """Raise unless the part's configuration and weights are there and agree."""
    if kind.endswith("Scheduler"):
        config = "scheduler_config.json"
    elif kind.endswith("Guidance"):
        config = "guider_config.json"
    elif "Tokenizer" in kind:
        config = "tokenizer_config.json"
    elif kind.endswith(("Processor", "ProcessorFast", "FeatureExtractor")):
        has_old = f"{folder}preprocessor_config.json" in contents.json
        config = "preprocessor_config.json" if has_old else "processor_config.json"
    else:
        config = "config.json"
    file = f"{folder}{config}"
    if file not in contents.json:
        raise ModelFileMissing(path=root, file=file)
    if not isinstance(contents.json[file], dict):
        contents.broken(file, "not a JSON object")
    named = contents.json[file].get("_class_name", kind)
    if named != kind:
        raise ModelClassForeign(path=root, file=file, got=shown(named))
    if config == "config.json":
        _check_weights(root, contents, folder)


def _check_weights(root: Path, contents: Contents, folder: str) -> None:
    """Raise unless the part has weights, and every shard that an index names."""
    weights = {name for name in contents.tensors if _folder_of(name) == folder}
    indices = {
        name
        for name in contents.json
        if _folder_of(name) == folder and name.endswith(".safetensors.index.json")
    }
    for name in sorted(indices):
        index = contents.json[name]
        placed = index.get("weight_map") if isinstance(index, dict) else None
        if not isinstance(placed, dict) or not placed:
            contents.broken(name, "it names no weights")
        for tensor, shard in placed.items():
            file = f"{folder}{shard}"
            if not isinstance(shard, str) or "/" in shard or file not in weights:
                raise ModelFileMissing(path=root, file=file)
            if tensor not in contents.tensors[file]:
                contents.broken(file, "a tensor of the index is not in it")
    for name in sorted(weights):
        if (shard_of := _SHARD.fullmatch(name)) and not indices:
            raise ModelFileMissing(path=root, file=f"{shard_of[1]}.safetensors.index.json")
    if not weights:
        expected = "model" if "text_encoder" in folder else "diffusion_pytorch_model"
        raise ModelFileMissing(path=root, file=f"{folder}{expected}.safetensors")


def _folder_of(name: str) -> str:
    return name[: name.rfind("/") + 1]


def shown(value: object) -> str:
    """A value from the folder as a message may repeat it: short, and text that can be printed."""
    return str(value)[:120].encode("utf-8", "replace").decode()
