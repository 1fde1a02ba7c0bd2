"""A weights file judged by its content: is it safetensors, whole and nothing else?

Format: https://huggingface.co/docs/safetensors (u64 header length, JSON header,
tensor bytes). The rules are stricter than the format where a looser file has
no use: no byte may be unaccounted for, no key may stand twice.
"""

from __future__ import annotations

import math
import os
import re
from dataclasses import dataclass
from typing import Any, BinaryIO

from mmgen.strict_json import NotJson, parse_json

MOST_HEADER_BYTES = 10 * 2**20
MOST_TENSORS = 20_000
MOST_DIMENSIONS = 16

DTYPE_BYTES = {
    "BOOL": 1,
    "U8": 1,
    "I8": 1,
    "F8_E4M3": 1,
    "F8_E5M2": 1,
    "U16": 2,
    "I16": 2,
    "F16": 2,
    "BF16": 2,
    "U32": 4,
    "I32": 4,
    "F32": 4,
    "U64": 8,
    "I64": 8,
    "F64": 8,
}
"""The dtypes that may stand in a file, and their size."""

_PICKLE = re.compile(rb"\x80[\x01-\x05]|PK\x03\x04|\(?[ci][\w.]+\n\w+\n|\([dl]p?\d*\n|\x1f\x8b|BZh")
"""Pickle of any protocol, and the archives that torch.save and joblib put pickles in."""


class BadWeights(Exception):
    """The file is not safetensors; `is_pickle` tells whether it looks like pickled objects."""

    def __init__(self, reason: str, *, is_pickle: bool = False) -> None:
        super().__init__(reason)
        self.is_pickle = is_pickle


@dataclass(frozen=True, kw_only=True, slots=True)
class Tensor:
    """How one tensor stands in the file."""

    dtype: str
    """A key of `DTYPE_BYTES`."""
    shape: tuple[int, ...]
    begin: int
    """Place of its first byte in the file."""

    @property
    def count(self) -> int:
        """Numbers in it."""
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        """Bytes it takes in the file."""
        return self.count * DTYPE_BYTES[self.dtype]


def tensor_names(file: BinaryIO) -> tuple[str, ...]:
    """Names of the tensors in `file`, read from its start; raises `BadWeights`."""
    return tuple(read_tensors(file))


def read_tensors(file: BinaryIO) -> dict[str, Tensor]:
    """Name -> tensor of the safetensors `file`, read from its start; raises `BadWeights`.

    Only the header is read and no tensor is loaded, so the cost does not grow
    with the weights.
    """
    file.seek(0, os.SEEK_END)
    size = file.tell()
    file.seek(0)
    start = file.read(64)
    try:
        header, data_bytes = _header(file, start, size)
        _check_tensors(header, data_bytes)
    except BadWeights as error:
        # A valid header length can look like the first bytes of a pickle, so ask last.
        raise BadWeights(str(error), is_pickle=bool(_PICKLE.match(start))) from error
    return {
        name: Tensor(
            dtype=tensor["dtype"],
            shape=tuple(tensor["shape"]),
            begin=size - data_bytes + tensor["data_offsets"][0],
        )
        for name, tensor in header.items()
    }


def _header(file: BinaryIO, start: bytes, size: int) -> tuple[dict[str, Any], int]:
    length = int.from_bytes(start[:8], "little")
    if size < 10:
        raise BadWeights("the file is cut short")
    if length > MOST_HEADER_BYTES:
        raise BadWeights("the header is too long")
    if 8 + length > size:
        raise BadWeights("the file is cut short")
    file.seek(8)
    data = file.read(length)
    if not data.startswith(b"{"):
        raise BadWeights("the header is not JSON")
    try:
        header = parse_json(data)
    except NotJson as error:
        raise BadWeights(f"the header is not JSON: {error}") from error
    if not isinstance(header, dict):
        raise BadWeights("the header is not JSON")
    return header, size - 8 - length


def _check_tensors(header: dict[str, Any], data_bytes: int) -> None:
    notes = header.pop("__metadata__", {})
    if not isinstance(notes, dict) or not all(isinstance(text, str) for text in notes.values()):
        raise BadWeights("its notes are not text")
    if not header:
        raise BadWeights("it holds no tensor")
    if len(header) > MOST_TENSORS:
        raise BadWeights("it holds too many tensors")
    spans = sorted(_span(tensor) for tensor in header.values())
    end = 0
    for begin, tensor_end in spans:
        if begin != end:
            raise BadWeights("its tensors overlap or leave a gap")
        end = tensor_end
    if end > data_bytes:
        raise BadWeights("the file is cut short")
    if end < data_bytes:
        raise BadWeights("bytes follow the last tensor")


def _span(tensor: Any) -> tuple[int, int]:
    """(begin, end) of one tensor's bytes, which must be what shape and dtype need."""
    if not isinstance(tensor, dict) or set(tensor) != {"dtype", "shape", "data_offsets"}:
        raise BadWeights("a tensor is described wrongly")
    dtype, shape, offsets = tensor["dtype"], tensor["shape"], tensor["data_offsets"]
    if not isinstance(dtype, str) or dtype not in DTYPE_BYTES:
        raise BadWeights("a tensor has an unknown dtype")
    if not _are_counts(shape) or len(shape) > MOST_DIMENSIONS:
        raise BadWeights("a tensor has a wrong shape")
    if not _are_counts(offsets) or len(offsets) != 2:
        raise BadWeights("a tensor has wrong offsets")
    begin, end = offsets
    if end - begin != math.prod(shape) * DTYPE_BYTES[dtype]:
        raise BadWeights("a tensor's size does not fit its shape")
    return begin, end


def _are_counts(values: Any) -> bool:
    return isinstance(values, list) and all(
        type(value) is int and 0 <= value < 2**48 for value in values
    )
