"""`mmgen similar`: is a design too near something that the catalogue holds (撞款)?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from mmgen import limits
from mmgen.errors import PictureError
from mmgen.files.read_picture import PictureReader
from mmgen.files.sheet import Tile, contact_sheet
from mmgen.files.write import save_sheet
from mmgen.values import check_whole
from ui.words import say

if TYPE_CHECKING:
    from PIL.Image import Image

    from pipelines.similar import SimilarItem, SimilarReport


def similar(
    picture: Path, *, catalogue: str | None, n: int, sheet: Path | None, as_json: bool
) -> None:
    """Print the nearest items and a verdict; write them side by side into `sheet`."""
    check_whole("-n", n, *limits.SEARCH_HITS)
    with PictureReader() as reader:
        image = reader.read(picture)
        found = _find(image, catalogue, n, reader)
        for one in found.items:
            print(_as_json(one) if as_json else _as_words(one), flush=True)
        if not as_json:
            print(say("similar.verdict_yes" if found.is_collision else "similar.verdict_no"))
        if sheet:
            _save_sheet(picture, image, found, reader, sheet, quiet=as_json)


def _find(image: Image, catalogue: str | None, n: int, reader: PictureReader) -> SimilarReport:
    """Asks the catalogue; imports torch."""
    from pipelines.catalogue import DEFAULT, Catalogue
    from pipelines.similar import find_similar
    from pipelines.tag import near_of

    collection = Catalogue.open(catalogue or DEFAULT)
    retriever = collection.retriever
    near = near_of(retriever)
    return find_similar(collection, retriever, image, near=near, read=reader.read, n=n)


def _as_json(one: SimilarItem) -> str:
    return json.dumps(one.to_dict(), ensure_ascii=False)


def _as_words(one: SimilarItem) -> str:
    return f"{_note(one)}  {one.item.item}  {one.item.path or ''}".rstrip()


def _note(one: SimilarItem) -> str:
    """The verdict on one item with its figures."""
    key = "similar.same" if one.is_same else "similar.near" if one.is_near else "similar.other"
    return say(key, likeness=f"{one.likeness:.2f}")


def _save_sheet(
    picture: Path,
    image: Image,
    found: SimilarReport,
    reader: PictureReader,
    sheet: Path,
    *,
    quiet: bool,
) -> None:
    """The design first, its neighbours beside it; photographs carry no AI label."""
    tiles = [Tile(picture=image, caption=picture.name, note=say("similar.design"))]
    for one in found.items:
        try:
            other = reader.read(Path(one.item.path or ""))
        except PictureError:
            continue  # its file is gone; the list has it all the same
        tiles.append(
            Tile(picture=other, caption=one.item.caption or one.item.item, note=_note(one))
        )
    verdict = say("similar.verdict_yes" if found.is_collision else "similar.verdict_no")
    saved = save_sheet(
        contact_sheet(tiles, heading=verdict),
        (),
        folder=sheet.parent,
        name=sheet.stem,
        format=sheet.suffix.removeprefix(".").replace("jpg", "jpeg") or "png",
        overwrite=True,
    )
    if not quiet:
        print(say("sheet", path=saved.path))
