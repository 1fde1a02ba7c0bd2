"""A second reader of labels that shares no line with mmgen, and things to write."""

from __future__ import annotations

import json
import struct
import xml.etree.ElementTree as ElementTree
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmgen.files.write import SavedPicture, save_picture
from mmgen.values import ImageRequest

MODEL = {"id": "embedded", "revision": None, "sha256": "ab" * 32, "licence": "Apache-2.0"}
PROMPT = "蓝白格子长袖衬衫，挂在白墙前"
AIGC = "{http://www.tc260.org.cn/ns/AIGC/1.0/}AIGC"


def packets_in_png(data: bytes) -> list[bytes]:
    assert data[:8] == bytes([137, 80, 78, 71, 13, 10, 26, 10])
    packets, at = [], 8
    while at < len(data):
        length, name = struct.unpack(">I4s", data[at : at + 8])
        body = data[at + 8 : at + 8 + length]
        (crc,) = struct.unpack(">I", data[at + 8 + length : at + 12 + length])
        assert crc == zlib.crc32(name + body)
        assert name not in (b"tEXt", b"zTXt", b"eXIf")
        if name == b"iTXt":
            keyword, rest = body.split(b"\x00", 1)
            assert keyword == b"XML:com.adobe.xmp"
            assert rest[:4] == b"\x00\x00\x00\x00"  # not compressed, no language
            packets.append(rest[4:])
        at += 12 + length
    assert at == len(data)
    return packets


def packets_in_jpeg(data: bytes) -> list[bytes]:
    packets, at = [], 2
    while data[at + 1] != 0xDA:
        assert data[at] == 0xFF
        (length,) = struct.unpack(">H", data[at + 2 : at + 4])
        body = data[at + 4 : at + 2 + length]
        if data[at + 1] == 0xE1:
            space, packet = body.split(b"\x00", 1)
            assert space == b"http://ns.adobe.com/xap/1.0/"
            packets.append(packet)
        at += 2 + length
    return packets


def packets_in_webp(data: bytes) -> list[bytes]:
    riff, size, form = struct.unpack("<4sI4s", data[:12])
    assert (riff, form, size) == (b"RIFF", b"WEBP", len(data) - 8)
    packets, at, names = [], 12, []
    while at < len(data):
        name, length = struct.unpack("<4sI", data[at : at + 8])
        names.append(name)
        if name == b"XMP ":
            packets.append(data[at + 8 : at + 8 + length])
        at += 8 + length + (length & 1)
    assert names[0] == b"VP8X"
    assert data[20] & 0x04  # the header announces the packet
    assert b"EXIF" not in names
    return packets


def labels_in(path: Path) -> list[dict[str, str]]:
    """All labels of a file, by struct, zlib and ElementTree alone."""
    data = path.read_bytes()
    parsers = {".png": packets_in_png, ".jpg": packets_in_jpeg, ".webp": packets_in_webp}
    labels = []
    for packet in parsers[path.suffix](data):
        for element in ElementTree.fromstring(packet.decode("utf-8")).iter():
            if element.tag == AIGC:
                labels.append(json.loads(element.text or ""))
            labels += [json.loads(element.attrib[key]) for key in element.attrib if key == AIGC]
    return labels


@pytest.fixture
def independent_labels() -> Callable[[Path], list[dict[str, str]]]:
    return labels_in


@pytest.fixture
def pixels() -> np.ndarray:
    return make_pixels(0)


def make_pixels(seed: int, height: int = 64, width: int = 80) -> np.ndarray:
    """A soft gradient with some texture, uint8 (H, W, 3)."""
    rng = np.random.default_rng(seed)
    rows = np.linspace(0, 1, height)[:, None, None]
    columns = np.linspace(0, 1, width)[None, :, None]
    base = 120 + 80 * rows * rng.random(3) - 60 * columns * rng.random(3)
    return np.clip(base + rng.normal(0, 6, (height, width, 3)), 0, 255).astype(np.uint8)


@pytest.fixture
def picture_of() -> Callable[..., np.ndarray]:
    return make_pixels


@pytest.fixture
def save(tmp_path: Path) -> Callable[..., SavedPicture]:
    """`save_picture` with defaults; `seed` goes into the request and the pixels."""

    def save_it(seed: int = 0, **changes: Any) -> SavedPicture:
        arguments: dict[str, Any] = {
            "folder": tmp_path / "out",
            "name": "picture",
            "request": ImageRequest(prompt=PROMPT, seed=seed),
            "model": MODEL,
        }
        pixels = changes.pop("pixels", None)
        arguments.update(changes)
        return save_picture(make_pixels(seed) if pixels is None else pixels, **arguments)

    return save_it
