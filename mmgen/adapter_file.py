"""A LoRA file is checked before it touches a model: safe, whole, sane, of this base.

It is read once; what was checked is what is loaded. No torch: the figures are
looked at with numpy, so that a bad file costs neither time nor trust.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np

from mmgen.errors import ModelError
from mmgen.weights_file import BadWeights, Tensor, read_tensors

FILE = "pytorch_lora_weights.safetensors"
"""The name diffusers and peft give it."""
MOST_BYTES = 4 * 2**30
MOST_RANK = 256
MOST_NORM = 1e4
"""Frobenius norm of one matrix; trained ones stay far below."""

_DOWN = re.compile(r"(.+?)\.?(?:lora_A|lora_down|lora\.down)(?:\.\w+)?\.weight")
_UP = re.compile(r"(.+?)\.?(?:lora_B|lora_up|lora\.up)(?:\.\w+)?\.weight")
_SCALE = re.compile(r"(.+?)\.(?:alpha|lora_magnitude_vector(?:\.\w+)?(?:\.weight)?|dora_scale)")


class AdapterMissing(ModelError):
    code = "adapter.missing"
    template = "no adapter at {path}; give a LoRA file (.safetensors) or a folder that holds {file}"


class AdapterBroken(ModelError):
    code = "adapter.broken"
    template = "the adapter {path} cannot be used ({reason}); get it again from its source"


class AdapterPickle(ModelError):
    code = "adapter.pickle"
    template = "the adapter {path} holds pickled weights, which can run code; use safetensors"


class AdapterUnfit(ModelError):
    code = "adapter.unfit"
    template = "the adapter {path} was made for another model ({reason}); use it with its own base"


@dataclass(frozen=True, kw_only=True, slots=True)
class AdapterFile:
    """A LoRA file that passed `check_adapter`."""

    path: Path
    sha256: str
    data: bytes
    """The bytes that were checked; load these, not the file again."""
    ranks: Mapping[str, int]
    """Module, as the file names it -> rank of its pair."""
    shapes: Mapping[str, tuple[int, int]]
    """Module -> (out, in) of the layer that the pair changes; convolutions flattened."""


def check_adapter(path: Path) -> AdapterFile:
    """The LoRA at `path`, a file or a folder that holds one, once it is found safe.

    Raises `AdapterMissing`, `AdapterPickle` or `AdapterBroken`: not safetensors by
    content, a part of a pair missing, ranks that differ or pass 256, a figure that
    is no number, a matrix far larger than training makes it.
    """
    path = _file_at(Path(path))
    data = _read(path)
    try:
        tensors = read_tensors(io.BytesIO(data))
    except BadWeights as error:
        if error.is_pickle:
            raise AdapterPickle(path=path) from error
        _broken(path, str(error))
    ranks, shapes = _pairs(path, tensors)
    for name, tensor in tensors.items():
        _check_figures(path, name, tensor, data)
    return AdapterFile(
        path=path,
        sha256=hashlib.sha256(data).hexdigest(),
        data=data,
        ranks=ranks,
        shapes=shapes,
    )


def check_fits(
    path: Path, wanted: Mapping[str, tuple[int, int]], base: Mapping[str, object]
) -> None:
    """Raise `AdapterUnfit` unless every module of `wanted` is in `base` with that shape.

    `wanted`, `base`: module -> (out, in) of its weight, convolutions flattened.
    """
    if not wanted:
        raise AdapterUnfit(path=path, reason="no layer of this model is named in it")
    for module, shape in sorted(wanted.items()):
        if module not in base:
            raise AdapterUnfit(path=path, reason=f"this model has no layer {module[:120]}")
        if base[module] != shape:
            raise AdapterUnfit(
                path=path,
                reason=f"{module[:120]} is {base[module]} here and {shape} in the adapter",
            )


def _file_at(path: Path) -> Path:
    if path.is_dir():
        _check_folder(path)
        path = path / FILE
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise AdapterMissing(path=path, file=FILE) from error
    if not stat.S_ISREG(mode):
        _broken(path, "not a plain file")
    return path


def _check_folder(folder: Path) -> None:
    """Raise where pickles or program code lie beside the weights."""
    for entry in sorted(folder.iterdir()):
        suffix = entry.suffix.lower()
        if suffix in {".bin", ".ckpt", ".pt", ".pth", ".pkl", ".pickle"}:
            raise AdapterPickle(path=entry)
        if suffix in {".py", ".so", ".pyc", ".sh"}:
            _broken(entry, "program code")


def _read(path: Path) -> bytes:
    if path.suffix.lower() in {".bin", ".ckpt", ".pt", ".pth", ".pkl", ".pickle"}:
        raise AdapterPickle(path=path)
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size > MOST_BYTES:
                _broken(path, "the file is too long")
            return file.read(MOST_BYTES + 1)
    except OSError as error:
        _broken(path, error.strerror or str(error))


def _pairs(
    path: Path, tensors: Mapping[str, Tensor]
) -> tuple[dict[str, int], dict[str, tuple[int, int]]]:
    """Rank and layer shape of each pair; raises unless every tensor belongs to one."""
    downs, ups = _matching(_DOWN, tensors), _matching(_UP, tensors)
    scales = {match[1] for name in tensors if (match := _SCALE.fullmatch(name))}
    known = len(downs) + len(ups) + sum(bool(_SCALE.fullmatch(name)) for name in tensors)
    if not downs or known != len(tensors):
        _broken(path, "it holds tensors that are no LoRA")
    if downs.keys() != ups.keys() or not scales <= downs.keys():
        _broken(path, "one half of a pair is missing")
    ranks, shapes = {}, {}
    for module, down in downs.items():
        up = ups[module]
        if len(down.shape) < 2 or len(up.shape) < 2 or down.shape[0] != up.shape[1]:
            _broken(path, "the two halves of a pair do not fit")
        if not 1 <= down.shape[0] <= MOST_RANK:
            _broken(path, f"a rank is not 1 to {MOST_RANK}")
        ranks[module] = down.shape[0]
        shapes[module] = (up.shape[0], down.count // down.shape[0])
    return ranks, shapes


def _matching(pattern: re.Pattern[str], tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {
        match[1]: tensor for name, tensor in tensors.items() if (match := pattern.fullmatch(name))
    }


def _check_figures(path: Path, name: str, tensor: Tensor, data: bytes) -> None:
    raw = memoryview(data)[tensor.begin : tensor.begin + tensor.bytes]
    if tensor.dtype == "BF16":
        bits = np.frombuffer(raw, np.uint16).astype(np.uint32) << 16
        figures = bits.view(np.float32)
    elif tensor.dtype in ("F16", "F32", "F64"):
        figures = np.frombuffer(
            raw, {"F16": np.float16, "F32": np.float32, "F64": np.float64}[tensor.dtype]
        )
    else:
        _broken(path, "its figures are of a kind that LoRA has not")
    if not np.isfinite(figures).all():
        _broken(path, "a figure is no number")
    if float(np.linalg.norm(figures.astype(np.float64))) > MOST_NORM:
        _broken(path, "a matrix is far too large")


def _broken(path: Path, reason: str) -> NoReturn:
    raise AdapterBroken(path=path, reason=reason)
