"""PNG, JPEG and WebP as chains of chunks: walking, measuring, one XMP chunk.

Nothing is decoded here, so hostile bytes can do no more than raise. Sources:
PNG third edition (W3C), ISO/IEC 10918-1 and the XMP specification part 3 for
JPEG, RFC 9649 for WebP.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_XMP_KEYWORD = b"XML:com.adobe.xmp\0"
_XMP_HEADER = b"http://ns.adobe.com/xap/1.0/\0"
_WEBP_XMP_FLAG = 0x04
_LARGEST_SEGMENT_BYTES = 0xFFFF - 2
_MOST_CHUNKS = 100_000
_LARGEST_TEXT_BYTES = 2**20


class BadContainer(ValueError):
    """The bytes are not a whole PNG, JPEG or WebP file."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Chunk:
    """One link of the chain; offsets into the file."""

    kind: bytes
    """`IDAT`, `VP8X`, or the two bytes of a JPEG marker."""
    start: int
    stop: int
    """First byte after the chunk, with checksum and padding."""
    payload: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Measure:
    """What a header promises before anything is decoded."""

    format: str
    width: int
    height: int
    frames: int


def format_of(data: bytes) -> str:
    """`png`, `jpeg` or `webp` by the first bytes; raises `BadContainer`."""
    if data.startswith(PNG_SIGNATURE):
        return "png"
    if data.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    raise BadContainer("neither PNG, JPEG nor WebP")


def chunks_of(data: bytes) -> list[Chunk]:
    """All chunks in order; for JPEG the segments before the first scan.

    Raises `BadContainer` where the chain breaks, ends early or is absurdly long.
    """
    walkers: dict[str, Callable[[bytes], Iterator[Chunk]]] = {
        "png": _walk_png,
        "jpeg": _walk_jpeg,
        "webp": _walk_webp,
    }
    found = []
    for chunk in walkers[format_of(data)](data):
        found.append(chunk)
        if len(found) > _MOST_CHUNKS:
            raise BadContainer("too many chunks")
    return found


def _walk_png(data: bytes) -> Iterator[Chunk]:
    at = len(PNG_SIGNATURE)
    while at + 12 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        kind, stop = data[at + 4 : at + 8], at + 12 + size
        if stop > len(data):
            break
        yield Chunk(kind=kind, start=at, stop=stop, payload=data[at + 8 : at + 8 + size])
        if kind == b"IEND":
            return
        at = stop
    raise BadContainer("cut off")


def _walk_jpeg(data: bytes) -> Iterator[Chunk]:
    at = 2
    while at + 4 <= len(data):
        if data[at] != 0xFF:
            raise BadContainer("a segment is damaged")
        if data[at + 1] == 0xFF:  # fill byte
            at += 1
            continue
        kind, size = data[at : at + 2], int.from_bytes(data[at + 2 : at + 4], "big")
        stop = at + 2 + size
        if size < 2 or stop > len(data):
            break
        yield Chunk(kind=kind, start=at, stop=stop, payload=data[at + 4 : stop])
        if kind == b"\xff\xda":
            return
        at = stop
    raise BadContainer("cut off")


def _walk_webp(data: bytes) -> Iterator[Chunk]:
    end = 8 + int.from_bytes(data[4:8], "little")
    if end > len(data):
        raise BadContainer("cut off")
    at = 12
    while at + 8 <= end:
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        stop = at + 8 + size + size % 2
        if stop > end:
            raise BadContainer("cut off")
        yield Chunk(
            kind=data[at : at + 4], start=at, stop=stop, payload=data[at + 8 : at + 8 + size]
        )
        at = stop
    if at != end:
        raise BadContainer("a chunk is damaged")


def measure(data: bytes) -> Measure:
    """Format, size in pixels and number of frames, from headers alone."""
    kind, chunks = format_of(data), chunks_of(data)
    measures = {"png": _measure_png, "jpeg": _measure_jpeg, "webp": _measure_webp}
    try:
        width, height, frames = measures[kind](chunks)
    except (struct.error, IndexError) as error:
        raise BadContainer("the header is damaged") from error
    if width < 1 or height < 1:
        raise BadContainer("it has no pixels")
    return Measure(format=kind, width=width, height=height, frames=frames)


