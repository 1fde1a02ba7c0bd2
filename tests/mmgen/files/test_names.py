"""Names from users: nothing escapes the folder, no two meet."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmgen.files.names import LONGEST_NAME_BYTES, safe_name
from mmgen.files.write import SavedPicture

HOSTILE = [
    "../../etc/passwd", "/etc/passwd", "..", ".", "", " ", "a/b", "a\\b", "a_b", "C:\\x", "C:x",
    "\\\\host\\share", "nul", "NUL", "con.txt", "CON", "aux", "com1", "LPT9", "COM¹", "a\0b", "ab",
    "a\nb", "a\tb", "a\r\nb", "\u202egnp.exe", "gnp.exe", "a\u200bb", "a\ufeffb", "a\u2066b", "a.",
    "a", "a ", " a", "a..", ".hidden", "hidden", ".part-1234", "-rf", "--help", "~", "~root", "'",
    '"', "a'b", "$(id)", "`id`", "a;b", "a|b", "a*b", "a?b", "a<b>", "%2e%2e%2f", "é", "e\u0301",
    "Å", "\u212b", "A", "蓝白格子", "蓝" * 66, "蓝" * 67, "x" * 200, "x" * 201, "x" * 5000,
    "👗", "👨‍👩‍👧", "é" * 100, "é" * 101, "\ud800", "a_b~0123abcd", "sheet", "\u3000", "\u00a0",
    "　a", "a:b", "con", "PRN.png", "x.png", "x.png.json", "\x7f", "\x1b[31m", "https://a/b?c=d",
    "#", "&",
]  # fmt: skip


def is_safe(name: str) -> bool:
    return (
        0 < len(name.encode()) <= LONGEST_NAME_BYTES
        and not set(name) & set('/\\:*?"<>|')
        and name == unicodedata.normalize("NFC", name)
        and all(unicodedata.category(letter)[0] != "C" for letter in name)
        and name.strip(" .") == name
        and not name.startswith(("-", ".", "~"))
        and name.casefold().partition(".")[0] not in ("con", "prn", "aux", "nul", "com1", "lpt9")
    )


def test_hostile_names_become_safe_and_distinct() -> None:
    names = [safe_name(text) for text in HOSTILE]
    assert [text for text, name in zip(HOSTILE, names, strict=True) if not is_safe(name)] == []
    assert len(set(names)) == len(set(HOSTILE))


@pytest.mark.parametrize(
    "name", ["SKU-001", "藏青色羊毛大衣-7", "a b", "x.png", "衬衫（男）", "A#2"]
)
def test_a_harmless_name_stays_as_it_is(name: str) -> None:
    assert safe_name(name) == name


@settings(deadline=None)
@given(st.text(max_size=300))
def test_any_text_gives_a_safe_name(text: str) -> None:
    assert is_safe(safe_name(text))


@settings(deadline=None)
@given(st.text(max_size=12), st.text(max_size=12))
def test_two_texts_give_two_names(one: str, other: str) -> None:
    assert (safe_name(one) == safe_name(other)) == (one == other)


def test_every_hostile_name_is_written_inside_the_folder(
    tmp_path: Path, save: Callable[..., SavedPicture]
) -> None:
    before = set(tmp_path.rglob("*"))
    paths = {save(name=name).path for name in HOSTILE}
    assert len(paths) == len(HOSTILE)
    assert {path.parent for path in paths} == {tmp_path / "out"}
    assert len(set(tmp_path.rglob("*")) - before) == 2 * len(HOSTILE) + 1
