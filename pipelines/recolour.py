"""A garment in another colour, or in all colours of a card; what was reached is measured.

pipe = RecolourPipeline.from_pretrained()
out = pipe("shirt.png", "#8B1A2B")
out.delta_e, out.picture.save("out")
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmgen.colour.lab import hex_of, lab_of
from mmgen.colour.names import Colour, Lab, parse_colour
from mmgen.colour.recolour import Main, Recoloured, find_main, recolour
from pipelines.edited import Source, edited, read_source, tool
from pipelines.garment_mask import GarmentMask, select
from pipelines.made_picture import MadePicture

REVISION = 2
"""Raised whenever the same picture and colour would give other pixels."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class RecolourOutput:
    """One picture in a new colour."""

    picture: MadePicture
    colour: Colour
    """What was asked for."""
    before: Lab
    after: Lab
    """The garment's main colour in CIELAB, measured before and after."""
    delta_e: float
    """CIEDE2000 between `colour` and `after`."""

    @property
    def reached(self) -> str:
        """`after` as `#RRGGBB`."""
        return hex_of(self.after)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Prepared:
    """A picture whose garment and main colour are known; each colour then costs little."""

    source: Source
    lab: NDArray[np.float32]
    main: Main
    selection: dict[str, object]
    mask_sha256: str | None
    finder_sha256: str


class RecolourPipeline:
    """Finds the garment and its main colour, and moves that colour."""

    def __init__(self, finder: GarmentMask) -> None:
        self.finder = finder

    @classmethod
    def from_pretrained(cls, folder: Path | str | None = None) -> RecolourPipeline:
        """With the shipped garment mask, or that of a folder; raises `ModelError` leaves."""
        return cls(GarmentMask.from_pretrained(folder))

    def __call__(
        self, picture: Path | str | Source, to: str | Colour, *, mask: Path | None = None
    ) -> RecolourOutput:
        """`picture`: a file. `to`: #RRGGBB, a Chinese name, lab(L, a, b) or a `Colour`.

        `mask`: a picture of the same size, white where the garment is, instead of
        looking for it. Raises `ColourUnknown`, `NothingToRecolour`, leaves of
        `mmgen.mask.choose`, `PictureError`.
        """
        colour = parse_colour(to) if isinstance(to, str) else to
        return self.dye(self.prepare(picture, mask=mask), colour)

    def colourways(
        self,
        picture: Path | str | Source,
        colours: Sequence[str | Colour],
        *,
        mask: Path | None = None,
    ) -> Iterator[RecolourOutput]:
        """The picture in each colour, one after another; all else stays as it is."""
        wanted = [parse_colour(each) if isinstance(each, str) else each for each in colours]
        prepared = self.prepare(picture, mask=mask)
        for colour in wanted:
            yield self.dye(prepared, colour)

    def prepare(self, picture: Path | str | Source, *, mask: Path | None = None) -> Prepared:
        """Look at a picture once; raises as `__call__`."""
        source = picture if isinstance(picture, Source) else read_source(picture)
        garment, selection, mask_sha256 = select(source, self.finder, mask=mask)
        lab = lab_of(source.pixels)
        return Prepared(
            source=source,
            lab=lab,
            main=find_main(lab, garment, source.path),
            selection=selection,
            mask_sha256=mask_sha256,
            finder_sha256=self.finder.sha256,
        )

    def dye(self, prepared: Prepared, colour: Colour) -> RecolourOutput:
        """The prepared picture in one colour."""
        made = recolour(prepared.source.pixels, prepared.main, colour.lab, prepared.lab)
        used = () if prepared.mask_sha256 else (prepared.finder_sha256,)
        picture = edited(
            prepared.source,
            "recolour",
            made.pixels,
            model=tool("recolour", REVISION, *used),
            parameters={"to": colour.name, "lab": list(colour.lab), **prepared.selection},
            mask_sha256=prepared.mask_sha256,
            checks={"colour": checks_of(colour, made)},
        )
        return RecolourOutput(
            picture=picture,
            colour=colour,
            before=made.before,
            after=made.after,
            delta_e=made.delta_e,
        )


def checks_of(colour: Colour, made: Recoloured) -> dict[str, Any]:
    """What the record says of a colour: asked for, measured, the difference."""
    return {
        "wanted": _rounded(colour.lab),
        "in_gamut": colour.is_in_gamut,
        "before": _rounded(made.before),
        "after": _rounded(made.after),
        "after_hex": hex_of(made.after),
        "delta_e_2000": round(made.delta_e, 2),
    }


def _rounded(lab: Lab) -> list[float]:
    return [round(value, 2) for value in lab]


@functools.cache
def shared_pipeline() -> RecolourPipeline:
    """One for the whole process, loaded on first use."""
    return RecolourPipeline.from_pretrained()
