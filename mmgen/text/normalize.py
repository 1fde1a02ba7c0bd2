"""A prompt as people type it -> the Chinese that captions are written in.

The encoder, the attribute reader and the training prompts all read the result;
the words it replaces stand in the vocabulary.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Mapping

from mmgen.characters import plain
from mmgen.text.vocabulary import load_vocabulary

_MOST_PASSES = 8
_HAN = r"\u2e80-\u303f\u3400-\u9fff\U00020000-\U0003ffff"
_QUOTES = re.compile(r"[\"“”„‟«»「」『』《》〈〉`*_^~#]")
_APOSTROPHE = re.compile(r"[\u2018\u2019\u201b\u2032]")
_DASH = re.compile(r"[\u2010-\u2015\u2212]+")
_STOPS = re.compile(r"[。、;:!?…|/\\+&()\[\]{}<>【】〖〗·•,]+|(?<!\d)\.|\.(?!\d)")
_SPACE_BY_HAN = re.compile(rf"(?<=[{_HAN},])\s+|\s+(?=[{_HAN},])")
_COMMAS = re.compile(r"\s*,[\s,]*")
_ARTICLE = re.compile(r"(?<![a-z0-9'-])(?:an?|the) (?=[a-z])")


@functools.lru_cache(maxsize=8_192)
def normalize(prompt: str) -> str:
    """`prompt` as captions are spelt; "" where nothing readable is left.

    NFKC, traditional to simplified, lower case; without emoji and invisible
    characters (a few clothes and colours among emoji become words); English
    colour and garment words in Chinese; every stop an ASCII comma, no space
    beside a Chinese character. Synonyms stay, since captions use them.
    `normalize(normalize(x)) == normalize(x)`.
    """
    for _ in range(_MOST_PASSES):
        once = _normalize_once(prompt)
        if once == prompt:
            break
        prompt = once
    return prompt


def _normalize_once(prompt: str) -> str:
    vocabulary = load_vocabulary()
    text = "".join(vocabulary.emoji.get(character, character) for character in prompt)
    text = plain(text)
    text = "".join(c for c in text if unicodedata.category(c) not in ("So", "Sk"))
    text = _APOSTROPHE.sub("'", _QUOTES.sub(" ", text))
    text = _STOPS.sub(",", _DASH.sub("-", text))
    text = _ARTICLE.sub("", " ".join(text.split()))
    text = _translation_pattern().sub(_translate, text)
    text = _SPACE_BY_HAN.sub("", " ".join(text.split()))
    return _COMMAS.sub(",", text).strip(" ,")


def _translate(match: re.Match[str]) -> str:
    words = load_vocabulary().translations
    word = match.group(0)
    for candidate in (word, word.removesuffix("s"), word.removesuffix("es")):
        if candidate in words:
            return words[candidate]
    return word


@functools.cache
def _translation_pattern() -> re.Pattern[str]:
    """Every word of the table, longest first, where it stands as a whole word."""
    words: Mapping[str, str] = load_vocabulary().translations
    ordered = sorted(words, key=lambda word: (-len(word), word))
    return re.compile("|".join(_whole_word(word, words[word]) for word in ordered))


def _whole_word(word: str, translation: str) -> str:
    pattern = re.escape(word)
    if word[0].isascii():
        pattern = rf"(?<![a-z0-9]){pattern}"
    if word[-1].isascii():
        pattern = rf"{pattern}(?:s|es)?(?![a-z0-9])"
    if translation.startswith(word):
        # "polo" -> "polo衫" must leave "polo衫" and "polo领" as they are.
        pattern = rf"{pattern}(?![{_HAN}])"
    return pattern
