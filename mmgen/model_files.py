"""The files of a model folder: which may lie there, and what each holds."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path, PurePosixPath
from typing import Any, NoReturn

from mmgen.errors import (
    ModelFileBroken,
    ModelFileForeign,
    ModelFileMissing,
    ModelPickle,
    ModelRunsCode,
)
from mmgen.strict_json import NotJson, parse_json
from mmgen.weights_file import BadWeights, tensor_names

MOST_FILES = 2_000
MOST_DEPTH = 4
MOST_JSON_BYTES = 64 * 2**20

_PICKLED = {
    *(".bin", ".ckpt", ".pt", ".pth", ".pkl", ".pickle", ".joblib", ".npy", ".npz"),
    *(".dill", ".mar", ".sav"),
}
_PLAIN = {".json", ".txt", ".md", ".png", ".jpg", ".jpeg", ".webp", ".safetensors", ".jinja"}
_PLAIN_NAMES = {
    *("license", "notice", "readme", ".gitattributes", ".gitignore"),
    *("tokenizer.model", "spiece.model", "sentencepiece.bpe.model"),
}
_IGNORED_FOLDERS = {".cache", ".git"}
"""What `hf download` and git leave at the top; no loader reads it."""

_CODE_KEYS = {
    *("auto_map", "custom_pipeline", "custom_pipelines", "custom_code", "custom_revision"),
    *("trust_remote_code", "_attn_implementation_internal"),
}
_ATTENTION_KEYS = {"attn_implementation", "_attn_implementation"}


def list_files(root: Path) -> list[str]:
    """Paths inside the folder; raises on the first that has no business there."""
    names: list[str] = []
    seen = 0
    for folder, folders, files in os.walk(root):
        here = Path(folder).relative_to(root)
        if len(here.parts) > MOST_DEPTH:
            _foreign(root, here.as_posix(), "nested too deeply")
        if here == Path():
            folders[:] = [name for name in folders if name not in _IGNORED_FOLDERS]
        for name in sorted(folders):
            if (root / here / name).is_symlink():
                _foreign(root, (here / name).as_posix(), "a link to a folder")
        names += [(here / name).as_posix() for name in sorted(files)]
        seen += len(folders) + len(files)
        if seen > MOST_FILES:
            _foreign(root, here.as_posix(), "too many files")
    for name in names:
        _check_name(root, name)
    return names


def _check_name(root: Path, name: str) -> None:
    if not name.isprintable() or "\\" in name:
        _foreign(root, repr(name), "an unusual name")
    file = root / name
    if file.is_symlink():
        # `Path.resolve` raises on links that go round in a circle.
        target = Path(os.path.realpath(file))
        if not target.is_relative_to(os.path.realpath(root)):
            _foreign(root, name, "a link out of the folder")
        if not target.is_file():
            raise ModelFileMissing(path=root, file=name)
    elif not stat.S_ISREG(file.lstat().st_mode):
        _foreign(root, name, "not a plain file")
    lower = PurePosixPath(name.lower())
    if lower.suffix in _PICKLED:
        raise ModelPickle(path=root, file=name)
    if lower.suffix not in _PLAIN and lower.name not in _PLAIN_NAMES:
        reason = "program code" if lower.suffix in {".py", ".so", ".pyc", ".sh"} else "unknown type"
        _foreign(root, name, reason)


def _foreign(root: Path, name: str, reason: str) -> NoReturn:
    raise ModelFileForeign(path=root, file=name, reason=reason)


class Contents:
    """What was read of the folder; each file is checked and hashed from one handle."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.json: dict[str, Any] = {}
        self.tensors: dict[str, tuple[str, ...]] = {}
        self.sha256: dict[str, str] = {}
        self.stamps: dict[str, tuple[int, ...]] = {}

    def read(self, name: str) -> None:
        """Check one file; raises when it is not what its name says."""
        try:
            with (self.root / name).open("rb") as file:
                self.stamps[name] = stamp_of(os.fstat(file.fileno()))
                if name.lower().endswith(".safetensors"):
                    self.tensors[name] = tensor_names(file)
                elif name.lower().endswith(".json"):
                    data = file.read(MOST_JSON_BYTES + 1)
                    if len(data) > MOST_JSON_BYTES:
                        self.broken(name, "the file is too long")
                    self.json[name] = parse_json(data)
                    self.refuse_code(name, self.json[name])
                file.seek(0)
                self.sha256[name] = hashlib.file_digest(file, "sha256").hexdigest()
        except BadWeights as error:
            if error.is_pickle:
                raise ModelPickle(path=self.root, file=name) from error
            self.broken(name, str(error))
        except NotJson as error:
            self.broken(name, str(error))
        except OSError as error:
            self.broken(name, error.strerror or str(error))

    def refuse_code(self, name: str, value: Any) -> None:
        """Raise if a key anywhere in `value` makes a loader run or fetch code."""
        waiting = [value]
        while waiting:
            value = waiting.pop()
            if isinstance(value, dict):
                for key, inner in value.items():
                    is_kernel = key in _ATTENTION_KEYS and "/" in str(inner)
                    if key in _CODE_KEYS or is_kernel:
                        raise ModelRunsCode(path=self.root, file=name, got=key)
                waiting += value.values()
            elif isinstance(value, list):
                waiting += value

    def broken(self, name: str, reason: str) -> NoReturn:
        """Raise `ModelFileBroken`."""
        raise ModelFileBroken(path=self.root, file=name, reason=reason)


def stamp_of(status: os.stat_result) -> tuple[int, ...]:
    """What changes when a file is replaced or written to."""
    return (
        *(status.st_dev, status.st_ino, status.st_size),
        *(status.st_mtime_ns, status.st_ctime_ns),
    )
