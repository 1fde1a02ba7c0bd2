"""`mmgen recolour` and `mmgen colourways`: a garment in other colours, each measured."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmgen.colour.card import read_card
from mmgen.colour.names import Colour, parse_colour
from mmgen.errors import UnknownChoice
from mmgen.files.sheet import Tile, contact_sheet
from mmgen.files.write import save_sheet
from mmgen.settings import load_settings
from ui.edit_results import Output
from ui.words import duration, say

if TYPE_CHECKING:
    from pipelines.recolour import RecolourOutput, RecolourPipeline


def recolour(
    pictures: Sequence[Path], to: str, card: Path | None, mask: Path | None, output: Output
) -> None:
    """Each picture in one colour: a value, a name, or the row `to` of a card."""
    colour = find_colour(to, card)
    output.check()
    pipe = load_pipeline()
    for path in pictures:
        made = pipe(path, colour, mask=mask)
        saved = output.save(made.picture, f"{path.stem}-{colour.name}")
        output.tell(saved, facts_of(made), words_of(made))


def colourways(picture: Path, card: Path, mask: Path | None, output: Output) -> None:
    """One picture in all colours of a card, and a sheet of them."""
    began = time.monotonic()
    colours = read_card(card)
    output.check()
    pipe = load_pipeline()
    tiles, ids = [], []
    for made in pipe.colourways(picture, colours, mask=mask):
        saved = output.save(made.picture, f"{picture.stem}-{made.colour.name}")
        output.tell(saved, facts_of(made), words_of(made))
        caption = f"{made.colour.name} {made.colour.hex}"
        note = f"{made.reached}  dE {made.delta_e:.1f}"
        tiles.append(Tile(picture=made.picture.image, caption=caption, note=note))
        ids.append(saved.label.produce_id if saved.label else "")
    sheet = save_sheet(
        contact_sheet(tiles, heading=picture.stem),
        ids,
        folder=output.folder,
        name=f"{picture.stem}-colourways",
        producer=load_settings().label_producer,
        overwrite=output.overwrite,
    )
    if not output.as_json:
        print(say("sheet", path=sheet.path))
        elapsed = duration(time.monotonic() - began)
        print(say("done", count=len(tiles), folder=output.folder.absolute(), elapsed=elapsed))


def find_colour(to: str, card: Path | None) -> Colour:
    """The colour `to`, or the row of that name of a card; raises `UnknownChoice`."""
    if card is None:
        return parse_colour(to)
    rows = {colour.name: colour for colour in read_card(card)}
    if to not in rows:
        raise UnknownChoice(name="to", got=repr(to)[:60], allowed=", ".join(rows))
    return rows[to]


def load_pipeline() -> RecolourPipeline:
    """The garment mask and what recolours; imports torch."""
    from pipelines.recolour import RecolourPipeline

    return RecolourPipeline.from_pretrained()


def words_of(made: RecolourOutput) -> str:
    """What was asked for, what came of it, how far apart they are."""
    said = say(
        "recolour.reached",
        name=made.colour.name,
        wanted=made.colour.hex,
        reached=made.reached,
        delta_e=made.delta_e,
    )
    return said if made.colour.is_in_gamut else f"{said} {say('recolour.out_of_gamut')}"


def facts_of(made: RecolourOutput) -> dict[str, Any]:
    """The same for programs."""
    assert made.picture.checks is not None
    return {"colour": made.colour.name, **made.picture.checks["colour"]}
