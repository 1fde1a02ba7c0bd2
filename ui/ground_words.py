"""What is said of the ground that a garment was put on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ui.words import say


def words_of(found: Mapping[str, Any] | None) -> str:
    """Whether the rim is pure, in words."""
    if found is None:
        return ""
    if found["colour"] is None:
        return say("background.kept")
    key = "background.pure" if found["pure"] else "background.impure"
    return say(key, colour=found["colour"], share=100 * found["border_share"])
