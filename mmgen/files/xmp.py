"""XMP packets: the one property AIGC, read, built, updated in place.

Namespace, prefix and property are those of the practice guide TC260-PG-20259A;
the packet wrapper and RDF form are those of ISO 16684-1. A foreign packet keeps
every byte outside the property, because it may hold other people's data.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from xml.parsers import expat
from xml.sax.saxutils import escape

from mmgen.files.label import Label

NAMESPACE = "http://www.tc260.org.cn/ns/AIGC/1.0/"
PREFIX = "TC260"
PROPERTY = "AIGC"
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_PLAIN_TAG = re.compile(rb"<[^\s<>/\"':]+:AIGC\s*>")
_CLOSING_TAG = re.compile(rb"</[^\s<>]+:AIGC\s*>")
_END_OF_RDF = re.compile(rb"</([^\s<>]+:)?RDF\s*>")
LARGEST_PACKET_BYTES = 2**20
_DESCRIPTION = (
    '<rdf:Description xmlns:rdf="{rdf}" rdf:about="" xmlns:{prefix}="{namespace}">'
    "<{prefix}:{name}>{value}</{prefix}:{name}></rdf:Description>"
)
_PACKET = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{rdf}">'
    "{description}"
    '</rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
)


class BadPacket(ValueError):
    """The bytes are not a readable XMP packet; handled where packets are read."""


def build_packet(label: Label) -> bytes:
    """A packet that holds the label alone, UTF-8."""
    return _PACKET.format(rdf=RDF, description=_description(label)).encode()


def read_properties(packet: bytes) -> list[str]:
    """The value of every AIGC property of the packet, elements and attributes.

    Raises `BadPacket` where the packet is no XML, too large or has a DTD.
    """
    return [found.value for found in _Scan(packet).properties]


def update_packet(packet: bytes, label: Label) -> bytes:
    """The packet with this label as its only AIGC property, all else untouched.

    Raises `BadPacket`, also where the packet has no rdf:RDF to hold a property.
    """
    scan = _Scan(packet)
    if scan.end_of_rdf is None:
        raise BadPacket("no rdf:RDF element")
    kept = next((found for found in scan.properties if found.content), None)
    edits = [(found.start, found.stop, b"") for found in scan.properties if found is not kept]
    if kept and kept.content:
        edits.append((*kept.content, escape(label.to_json()).encode()))
    else:
        edits.append((scan.end_of_rdf, scan.end_of_rdf, _description(label).encode()))
    for start, stop, text in sorted(edits, reverse=True):
        packet = packet[:start] + text + packet[stop:]
    if read_properties(packet) != [label.to_json()]:
        raise BadPacket("the property could not be replaced")
    return packet


def _description(label: Label) -> str:
    return _DESCRIPTION.format(
        rdf=RDF, prefix=PREFIX, namespace=NAMESPACE, name=PROPERTY, value=escape(label.to_json())
    )


@dataclass(kw_only=True, slots=True)
class _Property:
    start: int
    stop: int
    value: str
    content: tuple[int, int] | None = None
    """Where the text of a plain element stands, so that it can be replaced alone."""


class _Scan:
    """One pass of expat over a packet: the properties, and where a new one fits."""

    def __init__(self, packet: bytes) -> None:
        if len(packet) > LARGEST_PACKET_BYTES:
            raise BadPacket("too large")
        if b"<!DOCTYPE" in packet or b"<!ENTITY" in packet:
            raise BadPacket("a document type is not allowed")
        self.properties: list[_Property] = []
        self.end_of_rdf: int | None = None
        self._packet = packet
        self._open_at: int | None = None
        self._open_text: list[str] = []
        # A single space separates namespace, local name and prefix in expat's triplets.
        self._parser = expat.ParserCreate("utf-8", namespace_separator=" ")
        self._parser.namespace_prefixes = True
        self._parser.ordered_attributes = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._open_text.append
        try:
            # A NUL that ends a packet is common and no XML.
            self._parser.Parse(packet.rstrip(b"\0"), True)
        except (expat.ExpatError, ValueError) as error:
            raise BadPacket(str(error)) from error

    def _start(self, name: str, attributes: list[str]) -> None:
        at = self._parser.CurrentByteIndex
        if _names(name, NAMESPACE, PROPERTY):
            self._open_at = at
            self._open_text.clear()
        for key, value in zip(attributes[::2], attributes[1::2], strict=True):
            if _names(key, NAMESPACE, PROPERTY):
                start, stop = _attribute_span(self._packet, at, key)
                self.properties.append(_Property(start=start, stop=stop, value=value))

    def _end(self, name: str) -> None:
        at = self._parser.CurrentByteIndex
        if self._open_at is not None and _names(name, NAMESPACE, PROPERTY):
            opening = _PLAIN_TAG.match(self._packet, self._open_at)
            closing = _CLOSING_TAG.match(self._packet, at)
            self.properties.append(
                _Property(
                    start=self._open_at,
                    # For <a:AIGC/> expat already stands behind the tag.
                    stop=closing.end() if closing else at,
                    value="".join(self._open_text),
                    content=(opening.end(), at) if opening and closing else None,
                )
            )
            self._open_at = None
        elif _names(name, RDF, "RDF") and _END_OF_RDF.match(self._packet, at):
            self.end_of_rdf = at


def _names(triplet: str, namespace: str, local: str) -> bool:
    return triplet.split(" ")[:2] == [namespace, local]


def _attribute_span(packet: bytes, tag_at: int, triplet: str) -> tuple[int, int]:
    """The byte range of an attribute in the start tag at `tag_at`, with its space."""
    prefix = triplet.split(" ")[2].encode()
    pattern = rb"\s+" + re.escape(prefix) + rb":AIGC\s*=\s*(\"[^\"]*\"|'[^']*')"
    match = re.compile(pattern).search(packet, tag_at)
    if match is None:
        raise BadPacket("attribute not found")
    return match.start(), match.end()
