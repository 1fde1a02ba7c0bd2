"""Pictures + captions -> one contact sheet: even columns, wrapped Chinese captions."""

from __future__ import annotations

import dataclasses
import math
import re
import unicodedata
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from mmgen import errors
from mmgen.files.fonts import font

MOST_TILES = 100
_GROUND = (250, 249, 247)
_INK = (38, 38, 40)
_QUIET_INK = (122, 120, 116)
_FRAME = (226, 223, 218)
_MARGIN_PX = 32
_GAP_PX = 24
_TILE_PX = (192, 512)
"""Narrowest and widest column."""
_HEADING_PX, _CAPTION_PX, _NOTE_PX = 22, 15, 13
_LINE = 1.45
"""Line height in ems, which Chinese needs without spaces between words."""
_CAPTION_LINES, _HEADING_LINES = 3, 3
_NOT_AT_START = set("，。、；：！？）》】」』〉”’…·～,.;:!?)]}%")
_NOT_AT_END = set("（《【「『〈“‘([{")
_WORD = re.compile(r"[A-Za-z0-9À-ÿ_.+#/'-]+|\s+|.", re.DOTALL)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Tile:
    """One picture of a sheet."""

    picture: Image.Image
    caption: str = ""
    """The prompt, say; wrapped, at most three lines."""
    note: str = ""
    """One quiet line below it: the seed, a score."""


def contact_sheet(
    tiles: Sequence[Tile], *, heading: str = "", columns: int | None = None
) -> Image.Image:
    """A PIL RGB sheet on a light ground; pictures are shrunk to 512 px, never cut.

    `columns` defaults to what makes the sheet nearly square, four for four
    pictures. Raises `Missing` without tiles, `OutOfRange` beyond 100 tiles.
    """
    if not tiles:
        raise errors.Missing(name="tiles", advice="give at least one picture")
    if len(tiles) > MOST_TILES:
        raise errors.OutOfRange(name="tiles", got=len(tiles), low=1, high=MOST_TILES)
    if columns is not None and not 1 <= columns <= MOST_TILES:
        raise errors.OutOfRange(name="columns", got=columns, low=1, high=MOST_TILES)
    columns = min(columns or _default_columns(len(tiles)), len(tiles))
    pictures = [_shrunk(tile.picture) for tile in tiles]
    tile_px = max(_TILE_PX[0], *(picture.width for picture in pictures))
    rows = [
        _Row(tiles[at : at + columns], pictures[at : at + columns], tile_px)
        for at in range(0, len(tiles), columns)
    ]
    width = 2 * _MARGIN_PX + columns * tile_px + (columns - 1) * _GAP_PX
    head = wrap(heading, font(_HEADING_PX), width - 2 * _MARGIN_PX, _HEADING_LINES)
    head_px = _text_px(head, _HEADING_PX) + (_GAP_PX if head else 0)
    body_px = sum(row.height_px for row in rows) + (len(rows) - 1) * _GAP_PX
    sheet = Image.new("RGB", (width, 2 * _MARGIN_PX + head_px + body_px), _GROUND)
    _write_lines(sheet, head, (_MARGIN_PX, _MARGIN_PX), _HEADING_PX, _INK)
    top = _MARGIN_PX + head_px
    for row in rows:
        row.draw(sheet, top)
        top += row.height_px + _GAP_PX
    return sheet


