"""`mmgen recolour` and `mmgen colourways`: a garment in other colours, each measured."""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmgen.colour.card import read_card
from mmgen.colour.names import Colour, parse_colour
from mmgen.errors import UnknownChoice
from mmgen.files.names import picture_name
from mmgen.files.sheet import Tile, contact_sheet
from mmgen.files.write import save_sheet
from mmgen.seeds import seeds_for
from mmgen.settings import load_settings
from mmgen.values import check_prompt
from ui.edit_results import Output
from ui.interrupt import StopOnRequest
from ui.progress import Drawing
from ui.words import duration, say

if TYPE_CHECKING:
    from pipelines.recolour import RecolourOutput, RecolourPipeline

_PICTURE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".avif"})


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


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Design:
    """What is to be shown in several colours: a picture, or words to draw it from."""

    typed: str
    seed: int | None = None
    model: str | None = None
    device: str | None = None

    @property
    def is_picture(self) -> bool:
        """Whether a file is meant: one that is there, or what is named like one."""
        path = Path(self.typed)
        return path.suffix.lower() in _PICTURE_SUFFIXES or _is_file(path)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a prompt may be longer than a name may be
        return False


def colourways(design: Design, card: Path, mask: Path | None, output: Output) -> None:
    """One design in all colours of a card, and a sheet of them."""
    began = time.monotonic()
    colours = read_card(card)
    output.check()
    picture = Path(design.typed) if design.is_picture else _drawn(design, output)
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


def _drawn(design: Design, output: Output) -> Path:
    """The design drawn from its words once, and written; its colours start from that file."""
    from ui import generate

    check_prompt(design.typed)
    settings = load_settings({"model": design.model, "device": design.device})
    (seed,) = seeds_for(design.seed, 1)
    print(say("loading"), file=sys.stderr, flush=True)
    pipe = generate.load_pipeline(settings)
    with StopOnRequest() as stop, Drawing(1, stop) as drawing:
        (made,) = pipe(design.typed, seed=seed, on_step=drawing.on_step).pictures
        drawing.picture_done()
    saved = output.save(made, picture_name(design.typed, seed))
    output.tell(saved, {"seed": seed})
    return saved.path


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
