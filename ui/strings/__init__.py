"""Every word that the interface says, in two languages.

Each part of the product has a pair of files here, `<part>_zh.py` and
`<part>_en.py`: the Chinese one may hold ERRORS, WARNINGS, NAMES, PHRASES,
PATTERNS and INTERFACE, the English one INTERFACE. This file joins them.
Tests hold them against each other and against the errors of all layers.
"""

from __future__ import annotations

from types import ModuleType

from ui.strings import (
    batch_en,
    batch_zh,
    catalogue_en,
    catalogue_zh,
    core_en,
    core_zh,
    edit_en,
    edit_zh,
    evaluate_en,
    evaluate_zh,
    jobs_en,
    jobs_zh,
    models_en,
    models_zh,
    tag_en,
    tag_zh,
)

_CHINESE: tuple[ModuleType, ...] = (
    batch_zh,
    core_zh,
    catalogue_zh,
    edit_zh,
    models_zh,
    jobs_zh,
    evaluate_zh,
    tag_zh,
)
_ENGLISH: tuple[ModuleType, ...] = (
    batch_en,
    core_en,
    catalogue_en,
    edit_en,
    models_en,
    jobs_en,
    evaluate_en,
    tag_en,
)


def _joined(parts: tuple[ModuleType, ...], table: str) -> dict[str, str]:
    joined: dict[str, str] = {}
    for part in parts:
        entries: dict[str, str] = getattr(part, table, {})
        if twice := joined.keys() & entries.keys():
            raise ValueError(f"{part.__name__} says again what another part says: {sorted(twice)}")
        joined.update(entries)
    return joined


ERRORS = _joined(_CHINESE, "ERRORS")
"""Code of an error -> Chinese sentence with the placeholders of its English template."""
WARNINGS = _joined(_CHINESE, "WARNINGS")
NAMES = _joined(_CHINESE, "NAMES")
PHRASES = _joined(_CHINESE, "PHRASES")
"""English phrases that errors carry -> Chinese."""
PATTERNS = _joined(_CHINESE, "PATTERNS")
INTERFACE_ZH = _joined(_CHINESE, "INTERFACE")
INTERFACE_EN = _joined(_ENGLISH, "INTERFACE")
