"""What made a picture, carried within its PNG: for whoever may lose the record beside it.

A PNG text chunk (iTXt, UTF-8, uncompressed) of its own keyword. It is part of
what the label's check covers, so it cannot be exchanged unnoticed. Written on
request only: it says the prompt to whoever gets the file.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from typing import Any

from mmgen.files import container
from mmgen.strict_json import NotJson, parse_json
from mmgen.values import canonical_json

SCHEMA = "mmgen.request/1"
_KEYWORD = b"mmgen.request\0"
_HEAD = _KEYWORD + b"\0\0\0\0"
"""Not compressed, no language, no translated keyword."""
_END_BYTES = 12


def embed_request(png: bytes, facts: Mapping[str, Any]) -> bytes:
    """`png` with `facts` (plain JSON) in a chunk before its end."""
    body = _HEAD + canonical_json({"schema": SCHEMA, **facts}).encode()
    checksum = zlib.crc32(b"iTXt" + body)
    chunk = struct.pack(">I", len(body)) + b"iTXt" + body + struct.pack(">I", checksum)
    return png[:-_END_BYTES] + chunk + png[-_END_BYTES:]


def embedded_request(data: bytes) -> dict[str, Any] | None:
    """What `embed_request` was given, or None where a file holds nothing of the kind."""
    try:
        chunks = container.chunks_of(data)
    except container.BadContainer:
        return None
    for chunk in chunks:
        if chunk.kind == b"iTXt" and chunk.payload.startswith(_KEYWORD):
            return _facts(container.itxt_text(chunk.payload) or b"")
    return None


def _facts(text: bytes) -> dict[str, Any] | None:
    try:
        facts = parse_json(text)
    except NotJson:
        return None
    if not isinstance(facts, dict) or facts.pop("schema", None) != SCHEMA:
        return None
    return facts
