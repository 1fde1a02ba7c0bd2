"""Rows -> a plain table on stdout, in columns that Chinese does not push out of line."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence


def print_table(heads: Sequence[str], rows: Sequence[Sequence[str]], *, widest: int = 48) -> None:
    """Print nothing where there are no rows; cells beyond `widest` columns are cut with …"""
    if not rows:
        return
    table = [[_cut(cell, widest) for cell in row] for row in (heads, *rows)]
    widths = [max(map(width, column)) for column in zip(*table, strict=True)]
    for row in table:
        cells = [cell + " " * (room - width(cell)) for cell, room in zip(row, widths, strict=True)]
        print("  ".join(cells).rstrip())


def width(text: str) -> int:
    """Columns of a terminal that `text` takes: two for a Chinese character."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def _cut(text: str, widest: int) -> str:
    text = " ".join(text.split())
    if width(text) <= widest:
        return text
    while width(text) > widest - 1:
        text = text[:-1]
    return text + "…"
