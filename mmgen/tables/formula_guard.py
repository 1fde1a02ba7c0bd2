"""Cells that a spreadsheet would take for formulas, and the apostrophe that prevents it.

OWASP, "CSV injection": = + - @, tab and carriage return at the start of a cell
or of a line within it, also after blanks; the full-width signs are read as
formulas too. The guard can be taken off again without loss.
"""

from __future__ import annotations

import re

_BLANKS = r"[ \t\r\v\f\u00a0\u2000-\u200b\u3000\ufeff]*"
_SIGNS = r"=+\-@\t\r\uff1d\uff0b\uff0d\uff20"
_RISKY = re.compile(rf"(?:\A|(?<=[\n\r]))(?={_BLANKS}'*{_BLANKS}[{_SIGNS}])")
_GUARDED = re.compile(rf"(?:\A|(?<=[\n\r]))'(?={_BLANKS}'*{_BLANKS}[{_SIGNS}])")
_NUMBER = re.compile(r"[+-]?\d{1,15}(\.\d{1,15})?", re.ASCII)


def guarded(text: str) -> str:
    """`text` with an apostrophe before whatever would be run; plain numbers stay."""
    return text if _NUMBER.fullmatch(text) else _RISKY.sub("'", text)


def unguarded(text: str) -> str:
    """What `guarded` was given."""
    return _GUARDED.sub("", text) if "'" in text else text
