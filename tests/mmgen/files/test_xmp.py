"""Packets of our own and of others: read, built, updated in place."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmgen.files import xmp
from mmgen.files.label import Label

LABEL = Label.first("ab" * 16, "a&b<c>d'e")
FOREIGN = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<!-- kept -->
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="Other 1.0">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/"{attribute}>
   <dc:creator><rdf:Seq><rdf:li>王小明 &amp; Söhne</rdf:li></rdf:Seq></dc:creator>
   {element}
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>"""
SPACE = 'xmlns:q="http://www.tc260.org.cn/ns/AIGC/1.0/"'


def foreign(attribute: str = "", element: str = "") -> bytes:
    return FOREIGN.format(attribute=attribute, element=element).encode()


def test_the_packet_names_namespace_prefix_and_property_of_the_guide() -> None:
    text = xmp.build_packet(LABEL).decode()
    assert 'xmlns:TC260="http://www.tc260.org.cn/ns/AIGC/1.0/"' in text
    assert "<TC260:AIGC>{" in text
    root = ElementTree.fromstring(text)
    (element,) = root.iter("{http://www.tc260.org.cn/ns/AIGC/1.0/}AIGC")
    assert element.text == LABEL.to_json()
    assert xmp.read_properties(text.encode()) == [LABEL.to_json()]


@pytest.mark.parametrize(
    ("attribute", "element", "count"),
    [
        ("", "", 0),
        ("", f"<q:AIGC {SPACE}>{{}}</q:AIGC>", 1),
        ("", f"<q:AIGC {SPACE}/>", 1),
        (f" {SPACE} q:AIGC='{{&quot;a&quot;:1}}'", "", 1),
        (f' {SPACE} q:AIGC = "{{}}"', "<q:AIGC>x</q:AIGC><q:AIGC>y</q:AIGC>", 3),
        ("", "<q:AIGC xmlns:q='http://example.org/'>not ours</q:AIGC>", 0),
    ],
)
def test_an_update_leaves_one_property_and_every_foreign_byte(
    attribute: str, element: str, count: int
) -> None:
    packet = foreign(attribute, element)
    assert len(xmp.read_properties(packet)) == count
    updated = xmp.update_packet(packet, LABEL)
    assert xmp.read_properties(updated) == [LABEL.to_json()]
    assert "王小明 &amp; Söhne".encode() in updated
    assert b"<!-- kept -->" in updated
    assert b'x:xmptk="Other 1.0"' in updated
    assert ("http://example.org/" in element) == (b"not ours" in updated)
    again = xmp.update_packet(updated, LABEL)
    assert xmp.read_properties(again) == [LABEL.to_json()]
    assert len(again) == len(updated)


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        b"<a",
        b"\0\0\0",
        "<a/>".encode("utf-16"),
        b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
        b"<a>" * 100_000,
        b"<a>" + b" " * xmp.LARGEST_PACKET_BYTES + b"</a>",
    ],
)
def test_broken_and_hostile_packets_are_refused(packet: bytes) -> None:
    with pytest.raises(xmp.BadPacket):
        xmp.update_packet(packet, LABEL)


def test_a_packet_without_rdf_cannot_take_a_property() -> None:
    empty = b"<x xmlns:r='http://www.w3.org/1999/02/22-rdf-syntax-ns#'>%s</x>"
    for body in (b"", b"<r:RDF/>"):
        with pytest.raises(xmp.BadPacket, match="rdf"):
            xmp.update_packet(empty % body, LABEL)


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for packet in (data, foreign(element=data.decode("latin-1"))):
        try:
            xmp.read_properties(packet)
            updated = xmp.update_packet(packet, LABEL)
        except xmp.BadPacket:
            continue
        assert xmp.read_properties(updated) == [LABEL.to_json()]
