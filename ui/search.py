"""`mmgen search`: what a catalogue holds, by words, a picture, or both."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mmgen.errors import PictureError, UnknownChoice
from mmgen.files.encode import SUFFIXES
from mmgen.files.read_picture import PictureReader, read_picture
from mmgen.files.sheet import MOST_TILES, Tile, contact_sheet
from mmgen.files.write import save_sheet
from ui.table import print_table
from ui.words import say

if TYPE_CHECKING:
    from pipelines.search import SearchHit

_SHOWN = ("category", "colors", "patterns", "sleeve", "fabric")
_THUMBNAIL_PX = (512, 512)


def search(
    query: str | None,
    *,
    picture: Path | None,
    catalogue: str | None,
    filters: Sequence[str],
    n: int,
    sheet: Path | None,
    as_json: bool,
) -> None:
    """Print the nearest items; `sheet` is a picture file to be made of them."""
    from pipelines.collections import open_collection
    from pipelines.search import read_filters

    wanted = read_filters(filters)
    format_ = _format_of(sheet)
    image = read_picture(picture) if picture else None
    collection = open_collection(catalogue)
    if not as_json:
        print(say("searching", name=collection.name), file=sys.stderr, flush=True)
    hits = collection.search(query, picture=image, filters=wanted, n=n)
    for hit in hits if as_json else ():
        print(json.dumps(hit.to_dict(), ensure_ascii=False))
    if not as_json:
        _print_hits(hits)
    if sheet is not None and hits:
        saved = save_search_sheet(hits, sheet, format_, heading=query or "")
        if saved:
            print(say("sheet", path=saved), file=sys.stderr if as_json else sys.stdout)


def _print_hits(hits: Sequence[SearchHit]) -> None:
    if not hits:
        print(say("search.none"))
        return
    rows = [
        (str(rank), f"{hit.score:.3f}", hit.item.item, _words(hit), hit.item.path or "-")
        for rank, hit in enumerate(hits, 1)
    ]
    heads = ("search.head_score", "search.head_item", "search.head_words", "search.head_file")
    print_table(["#", *map(say, heads)], rows, widest=56)


def _words(hit: SearchHit) -> str:
    """The caption, or what is known of the item."""
    if hit.item.caption:
        return hit.item.caption
    values = [value for name in _SHOWN for value in hit.item.attributes.get(name, ())]
    return " ".join(values) or "-"


def save_search_sheet(
    hits: Sequence[SearchHit], path: Path, format_: str, *, heading: str
) -> Path | None:
    """The pictures of `hits` side by side; None where none of them can be read."""
    tiles = []
    with PictureReader() as reader:
        for rank, hit in enumerate(hits[:MOST_TILES], 1):
            if hit.item.path is None:
                continue
            try:
                small = reader.read(hit.item.path)
            except PictureError:
                continue
            small.thumbnail(_THUMBNAIL_PX)
            note = f"{rank} · {hit.score:.3f}"
            tiles.append(Tile(picture=small, caption=f"{hit.item.item} {_words(hit)}", note=note))
    if not tiles:
        print(say("search.no_pictures"), file=sys.stderr)
        return None
    # Untouched photographs carry no label.
    image = contact_sheet(tiles, heading=heading)
    return save_sheet(image, [], folder=path.parent, name=path.stem, format=format_).path


def _format_of(sheet: Path | None) -> str:
    if sheet is None:
        return "png"
    suffixes = {**{suffix: name for name, suffix in SUFFIXES.items()}, ".jpeg": "jpeg"}
    found = suffixes.get(sheet.suffix.lower())
    if found is None:
        raise UnknownChoice(name="--sheet", got=sheet.name, allowed=", ".join(suffixes))
    return found
