"""What people type as text -> values; raises in our own tree with what was typed."""

from __future__ import annotations

import re

from mmgen.errors import WrongType


def whole_number(name: str, text: str) -> int:
    """`text` as a whole number; raises `WrongType`."""
    if not re.fullmatch(r"[+-]?\d{1,30}", text.strip(), re.ASCII):
        raise WrongType(name=name, got=repr(text)[:60], wanted="a whole number")
    return int(text)


def number(name: str, text: str) -> float:
    """`text` as a number, which may be nan or inf: the request refuses those."""
    try:
        return float(text)
    except ValueError:
        raise WrongType(name=name, got=repr(text)[:60], wanted="a number") from None


def size(text: str) -> tuple[int, int]:
    """`192x256`, width first, as (height, width) in pixels."""
    match = re.fullmatch(r"\s*(-?\d{1,9})\s*[xX*×]\s*(-?\d{1,9})\s*", text, re.ASCII)
    if not match:
        raise WrongType(name="size", got=repr(text)[:60], wanted="WIDTHxHEIGHT such as 192x256")
    return int(match[2]), int(match[1])