class _Row:
    """Pictures of one row, standing on a common line with their captions below."""

    def __init__(self, tiles: Sequence[Tile], pictures: list[Image.Image], tile_px: int) -> None:
        self.pictures, self.tile_px = pictures, tile_px
        face = font(_CAPTION_PX)
        self.captions = [wrap(tile.caption, face, tile_px, _CAPTION_LINES) for tile in tiles]
        self.notes = [wrap(tile.note, font(_NOTE_PX), tile_px, 1) for tile in tiles]
        self.picture_px = max(picture.height for picture in pictures)
        self.text_px = max(
            _text_px(caption, _CAPTION_PX) + _text_px(note, _NOTE_PX)
            for caption, note in zip(self.captions, self.notes, strict=True)
        )
        self.height_px = self.picture_px + (self.text_px + 10 if self.text_px else 0)

    def draw(self, sheet: Image.Image, top: int) -> None:
        for column, picture in enumerate(self.pictures):
            left = _MARGIN_PX + column * (self.tile_px + _GAP_PX)
            x = left + (self.tile_px - picture.width) // 2
            y = top + self.picture_px - picture.height
            frame = (x - 1, y - 1, x + picture.width, y + picture.height)
            # A hairline, since white grounds are common in shops and would flow away.
            ImageDraw.Draw(sheet).rectangle(frame, outline=_FRAME)
            sheet.paste(picture, (x, y))
            below = top + self.picture_px + 10
            _write_lines(sheet, self.captions[column], (left, below), _CAPTION_PX, _INK)
            below += _text_px(self.captions[column], _CAPTION_PX)
            _write_lines(sheet, self.notes[column], (left, below), _NOTE_PX, _QUIET_INK)


def wrap(text: str, face: ImageFont.FreeTypeFont, width_px: int, lines: int) -> list[str]:
    """The text in at most `lines` lines of at most `width_px`, the last with … if cut.

    Breaks between Chinese characters, but not before closing or after opening
    punctuation, and not inside a Latin word that fits a line.
    """
    done: list[str] = []
    line = ""
    for piece in _pieces(_visible(text), face, width_px):
        if face.getlength(line + piece) <= width_px or not line:
            line += piece
            continue
        carried = _carried(line, piece)
        done.append(line[: len(line) - len(carried)].rstrip())
        line = (carried + piece).lstrip()
    if line.strip():
        done.append(line.rstrip())
    if len(done) <= lines:
        return done
    last = done[lines - 1]
    while last and face.getlength(last + "…") > width_px:
        last = last[:-1]
    return [*done[: lines - 1], last.rstrip("，。、 ") + "…"]


def _carried(line: str, piece: str) -> str:
    """The end of `line` that must move to the next line together with `piece`."""
    if piece[0] in _NOT_AT_START and len(line) > 1:
        return line[-1]
    if line[-1] in _NOT_AT_END and len(line) > 1:
        return line[-1]
    return ""


def _pieces(text: str, face: ImageFont.FreeTypeFont, width_px: int) -> list[str]:
    """Unbreakable units: Chinese characters, words; a word longer than a line falls apart."""
    pieces: list[str] = []
    for word in _WORD.findall(text):
        pieces.extend([word] if face.getlength(word) <= width_px else list(word))
    return pieces


def _visible(text: str) -> str:
    """One line without emoji and all else that the font has no shape for."""
    without_shape = ("Cc", "Cf", "Cs", "Mn", "Cn")
    kept = (
        " " if letter.isspace() else letter
        for letter in unicodedata.normalize("NFC", text)
        if letter.isspace() or unicodedata.category(letter) not in without_shape
        if not (ord(letter) > 0xFFFF and unicodedata.category(letter) in ("So", "Sk"))
    )
    return re.sub(" +", " ", "".join(kept)).strip()


def _default_columns(count: int) -> int:
    return count if count <= 4 else math.ceil(math.sqrt(count * 1.3))


def _shrunk(picture: Image.Image) -> Image.Image:
    copy = picture.convert("RGB")
    copy.thumbnail((_TILE_PX[1], _TILE_PX[1]), Image.Resampling.LANCZOS)
    return copy


def _text_px(lines: list[str], size_px: int) -> int:
    return math.ceil(len(lines) * size_px * _LINE)


def _write_lines(
    sheet: Image.Image,
    lines: list[str],
    at: tuple[int, int],
    size_px: int,
    ink: tuple[int, int, int],
) -> None:
    draw = ImageDraw.Draw(sheet)
    for number, line in enumerate(lines):
        middle = at[1] + (number + 0.5) * size_px * _LINE
        draw.text((at[0], middle), line, font=font(size_px), fill=ink, anchor="lm")
