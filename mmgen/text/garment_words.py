"""A prompt -> the attributes it names: which garment, colours, pattern, sleeve, ..."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from types import MappingProxyType

from mmgen.text.normalize import normalize
from mmgen.text.vocabulary import load_vocabulary

_GROUND = (
    "背景墙|背景|墙面|墙|地板|木板|床单|床罩|地毯|毛毯|毯子|瓷砖|地砖|地面|桌面|台面|沙发|布面|布"
)
_LYING = re.compile(
    r"(?:平铺|平放|斜放|摆放|悬挂|挂|铺|放|摆|搭|晾|夹|摊|置|靠|立)(?:放|挂|拍)?(?:在|于|着)"
    r"[^,的]*(?:色的[^,的]*)?(?:[上前下里中]的|(?=,|$)|的)"
)


@functools.lru_cache(maxsize=8_192)
def find_attributes(text: str) -> Mapping[str, tuple[str, ...]]:
    """The values that `text` names, in the order they stand; longest words first.

    Keys and values as in `metadata.jsonl`; an attribute that is not named is
    absent. Several categories mean "one of these", likeliest first (裙子: 连衣裙
    or 半身裙). What the garment lies on or hangs from is left out.
    """
    found: dict[str, dict[str, None]] = {}
    general: dict[str, None] = {}
    for word in words_in(text):
        for name, value in _meanings().get(word, ()):
            found.setdefault(name, {})[value] = None
        for value in load_vocabulary().general.get(word, ()):
            general[value] = None
    for category, name, value, really in load_vocabulary().refined:
        categories = found.get("category", {})
        if category in categories and value in found.get(name, {}):
            renamed = [really if one == category else one for one in categories]
            found["category"] = dict.fromkeys(renamed)
    if general:
        found.setdefault("category", general)
    return MappingProxyType({name: tuple(values) for name, values in found.items()})


@functools.lru_cache(maxsize=8_192)
def names_a_garment(text: str) -> bool:
    """Whether `text` names something to wear, if only 衣服 or 裙."""
    return any(map(_names_garment, words_in(text)))


_OF_CLOTHES_ALONE = frozenset({"patterns", "sleeve", "neckline", "length", "fabric"})


@functools.lru_cache(maxsize=8_192)
def speaks_of_clothes(text: str) -> bool:
    """Whether `text` names a garment, or what only a garment has: 一字领露肩, 雪纺碎花.

    Decided by words alone: to towers that have seen nothing but clothes, a
    sunrise is as near to some photograph as 一字领 is.
    """
    return names_a_garment(text) or not _OF_CLOTHES_ALONE.isdisjoint(find_attributes(text))


def words_in(text: str) -> list[str]:
    """The words of the vocabulary in `text`, in their order; not those of the ground."""
    words: list[str] = []
    for clause in _LYING.sub(",", normalize(text)).split(","):
        in_clause = _pattern().findall(_on_grounds().sub(",", clause))
        if not clause.endswith("背景") or any(map(_names_garment, in_clause)):
            words += in_clause
    return words


def _names_garment(word: str) -> bool:
    return word in load_vocabulary().general or any(
        name == "category" for name, _ in _meanings().get(word, ())
    )


@functools.cache
def _meanings() -> Mapping[str, tuple[tuple[str, str], ...]]:
    """Word -> the (attribute, value) pairs it states."""
    meanings: dict[str, list[tuple[str, str]]] = {}
    for name, values in load_vocabulary().attributes.items():
        for value, words in values.items():
            for word in (*words.same, *words.kinds):
                meanings.setdefault(word, []).append((name, value))
                if name == "colors" and not word.endswith("色"):
                    meanings.setdefault(f"{word}色", []).append((name, value))
    return MappingProxyType({word: tuple(pairs) for word, pairs in meanings.items()})


@functools.cache
def _pattern() -> re.Pattern[str]:
    """One pass over all words, longest first, so that 牛仔裤 is not read as 裤."""
    vocabulary = load_vocabulary()
    words = {*_meanings(), *vocabulary.general, *vocabulary.not_attributes}
    ordered = sorted(words, key=lambda word: (-len(word), word))
    return re.compile("|".join(map(re.escape, ordered)))


@functools.cache
def _on_grounds() -> re.Pattern[str]:
    """A ground with its colour: 白墙, 红色布背景, 深棕木地板."""
    colours = load_vocabulary().attributes["colors"].values()
    names = sorted((w for words in colours for w in (*words.same, *words.kinds)), key=len)
    shades = "|".join(map(re.escape, reversed(names)))
    kinds = "花纹|碎花|格子|条纹|绗缝|毛绒|长毛|木纹|木|石|砖|瓷|皮"
    return re.compile(rf"(?:[浅深]色|(?:{shades})色?)?的?(?:{kinds})?(?:{_GROUND})+")
