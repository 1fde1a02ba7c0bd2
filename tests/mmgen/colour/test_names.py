"""What people write for a colour is read or refused; cards are read whole or refused whole."""

from __future__ import annotations

import pytest

from mmgen.colour.card import CardBroken, CardSize, CardWithoutColumns, read_card
from mmgen.colour.lab import difference
from mmgen.colour.names import (
    IN_TEXT,
    ColourOutOfRange,
    ColourUnknown,
    colour_names,
    parse_colour,
)
from mmgen.errors import FileUnreadable
from mmgen.text.vocabulary import load_vocabulary


@pytest.mark.parametrize(
    ("text", "hex_"),
    [
        ("#8B1A2B", "#8B1A2B"),
        ("8b1a2b", "#8B1A2B"),
        ("#fff", "#FFFFFF"),
        ("＃8B1A2B", "#8B1A2B"),
        (" rgb(139, 26, 43) ", "#8B1A2B"),
        ("lab(100,0,0)", "#FFFFFF"),
        ("藏青", "#1F2A44"),
        ("藏青色", "#1F2A44"),
        ("珊瑚色", "#F26B4E"),
    ],
)
def test_ways_to_write_a_colour(text, hex_):
    assert parse_colour(text).hex == hex_


@pytest.mark.parametrize("text", ["", "  ", "#12", "#GGGGGG", "12345", "颜色", "lab(1,2)", "\0"])
def test_what_is_no_colour_is_refused_with_advice(text):
    with pytest.raises(ColourUnknown, match="#RRGGBB"):
        parse_colour(text)


@pytest.mark.parametrize("text", ["lab(101,0,0)", "lab(50,200,0)", "rgb(300,0,0)"])
def test_values_out_of_range_are_refused(text):
    with pytest.raises(ColourOutOfRange):
        parse_colour(text)


def test_a_near_name_is_proposed():
    with pytest.raises(ColourUnknown, match="酒红"):
        parse_colour("酒红红")


def test_every_colour_of_the_vocabulary_has_a_value():
    for name, words in load_vocabulary().attributes["colors"].items():
        assert name in colour_names()
        for word in words.same:
            assert parse_colour(word).is_in_gamut


def test_a_colour_beyond_srgb_is_known_as_such():
    colour = parse_colour("lab(60, 120, -40)")
    assert not colour.is_in_gamut
    assert difference(colour.lab, parse_colour(colour.hex).lab) > 3


def test_an_exact_colour_is_found_in_a_prompt():
    assert IN_TEXT.findall("一件 #1F3A5F 的衬衫") == ["#1F3A5F"]
    assert not IN_TEXT.findall("编号 #1F3A5F7")


CARD = "名称,色值\n雾霾蓝,#7C93AB\n酒红,#7B1E2B\n"


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (CARD, "utf-8"),
        (CARD, "utf-8-sig"),
        (CARD, "gb18030"),
        (CARD.replace(",", "\t"), "utf-8"),
        ("name;hex\n雾霾蓝;7C93AB\n\n酒红;rgb(123,30,43)\n", "utf-8"),
        ("name,L,a,b\n雾霾蓝,59.6,-3.4,-14.6\n酒红,27.8,40,14\n", "utf-8"),
    ],
)
def test_cards(tmp_path, text, encoding):
    path = tmp_path / "card.csv"
    path.write_bytes(text.encode(encoding))
    first, second = read_card(path)
    assert (first.name, second.name) == ("雾霾蓝", "酒红")
    assert difference(first.lab, parse_colour("#7C93AB").lab) < 2


def test_all_broken_rows_are_named_at_once(tmp_path):
    path = tmp_path / "card.csv"
    path.write_text("name,hex\n好,#112233\n坏,#12\n,#445566\n好,#778899\n", encoding="utf-8")
    with pytest.raises(CardBroken) as refusal:
        read_card(path)
    assert refusal.value.params["count"] == 3
    assert [f"{line} (" in str(refusal.value) for line in (2, 3, 4, 5)] == [False, True, True, True]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", CardWithoutColumns),
        ("颜色\n红\n", CardWithoutColumns),
        ("name,hex\n", CardSize),
        ("name,hex\n" + "".join(f"c{n},#0000{n:02x}\n" for n in range(101)), CardSize),
        ("a\0b,hex\n", FileUnreadable),
    ],
)
def test_cards_that_are_none(tmp_path, text, error):
    path = tmp_path / "card.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(error):
        read_card(path)
    with pytest.raises(FileUnreadable):
        read_card(tmp_path / "none.csv")
