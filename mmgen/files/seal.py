"""A picture file + label -> the labelled file, every byte of which is checked.

The two reserved codes of the label divide the file between them:

    ReservedCode1 = sha256 of the file without its XMP chunk: the picture data
    ReservedCode2 = sha256 of the XMP packet with its own 64 digits set to zero

and the XMP chunk around the packet has one canonical form. So any changed byte
breaks one of the three, and says whether picture or label was touched. It is a
check against accidents and careless tools, not a signature: who wants to
deceive can compute new codes.
"""

from __future__ import annotations

import dataclasses
import hashlib

from mmgen.files import container, xmp
from mmgen.files.label import Label

_MARK = "sha256:"
_BLANK = "0" * 64


def seal(image: bytes, label: Label, packet: bytes | None = None) -> tuple[bytes, Label]:
    """The file with the label in it, and the label with its two codes.

    `image` is an encoded picture without XMP, WebP with a VP8X header. `packet`
    is the XMP of the picture it was made from: its other properties are kept,
    unless it is broken or too large for the format.
    """
    label = dataclasses.replace(
        label, reserved_code_1=_MARK + _BLANK, reserved_code_2=_MARK + _BLANK
    )
    data, _ = _insert(image, label, packet)
    found = next(chunk for chunk in container.chunks_of(data) if container.xmp_packet(chunk))
    label = dataclasses.replace(label, reserved_code_1=_picture_code(data, found))
    _, text = _insert(image, label, packet)
    label = dataclasses.replace(label, reserved_code_2=_code(text))
    data, _ = _insert(image, label, packet)
    return data, label


def is_sealed(label: Label) -> bool:
    """Whether the label carries checks of this form; another producer's may not."""
    return label.reserved_code_1.startswith(_MARK) or label.reserved_code_2.startswith(_MARK)


def broken_seals(data: bytes, chunk: container.Chunk, label: Label) -> tuple[str, ...]:
    """Which of `pixels` and `label` no longer match their code; empty when intact.

    `chunk` is the one of `data` that holds the label.
    """
    packet = container.xmp_packet(chunk) or b""
    digits = label.reserved_code_2.removeprefix(_MARK).encode()
    blanked = packet.replace(digits, _BLANK.encode()) if len(digits) == len(_BLANK) else packet
    is_canonical = data[chunk.start : chunk.stop] == container.xmp_chunk(
        container.format_of(data), packet
    )
    broken = []
    if label.reserved_code_1 != _picture_code(data, chunk):
        broken.append("pixels")
    if not is_canonical or label.reserved_code_2 != _code(blanked):
        broken.append("label")
    return tuple(broken)


def _insert(image: bytes, label: Label, packet: bytes | None) -> tuple[bytes, bytes]:
    """File and packet with this label; falls back to a packet of its own."""
    if packet is not None:
        try:
            updated = xmp.update_packet(packet, label)
            return container.insert_xmp(image, updated), updated
        except (xmp.BadPacket, container.BadContainer):
            pass
    built = xmp.build_packet(label)
    return container.insert_xmp(image, built), built


def _picture_code(data: bytes, chunk: container.Chunk) -> str:
    return _code(data[: chunk.start] + data[chunk.stop :])


def _code(data: bytes) -> str:
    return _MARK + hashlib.sha256(data).hexdigest()
