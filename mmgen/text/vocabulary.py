"""The words for clothes: attributes, their synonyms, colour families, translations.

One file, `assets/vocabulary.json`, read once. English keys and Chinese values
are those of `assets/captions/metadata.jsonl`.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from mmgen.assets import asset_path
from mmgen.errors import UnknownChoice

ATTRIBUTES = (
    "category",
    "colors",
    "patterns",
    "sleeve",
    "neckline",
    "length",
    "fabric",
    "wearer",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Words:
    """How people name one value of an attribute."""

    same: tuple[str, ...]
    """Words that mean the value itself."""
    kinds: tuple[str, ...]
    """Words for one kind of it: 羽绒服 names a 棉服, but not every 棉服 is one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Vocabulary:
    """The whole table; words are spelt as `normalize` gives them."""

    attributes: Mapping[str, Mapping[str, Words]]
    """Attribute -> value -> its words."""
    general: Mapping[str, tuple[str, ...]]
    """Word that leaves the category open (裙子) -> categories, likeliest first."""
    refined: tuple[tuple[str, str, str, str], ...]
    """(category, attribute, value, category that both together mean)."""
    not_attributes: frozenset[str]
    """Words that contain a listed word but mean something else (金属, 青年)."""
    family_of: Mapping[str, str]
    """One of 29 colours -> one of 11 families."""
    lab_of: Mapping[str, tuple[float, float, float]]
    """Colour -> CIE Lab under D65, as photographs of plain garments show it."""
    translations: Mapping[str, str]
    """English (or misspelt) word -> Chinese."""
    emoji: Mapping[str, str]
    """One character -> Chinese word."""


@functools.cache
def load_vocabulary() -> Vocabulary:
    """The vocabulary that ships with mmgen."""
    data = json.loads(asset_path("vocabulary.json").read_text(encoding="utf-8"))
    families = data["colour_families"].items()
    return Vocabulary(
        attributes=MappingProxyType(
            {name: _words(data["attributes"][name]) for name in ATTRIBUTES}
        ),
        general=MappingProxyType({word: tuple(of) for word, of in data["general"].items()}),
        refined=tuple((a, b, c, d) for a, b, c, d in data["refined"]),
        not_attributes=frozenset(data["not_attributes"]),
        family_of=MappingProxyType({name: family for family, of in families for name in of}),
        lab_of=MappingProxyType({name: tuple(lab) for name, lab in data["colour_lab"].items()}),
        translations=MappingProxyType(data["translations"]),
        emoji=MappingProxyType(data["emoji"]),
    )


def _words(values: Mapping[str, Any]) -> Mapping[str, Words]:
    return MappingProxyType(
        {
            value: Words(same=tuple(words["same"]), kinds=tuple(words["kinds"]))
            for value, words in values.items()
        }
    )


def colour_families() -> tuple[str, ...]:
    """The 11 families: 黑 白 灰 红 粉 橙 黄 绿 蓝 紫 棕."""
    return tuple(dict.fromkeys(load_vocabulary().family_of.values()))


def colour_family(name: str) -> str:
    """The family of one of the 29 colours, with or without 色; raises `UnknownChoice`."""
    family_of = load_vocabulary().family_of
    for candidate in (name, name.removesuffix("色")):
        if candidate in family_of:
            return family_of[candidate]
    raise UnknownChoice(name="colour", got=name, allowed=" ".join(family_of))
