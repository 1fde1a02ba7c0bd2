"""What people write for a colour -> CIELAB: #8B1A2B, 酒红, lab(30, 45, 18), rgb(139, 26, 43)."""

from __future__ import annotations

import dataclasses
import difflib
import functools
import json
import re
import unicodedata

import numpy as np

from mmgen.assets import asset_path
from mmgen.colour.lab import hex_of, is_in_gamut, lab_of
from mmgen.errors import RequestError

Lab = tuple[float, float, float]

_NUMBER = r"\s*(-?\d{1,4}(?:\.\d{1,6})?)\s*"
_LAB = re.compile(rf"lab\({_NUMBER},{_NUMBER},{_NUMBER}\)", re.IGNORECASE)
_RGB = re.compile(rf"rgb\({_NUMBER},{_NUMBER},{_NUMBER}\)", re.IGNORECASE)
_HEX = re.compile(r"#?([0-9a-fA-F]{6}|[0-9a-fA-F]{3})")
IN_TEXT = re.compile(r"#[0-9a-fA-F]{6}(?![0-9a-fA-F])")
"""An exact colour within a prompt."""


class ColourUnknown(RequestError):
    code = "colour.unknown"
    template = (
        "{got} is no colour; write #RRGGBB, lab(L, a, b), rgb(R, G, B) or a name such as {near}"
    )


class ColourOutOfRange(RequestError):
    code = "colour.out_of_range"
    template = "{got} is no colour: L is 0 to 100, a and b are -128 to 127, R, G and B 0 to 255"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Colour:
    """One colour as somebody wrote it."""

    name: str
    """As written: a name, or the value itself."""
    lab: Lab
    """CIELAB under D65."""

    @property
    def hex(self) -> str:
        """The nearest `#RRGGBB`."""
        return hex_of(self.lab)

    @property
    def is_in_gamut(self) -> bool:
        """Whether sRGB, and so a screen, shows it as it is."""
        return bool(is_in_gamut(self.lab))


def parse_colour(text: str, name: str | None = None) -> Colour:
    """The colour that `text` names; `name` is what to call it instead.

    Raises `ColourUnknown`, `ColourOutOfRange`.
    """
    clean = unicodedata.normalize("NFKC", text).strip()
    called = name or clean
    if match := _LAB.fullmatch(clean):
        lightness, a, b = map(float, match.groups())
        if not (0 <= lightness <= 100 and abs(a) <= 128 and abs(b) <= 128):
            raise ColourOutOfRange(got=clean)
        return Colour(name=called, lab=(lightness, a, b))
    if match := _RGB.fullmatch(clean):
        values = [float(value) for value in match.groups()]
        if not all(0 <= value <= 255 for value in values):
            raise ColourOutOfRange(got=clean)
        return Colour(name=called, lab=_lab_of_rgb([round(value) for value in values]))
    if clean.startswith("#") or any(letter.isdigit() for letter in clean):
        if match := _HEX.fullmatch(clean):
            digits = match[1] if len(match[1]) == 6 else "".join(d * 2 for d in match[1])
            return Colour(name=called, lab=_lab_of_rgb(list(bytes.fromhex(digits))))
        raise ColourUnknown(got=repr(text)[:60], near="酒红")
    named = colour_names()
    for candidate in (clean, clean.removesuffix("色"), clean + "色"):
        if candidate in named:
            return Colour(name=called, lab=named[candidate])
    near = difflib.get_close_matches(clean.removesuffix("色"), named, 3, 0.4) or ["酒红"]
    raise ColourUnknown(got=repr(text)[:60], near=" ".join(near))


@functools.cache
def colour_names() -> dict[str, Lab]:
    """Chinese (and English) names -> CIELAB, from `assets/colour/names.json`."""
    data = json.loads(asset_path("colour/names.json").read_text(encoding="utf-8"))
    named = {}
    for value, names in data["names"].items():
        lab = _lab_of_rgb(list(bytes.fromhex(value.removeprefix("#"))))
        named.update(dict.fromkeys(names, lab))
    return named


def _lab_of_rgb(rgb: list[int]) -> Lab:
    lightness, a, b = lab_of(np.array([rgb], np.uint8))[0].tolist()
    return (round(lightness, 3), round(a, 3), round(b, 3))
