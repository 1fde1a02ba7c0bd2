"""A folder or a table of products -> the pictures it names, with their words.

folder            every PNG, JPEG and WebP in it; where `metadata.jsonl` or
                  `metadata.csv` lies beside them (the image-folder convention of
                  `datasets`), captions and attributes come from there
CSV, XLSX, JSONL  one picture a line, named relative to the table's folder; every
                  other column becomes an attribute that can be filtered by
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmgen.catalogue.errors import NoPictureColumn, NoPictures
from mmgen.errors import FileUnreadable, MmgenError
from mmgen.tables.open import open_table
from mmgen.tables.row import BadRow, Row, Table, TableRowBad, text_of

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
_METADATA = ("metadata.jsonl", "metadata.csv")

PICTURE_COLUMNS = (
    *("file_name", "picture", "image", "path", "file", "photo"),
    *("图片", "图片路径", "图片文件", "主图", "文件", "文件名", "路径"),
)
_ITEM_COLUMNS = ("id", "item", "sku", "编号", "款号", "货号", "商品编号", "商品编码")
_CAPTION_COLUMNS = ("caption", "title", "text", "description", "标题", "描述", "商品名", "名称")
_LICENCE_COLUMNS = ("licence", "license", "许可", "许可证", "版权", "授权")

_ATTRIBUTE_ALIASES = {
    "category": ("类别", "品类", "分类", "类目"),
    "colors": ("颜色", "色彩", "color", "colour", "colours"),
    "colour_family": ("色系",),
    "patterns": ("图案", "花纹", "花型", "pattern"),
    "sleeve": ("袖长", "袖子", "袖型"),
    "neckline": ("领型", "领口", "领子"),
    "length": ("长度", "衣长", "裙长", "裤长"),
    "fabric": ("面料", "材质", "质地", "material"),
    "detail": ("细节",),
    "wearer": ("穿着者", "人群", "性别"),
    "background": ("背景",),
}
_ATTRIBUTE_OF = {alias: name for name, all_ in _ATTRIBUTE_ALIASES.items() for alias in all_}
_LISTS = {"colors", "patterns"}
_SEPARATORS = re.compile(r"[|、,，;；/]")
_UNKEPT = {"source_id", "source_label"}
"""Columns of our own metadata that say where a picture is from, not what it shows."""


def attribute_name(typed: str) -> str:
    """The name that an attribute has in a catalogue: 袖长 is `sleeve`, 品牌 stays."""
    name = unicodedata.normalize("NFKC", typed).strip()
    return _ATTRIBUTE_OF.get(name.lower(), _ATTRIBUTE_OF.get(name, name))


def attribute_word(name: str) -> str:
    """The Chinese word for an attribute, for people; others stay as they are."""
    return _ATTRIBUTE_ALIASES[name][0] if name in _ATTRIBUTE_ALIASES else name


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class SourceRow:
    """A picture that the source names; nothing of it has been opened yet."""

    key: str
    """Its place in the source."""
    item: str
    """The id it should have."""
    path: Path
    caption: str | None = None
    licence: str | None = None
    attributes: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)

    @property
    def facts(self) -> str:
        """Digest of the words, which may change while the picture stays."""
        words = [self.caption, self.licence, sorted(self.attributes.items())]
        text = json.dumps(words, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class BadSource:
    """A place of the source that names no usable picture."""

    place: str
    error: MmgenError


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """All that a folder or table names."""

    name: str
    """Its absolute path."""
    rows: list[SourceRow]
    """In order of keys for a folder, of lines for a table."""
    bad: list[BadSource]
    repeated: list[str]
    """Ids that stand more than once; the later ones have become `ID#2`, `ID#3`."""


def read_source(path: Path | str) -> Source:
    """The rows of a folder or table.

    Raises `NoPictures`, `NoPictureColumn`, `FileUnreadable` and what the tables
    raise. A line that cannot be used is in `bad`, and costs only itself.
    """
    path = Path(os.path.abspath(path))
    if not path.exists():
        raise FileUnreadable(path=path, reason=os.strerror(2))
    source = _read_folder(path) if path.is_dir() else _read_table(path)
    if not source.rows and not source.bad:
        raise NoPictures(path=path)
    return source


# --- folders ------------------------------------------------------------------------------


def _read_folder(folder: Path) -> Source:
    described: dict[Path, SourceRow] = {}
    bad: list[BadSource] = []
    repeated: list[str] = []
    table = next((folder / name for name in _METADATA if (folder / name).is_file()), None)
    if table:
        listed = _read_table(table)
        described = {row.path: row for row in listed.rows}
        bad, repeated = listed.bad, listed.repeated
    rows = []
    for path in _pictures(folder, bad):
        key = path.relative_to(folder).as_posix()
        row = described.pop(path, None)
        if row is None:
            rows.append(SourceRow(key=key, item=key, path=path))
        else:
            rows.append(dataclasses.replace(row, key=key))
    # What the metadata names and the folder lacks is read later, and refused there.
    rows += described.values()
    return Source(name=str(folder), rows=rows, bad=bad, repeated=repeated)


def _pictures(folder: Path, bad: list[BadSource]) -> Iterator[Path]:
    """Every picture file below, in order; hidden ones and links to folders are left out."""

    def unreadable(error: OSError) -> None:
        refusal = FileUnreadable(path=error.filename, reason=error.strerror or error)
        bad.append(BadSource(place=str(error.filename), error=refusal))

    found = []
    for here, folders, files in os.walk(folder, onerror=unreadable):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            if name.startswith(".") or not name.lower().endswith(SUFFIXES):
                continue
            if not _can_be_stored(name) or not _can_be_stored(here):
                shown = repr(os.path.join(here, name))
                refusal = FileUnreadable(path=shown, reason="an unusual name")
                bad.append(BadSource(place=shown, error=refusal))
                continue
            found.append(Path(here, name))
    yield from sorted(found)


def _can_be_stored(name: str) -> bool:
    """Whether a name of the file system is text; bytes that are none come as surrogates."""
    return not any(0xD800 <= ord(letter) <= 0xDFFF for letter in name)


# --- tables -------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True)
class _Columns:
    """Which column says what."""

    picture: str
    item: str | None
    caption: str | None
    licence: str | None

    @property
    def taken(self) -> set[str]:
        return {name for name in dataclasses.astuple(self) if name}


def _read_table(path: Path) -> Source:
    table = open_table(path)
    columns = _columns_of(path, table)
    rows: list[SourceRow] = []
    bad: list[BadSource] = []
    seen: dict[str, int] = {}
    repeated: list[str] = []
    for row in table.rows():
        if isinstance(row, BadRow):
            bad.append(_bad_row(path, row.line, row.column, row.reason))
            continue
        made = _row(path, columns, row)
        if isinstance(made, BadSource):
            bad.append(made)
            continue
        seen[made.item] = count = seen.get(made.item, 0) + 1
        if count > 1:
            repeated.append(made.item)
            name = f"{made.item}#{count}"
            made = dataclasses.replace(made, item=name, key=name)
        rows.append(made)
    return Source(name=str(path), rows=rows, bad=bad, repeated=list(dict.fromkeys(repeated)))


def _columns_of(path: Path, table: Table) -> _Columns:
    def first(candidates: Sequence[str]) -> str | None:
        lowered = {name.lower(): name for name in table.columns}
        return next((lowered[name] for name in candidates if name in lowered), None)

    picture = first(PICTURE_COLUMNS)
    if picture is None:
        got = ", ".join(table.columns[:20])
        raise NoPictureColumn(path=path, got=got, allowed=", ".join(PICTURE_COLUMNS))
    return _Columns(picture, first(_ITEM_COLUMNS), first(_CAPTION_COLUMNS), first(_LICENCE_COLUMNS))


def _row(path: Path, columns: _Columns, row: Row) -> SourceRow | BadSource:
    name = text_of(row.values.get(columns.picture)).strip()
    if not name:
        return _bad_row(path, row.line, columns.picture, "it names no picture")
    item = text_of(row.values.get(columns.item)).strip() if columns.item else ""
    return SourceRow(
        key=item or name,
        item=item or name,
        path=Path(os.path.normpath(path.parent / name.replace("\\", "/"))),
        caption=_words(row, columns.caption),
        licence=_words(row, columns.licence),
        attributes=_attributes(row.values, columns.taken | _UNKEPT),
    )


def _bad_row(path: Path, line: int, column: str, reason: Any) -> BadSource:
    error = TableRowBad(path=path, line=line, column=column, reason=reason)
    return BadSource(place=f"{path}:{line}", error=error)


def _words(row: Row, column: str | None) -> str | None:
    return text_of(row.values.get(column)).strip() or None if column else None


def _attributes(values: Mapping[str, Any], left_out: set[str]) -> dict[str, tuple[str, ...]]:
    """Every other column with something in it, under the name that filters use."""
    found: dict[str, tuple[str, ...]] = {}
    for column, value in values.items():
        if column in left_out:
            continue
        name = attribute_name(column)
        if isinstance(value, list):
            parts = value
        else:
            text = text_of(value)
            parts = _SEPARATORS.split(text) if name in _LISTS else [text]
        cleaned = [unicodedata.normalize("NFKC", part).strip() for part in parts]
        if kept := tuple(dict.fromkeys(part for part in cleaned if part)):
            found[name] = kept
    return found
