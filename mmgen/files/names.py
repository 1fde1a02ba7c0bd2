"""A name that a user gave -> a file name that is safe on any disk."""

from __future__ import annotations

import hashlib
import re
import unicodedata

LONGEST_NAME_BYTES = 200
"""Leaves room for `-2`, `.png.json` within the 255 bytes that disks allow."""

_SEPARATORS = re.compile(r'[/\\:*?"<>|]')
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?", re.IGNORECASE)
_OUR_SUFFIX = re.compile(r"~[0-9a-f]{8}$")
_INVISIBLE = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{4,99}")
"""Most article numbers: fine without a closer look, since no reserved name is so long."""
_EMPTY = "picture"
_WORD_CHARACTERS = 20


def picture_name(prompt: str, seed: int) -> str:
    """The beginning of the prompt and the seed, without extension: 藏青色羊毛大衣-7."""
    words = re.sub(r"[\W_]+", "-", prompt).strip("-")[:_WORD_CHARACTERS].strip("-")
    return f"{words}-{seed}" if words else str(seed)


def safe_name(text: str) -> str:
    """`text` as a file name without folder or extension, at most 200 bytes of UTF-8.

    A name that is fine stays as it is. Any other loses separators, control,
    direction and zero-width characters, leading and trailing dots and blanks and
    gains `~` + 8 hex of the sha256 of `text`, so that two names never meet.
    """
    if _PLAIN.fullmatch(text):
        return text
    name = "".join(
        character
        for character in unicodedata.normalize("NFC", text)
        if unicodedata.category(character) not in _INVISIBLE
    )
    name = _SEPARATORS.sub("_", name).strip(" .\u3000\u00a0") or _EMPTY
    if _RESERVED.fullmatch(name) or name.startswith(("-", "~")):
        name = "_" + name
    if name == text and len(name.encode()) <= LONGEST_NAME_BYTES and not _OUR_SUFFIX.search(name):
        return name
    suffix = "~" + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    room = LONGEST_NAME_BYTES - len(suffix)
    return name.encode()[:room].decode("utf-8", "ignore").rstrip(" .") + suffix