def _measure_png(chunks: list[Chunk]) -> tuple[int, int, int]:
    if not chunks or chunks[0].kind != b"IHDR":
        raise BadContainer("the header is missing")
    width, height = struct.unpack_from(">II", chunks[0].payload)
    controls = [chunk.payload for chunk in chunks if chunk.kind == b"acTL"]
    frames = max((struct.unpack_from(">I", control)[0] for control in controls), default=1)
    return width, height, frames


def _measure_jpeg(chunks: list[Chunk]) -> tuple[int, int, int]:
    no_frame_header = (0xC4, 0xC8, 0xCC)
    for chunk in chunks:
        if 0xC0 <= chunk.kind[1] <= 0xCF and chunk.kind[1] not in no_frame_header:
            height, width = struct.unpack_from(">HH", chunk.payload, 1)
            return width, height, 1
    raise BadContainer("the header is missing")


def _measure_webp(chunks: list[Chunk]) -> tuple[int, int, int]:
    frames = max(1, sum(chunk.kind == b"ANMF" for chunk in chunks))
    first = chunks[0]
    if first.kind == b"VP8X":
        width = 1 + int.from_bytes(first.payload[4:7], "little")
        height = 1 + int.from_bytes(first.payload[7:10], "little")
    elif first.kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", first.payload, 1)
        width, height = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    elif first.kind == b"VP8 ":
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", first.payload, 6))
    else:
        raise BadContainer("the header is missing")
    return width, height, frames


def xmp_packet(chunk: Chunk) -> bytes | None:
    """The XMP packet that a chunk holds, or None where it is another chunk."""
    if chunk.kind == b"iTXt" and chunk.payload.startswith(_XMP_KEYWORD):
        return itxt_text(chunk.payload)
    if chunk.kind == b"\xff\xe1" and chunk.payload.startswith(_XMP_HEADER):
        return chunk.payload[len(_XMP_HEADER) :]
    if chunk.kind == b"XMP ":
        return chunk.payload
    return None


def itxt_text(payload: bytes) -> bytes | None:
    """The text of an iTXt payload, inflated up to 1 MiB; None where it is broken."""
    parts = payload.split(b"\0", 1)
    if len(parts) != 2 or len(parts[1]) < 2:
        return None
    is_compressed, rest = parts[1][0], parts[1][2:].split(b"\0", 2)
    if len(rest) != 3:
        return None
    if not is_compressed:
        return rest[2]
    try:
        inflater = zlib.decompressobj()
        return inflater.decompress(rest[2], _LARGEST_TEXT_BYTES)
    except zlib.error:
        return None


def xmp_chunk(kind: str, packet: bytes) -> bytes:
    """The one form in which this software writes a packet into a file of `kind`.

    Raises `BadContainer` where a JPEG segment cannot hold it.
    """
    if kind == "png":
        body = b"iTXt" + _XMP_KEYWORD + b"\0\0\0\0" + packet
        return struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    if kind == "jpeg":
        body = _XMP_HEADER + packet
        if len(body) > _LARGEST_SEGMENT_BYTES:
            raise BadContainer("the XMP packet does not fit into one segment")
        return b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body
    return b"XMP " + struct.pack("<I", len(packet)) + packet + b"\0" * (len(packet) % 2)


def insert_xmp(data: bytes, packet: bytes) -> bytes:
    """A file without XMP -> the same file with this packet, all else untouched."""
    kind, chunks = format_of(data), chunks_of(data)
    chunk = xmp_chunk(kind, packet)
    if kind == "webp":
        return _insert_webp(data, chunks[0], chunk)
    # After the header: IHDR must be first in a PNG, JFIF's APP0 in a JPEG.
    is_after_first = kind == "png" or chunks[0].kind == b"\xff\xe0"
    at = chunks[0].stop if is_after_first else chunks[0].start
    return data[:at] + chunk + data[at:]


def _insert_webp(data: bytes, header: Chunk, chunk: bytes) -> bytes:
    if header.kind != b"VP8X":
        raise BadContainer("no VP8X chunk to announce the XMP packet in")
    size = int.from_bytes(data[4:8], "little") + len(chunk)
    body = bytearray(data + chunk)
    body[4:8] = size.to_bytes(4, "little")
    body[header.start + 8] |= _WEBP_XMP_FLAG
    return bytes(body)
