"""Contact sheets: every picture whole, captions wrapped and inside, the label on it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mmgen import errors
from mmgen.assets import asset_path
from mmgen.files.fonts import font
from mmgen.files.read import verify
from mmgen.files.sheet import Tile, contact_sheet, wrap
from mmgen.files.write import save_sheet

PROMPT = "蓝白格子长袖衬衫，挂在白墙前，Oversize 版型（男女同款），適合春秋季節穿著"
FACE = font(15)


def coloured(count: int, size: tuple[int, int] = (192, 256)) -> list[Image.Image]:
    return [Image.new("RGB", size, (200, number, 255 - number)) for number in range(count)]


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 9])
def test_every_picture_stands_whole_on_the_sheet(count: int) -> None:
    tiles = [Tile(picture=picture, caption=PROMPT, note="种子 7") for picture in coloured(count)]
    sheet = np.asarray(contact_sheet(tiles, heading=PROMPT)).astype(int)
    for number in range(count):
        mine = (sheet == (200, number, 255 - number)).all(axis=2)
        rows, columns = np.flatnonzero(mine.any(axis=1)), np.flatnonzero(mine.any(axis=0))
        assert (len(rows), len(columns)) == (256, 192)
        assert mine.sum() == 256 * 192


def test_a_hundred_pictures_make_a_sheet() -> None:
    sheet = contact_sheet([Tile(picture=picture, caption=PROMPT) for picture in coloured(100)])
    assert 0.5 < sheet.width / sheet.height < 2


def test_margins_are_even_and_free() -> None:
    tiles = [Tile(picture=picture, caption="字" * 200, note="注" * 99) for picture in coloured(4)]
    sheet = np.asarray(contact_sheet(tiles, heading="题" * 300)).astype(int)
    ground = sheet[0, 0]
    assert ground.min() > 240
    for edge in (sheet[:24], sheet[-24:], sheet[:, :24], sheet[:, -24:]):
        assert (edge == ground).all()


def test_large_pictures_are_shrunk_and_keep_their_shape() -> None:
    sheet = contact_sheet([Tile(picture=Image.new("RGB", (4096, 1024), (255, 0, 0)))])
    red = (np.asarray(sheet) == (255, 0, 0)).all(axis=2)
    assert (red.any(axis=0).sum(), red.any(axis=1).sum()) == (512, 128)


def test_captions_are_drawn_below_their_picture() -> None:
    plain = contact_sheet([Tile(picture=coloured(1)[0])])
    told = contact_sheet([Tile(picture=coloured(1)[0], caption="红裙子", note="种子 7")])
    assert told.height > plain.height
    below = np.asarray(told.convert("L"))[plain.height - 30 :]
    assert below.min() < 80


def test_columns_can_be_chosen_and_nonsense_is_refused() -> None:
    tiles = [Tile(picture=picture) for picture in coloured(4)]
    assert contact_sheet(tiles, columns=1).height > contact_sheet(tiles, columns=4).height
    with pytest.raises(errors.Missing):
        contact_sheet([])
    with pytest.raises(errors.OutOfRange, match="columns"):
        contact_sheet(tiles, columns=0)
    with pytest.raises(errors.OutOfRange, match="tiles"):
        contact_sheet([Tile(picture=coloured(1)[0])] * 101)


@settings(deadline=None)
@given(st.text(max_size=80), st.integers(1, 4))
def test_any_text_fits_its_column(text: str, lines: int) -> None:
    wrapped = wrap(text, FACE, 192, lines)
    assert len(wrapped) <= lines
    assert all(FACE.getlength(line) <= 192 + FACE.size for line in wrapped)


def test_wrapping_follows_chinese_rules() -> None:
    wrapped = wrap(PROMPT, FACE, 192, 9)
    assert "".join(wrapped).replace(" ", "") == PROMPT.replace(" ", "")
    assert not any(line[0] in "，。（）" and line[0] != "（" for line in wrapped)
    assert not any(line.endswith("（") for line in wrapped)
    assert any("Oversize" in line for line in wrapped)
    assert wrap("x" * 500, FACE, 192, 2)[1].endswith("…")
    assert wrap("", FACE, 192, 3) == []
    assert wrap("红\n裙\t子\u200b\u202e👗", FACE, 192, 3) == ["红 裙 子"]


def test_the_font_has_what_captions_need() -> None:
    nothing = FACE.getmask("\U0010fffe").getbbox(), bytes(FACE.getmask("\U0010fffe"))
    text = "AI生成种子的一是连衣裙針織衫領口繡花裤裆褶襻绗缝镂空，。（）《》￥·…Aé9"
    for letter in text:
        mask = FACE.getmask(letter)
        assert (mask.getbbox(), bytes(mask)) != nothing, letter
    for level in (range(0xB0, 0xD8), range(0xD8, 0xF8)):
        for high in level:
            for low in range(0xA1, 0xFF):
                try:
                    letter = bytes([high, low]).decode("gb2312")
                except UnicodeDecodeError:
                    continue
                assert bytes(FACE.getmask(letter)) != nothing[1], letter
    assert asset_path("fonts/LICENSE-OFL.txt").exists()
    assert asset_path("fonts/SOURCE.md").exists()


def test_a_saved_sheet_is_labelled(tmp_path: Path) -> None:
    sheet = contact_sheet([Tile(picture=coloured(1)[0], caption=PROMPT)])
    assert verify(save_sheet(sheet, ["ab" * 16], folder=tmp_path).path)
