"""Text as its reader sees it: one spelling for characters that look or mean the same.

Shared by the prompt's journey (`mmgen.text.normalize`) and the policy, which
must read a prompt as the model does.
"""

from __future__ import annotations

import functools
import unicodedata
from typing import Protocol

_BLANK_LETTERS = frozenset("\u115f\u1160\u3164\uffa0")
"""Hangul fillers: letters by category, but nothing is drawn."""

_GONE = frozenset({"Cf", "Cs", "Co", "Cn", "Mn", "Me"})
"""Format marks (zero-width, bidi), surrogates, private, unassigned, combining marks."""

_MOST_PASSES = 8


class _Converter(Protocol):
    def convert(self, text: str) -> str: ...


@functools.cache
def _traditional_to_simplified() -> _Converter:
    import opencc

    converter: _Converter = opencc.OpenCC("t2s")
    return converter


def visible(text: str) -> str:
    """NFKC of `text`; control characters and line ends become spaces, invisible ones go."""
    kept = []
    for character in unicodedata.normalize("NFKC", text):
        category = unicodedata.category(character)
        if category[0] == "Z" or category == "Cc":
            kept.append(" ")
        elif category not in _GONE and character not in _BLANK_LETTERS:
            kept.append(character)
    return "".join(kept)


def plain(text: str) -> str:
    """`text` folded: NFKC, nothing invisible, simplified Chinese (OpenCC t2s), lower case.

    Idempotent: folded until nothing changes, since lower case or simplification
    can give characters that NFKC composes anew.
    """
    for _ in range(_MOST_PASSES):
        folded = _traditional_to_simplified().convert(visible(text).casefold())
        if folded == text:
            break
        text = folded
    return text
