"""A colour card, CSV with a header: names and values -> colours.

    name,hex          or    名称,色值          or    name,L,a,b
    雾霾蓝,#7C93AB          雾霾蓝,#7C93AB           雾霾蓝,59.8,-2.4,-15.6

UTF-8 or GB18030, comma, semicolon or tab. All broken rows are named together,
so that a card is corrected once and not row by row.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path

from mmgen.colour.names import Colour, parse_colour
from mmgen.errors import DataError, FileUnreadable, MmgenError

MOST_ROWS = 100
_MOST_BYTES = 2**20
_NAME = ("name", "名称", "色名", "颜色", "颜色名")
_VALUE = ("hex", "色值", "value", "rgb", "colour", "color", "颜色值")
_LAB = ("l", "a", "b")
_SHOWN_FAULTS = 5


class CardBroken(DataError):
    code = "card.broken"
    template = "the colour card {path} has {count} broken rows: {rows}; correct them"


class CardWithoutColumns(DataError):
    code = "card.columns"
    template = (
        "the colour card {path} has the columns {got}; it needs name and hex, or name, L, a, b"
    )


class CardSize(DataError):
    code = "card.size"
    template = "the colour card {path} has {got} colours; it may have 1 to {limit}"


def read_card(path: Path) -> list[Colour]:
    """The colours of a card, in its order.

    Raises `FileUnreadable`, `CardWithoutColumns`, `CardBroken` (a value that is no
    colour, a name that stands twice), `CardSize`.
    """
    text = _text_of(path)
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    rows = csv.DictReader(io.StringIO(text), delimiter=delimiter)
    columns = {(name or "").strip().lower(): name for name in rows.fieldnames or ()}
    name_key = next((columns[name] for name in _NAME if name in columns), None)
    value_key = next((columns[name] for name in _VALUE if name in columns), None)
    has_lab = all(axis in columns for axis in _LAB)
    if name_key is None or (value_key is None and not has_lab):
        got = ", ".join(name for name in columns if name) or "-"
        raise CardWithoutColumns(path=path, got=got[:120])
    lab_keys = [columns[axis] for axis in _LAB] if has_lab else []
    colours: list[Colour] = []
    faults: list[str] = []
    for row in rows:
        if not any((value or "").strip() for value in row.values() if isinstance(value, str)):
            continue
        name = (row.get(name_key) or "").strip()
        value = (row.get(value_key) or "").strip() if value_key else ""
        if not value and lab_keys:
            value = "lab({},{},{})".format(*((row.get(key) or "").strip() for key in lab_keys))
        try:
            if not name or name in {colour.name for colour in colours}:
                raise ValueError(name)
            colours.append(parse_colour(value, name))
        except (MmgenError, ValueError):
            faults.append(f"{rows.line_num} ({name or '-'} {value or '-'})"[:60])
    if faults:
        rest = ["…"] if len(faults) > _SHOWN_FAULTS else []
        shown = ", ".join([*faults[:_SHOWN_FAULTS], *rest])
        raise CardBroken(path=path, count=len(faults), rows=shown)
    if not 1 <= len(colours) <= MOST_ROWS:
        raise CardSize(path=path, got=len(colours), limit=MOST_ROWS)
    return colours


def _text_of(path: Path) -> str:
    try:
        with open(path, "rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise FileUnreadable(path=path, reason=error.strerror or error) from error
    if len(data) > _MOST_BYTES:
        raise FileUnreadable(path=path, reason="the file is too long")
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text
    raise FileUnreadable(path=path, reason="it is neither UTF-8 nor GB18030 text")
