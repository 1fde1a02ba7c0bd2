"""Tables as Excel, WPS, programs and accidents leave them: each has one foretold outcome."""

from __future__ import annotations

import io
import json
import zipfile

import pytest

from mmgen.errors import FileUnreadable, UnknownChoice
from mmgen.tables.open import open_table
from mmgen.tables.row import BadRow, TableHeaderBad

HEAD = "sku,prompt\n"
GOOD = "A1,红裙\n"
XLSX_PARTS = {
    "[Content_Types].xml": (
        '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
        '<Default Extension="xml" ContentType="application/xml"/>'
        '<Override PartName="/xl/workbook.xml" ContentType="application/vnd.openxmlformats-'
        'officedocument.spreadsheetml.sheet.main+xml"/></Types>'
    ),
    "_rels/.rels": (
        '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
        '<Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/'
        'relationships/officeDocument" Target="xl/workbook.xml"/></Relationships>'
    ),
    "xl/workbook.xml": (
        '<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" '
        'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"><sheets>'
        '<sheet name="商品" sheetId="1" r:id="r1"/></sheets></workbook>'
    ),
    "xl/_rels/workbook.xml.rels": (
        '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
        '<Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/'
        'relationships/worksheet" Target="worksheets/sheet1.xml"/></Relationships>'
    ),
}


def xlsx(*cells: tuple[str, object], **parts: str) -> bytes:
    """A workbook of one sheet with values at places such as B2."""
    rows: dict[int, list[str]] = {}
    for place, value in cells:
        number = int("".join(filter(str.isdigit, place)))
        if isinstance(value, str):
            cell = f'<c r="{place}" t="inlineStr"><is><t>{value}</t></is></c>'
        else:
            cell = f'<c r="{place}"><v>{value}</v></c>'
        rows.setdefault(number, []).append(cell)
    lines = "".join(f'<row r="{n}">{"".join(row)}</row>' for n, row in sorted(rows.items()))
    sheet = (
        '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
        f"<sheetData>{lines}</sheetData></worksheet>"
    )
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in {**XLSX_PARTS, "xl/worksheets/sheet1.xml": sheet, **parts}.items():
            archive.writestr(name, text)
    return buffer.getvalue()


def parquet(columns: dict) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer)
    return buffer.getvalue()


XLSX_HEAD = (("A1", "sku"), ("B1", "prompt"), ("A2", "A1"), ("B2", "红裙"))
ONE = [("A1", "红裙")]

READ = {
    "utf-8": ("t.csv", HEAD + GOOD),
    "utf-8 with mark": ("t.csv", (HEAD + GOOD).encode("utf-8-sig")),
    "gb18030": ("t.csv", (HEAD + GOOD).encode("gb18030")),
    "utf-16 little": ("t.csv", b"\xff\xfe" + (HEAD + GOOD).encode("utf-16-le")),
    "utf-16 big": ("t.csv", b"\xfe\xff" + (HEAD + GOOD).encode("utf-16-be")),
    "utf-16 without mark": ("t.csv", (HEAD + "A1,红裙").encode("utf-16-le")),
    "utf-32": ("t.csv", (HEAD + GOOD).encode("utf-32")),
    "dos line ends": ("t.csv", "sku,prompt\r\nA1,红裙\r\n"),
    "old mac line ends": ("t.csv", "sku,prompt\rA1,红裙\r"),
    "no last line end": ("t.csv", HEAD + "A1,红裙"),
    "blank lines": ("t.csv", "sku,prompt\n\n\nA1,红裙\n\n"),
    "rows of commas, as Excel leaves them": ("t.csv", HEAD + GOOD + ",\n,\n"),
    "nameless columns at the end": ("t.csv", "sku,prompt,,\nA1,红裙,,\n"),
    "blanks around names": ("t.csv", " sku , prompt \nA1,红裙\n"),
    "full-width names": ("t.csv", "ｓｋｕ,ｐｒｏｍｐｔ\nA1,红裙\n"),
    "semicolons": ("t.csv", "sku;prompt\nA1;红裙\n"),
    "tabs in a csv": ("t.csv", "sku\tprompt\nA1\t红裙\n"),
    "tsv": ("t.tsv", "sku\tprompt\nA1\t红裙\n"),
    "Excel's own line": ("t.csv", "sep=;\nsku;prompt\nA1;红裙\n"),
    "quoted": ("t.csv", '"sku","prompt"\n"A1","红裙"\n'),
    "no name of a kind": ("t", HEAD + GOOD),
    "jsonl": ("t.jsonl", '{"sku":"A1","prompt":"红裙"}\n'),
    "jsonl of Windows": ("t.jsonl", '\ufeff{"sku":"A1","prompt":"红裙"}\r\n\r\n'),
    "jsonl gb18030": ("t.jsonl", '{"sku":"A1","prompt":"红裙"}'.encode("gb18030")),
    "xlsx": ("t.xlsx", xlsx(*XLSX_HEAD)),
    "xlsx called csv": ("t.csv", xlsx(*XLSX_HEAD)),
    "xlsx that begins lower": (
        "t.xlsx",
        xlsx(("C4", "sku"), ("D4", "prompt"), ("C5", "A1"), ("D5", "红裙")),
    ),
    "parquet": ("t.parquet", parquet({"sku": ["A1"], "prompt": ["红裙"]})),
    "parquet called csv": ("t.csv", parquet({"sku": ["A1"], "prompt": ["红裙"]})),
}
"""What reads as one row A1 红裙, however it is written."""

REFUSED = {
    "empty": ("t.csv", b"", TableHeaderBad),
    "only a mark": ("t.csv", b"\xef\xbb\xbf", TableHeaderBad),
    "only commas": ("t.csv", ",,,\nA1,红裙\n", TableHeaderBad),
    "a name twice": ("t.csv", "sku,prompt,sku\n", TableHeaderBad),
    "Chinese commas": ("t.csv", "sku，prompt\nA1，红裙\n", TableHeaderBad),
    "an unclosed quote in the header": ("t.csv", '"sku,prompt\nA1,红裙\n', TableHeaderBad),
    "a header of a megabyte": ("t.csv", "x" * (2**20 + 1) + "\n", TableHeaderBad),
    "too many columns": ("t.csv", ",".join(map(str, range(1001))) + "\n", TableHeaderBad),
    "a control character in a name": ("t.csv", "sku,pro\x00mpt\n", TableHeaderBad),
    "bytes": ("t.csv", bytes(range(128, 256)) * 9, FileUnreadable),
    "a cut UTF-16": ("t.csv", b"\xff\xfes\x00k\x00u", FileUnreadable),
    "old Excel": ("t.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(99), FileUnreadable),
    "a zip that is no workbook": ("t.xlsx", b"PK\x03\x04" + bytes(99), FileUnreadable),
    "text called xlsx": ("t.xlsx", HEAD, FileUnreadable),
    "a workbook without a sheet": (
        "t.xlsx",
        xlsx(**{"xl/workbook.xml": "<workbook/>"}),
        FileUnreadable,
    ),
    "an empty sheet": ("t.xlsx", xlsx(), TableHeaderBad),
    "broken sheet": ("t.xlsx", xlsx(**{"xl/worksheets/sheet1.xml": "<work"}), Exception),
    "cells in far corners": ("t.xlsx", xlsx(*XLSX_HEAD, ("ALL1048576", "x")), FileUnreadable),
    "cut parquet": ("t.parquet", parquet({"sku": ["A1"]})[:-9], FileUnreadable),
    "parquet of structures": ("t.parquet", parquet({"sku": [{"a": 1}]}), TableHeaderBad),
    "text called parquet": ("t.parquet", HEAD, FileUnreadable),
    "jsonl without an object": ("t.jsonl", "[1]\n2\n", FileUnreadable),
}

BAD = {
    "too many cells": ("t.csv", HEAD + "B,红裙,多\n" + GOOD, 2, "3 cells"),
    "too few cells": ("t.csv", HEAD + "B\n" + GOOD, 2, "1 cells"),
    "an unclosed quote": ("t.csv", HEAD + 'B,"红裙\n' + GOOD, 2, "quotation mark"),
    "a quote in the wrong place": ("t.csv", HEAD + 'B,"红"裙\n' + GOOD, 2, "quotation mark"),
    "a control character": ("t.csv", HEAD + "B,红\x00裙\n" + GOOD, 2, "control character"),
    "a cell too long": ("t.csv", HEAD + "B," + "红" * 40_000 + "\n" + GOOD, 2, "too long"),
    "a cell of ten megabytes": ("t.csv", HEAD + "B," + "x" * 10**7 + "\n" + GOOD, 2, "too long"),
    "a value without a column": ("t.csv", "sku,,prompt\nB,x,红裙\nA1,,红裙\n", 2, "without a name"),
    "not JSON": ("t.jsonl", '{"sku":\n{"sku":"A1","prompt":"红裙"}\n', 1, "not JSON"),
    "a key twice": (
        "t.jsonl",
        '{"sku":"B","sku":"C"}\n{"sku":"A1","prompt":"红裙"}\n',
        1,
        "twice",
    ),
    "deep JSON": (
        "t.jsonl",
        "[" * 100_000 + '\n{"sku":"A1","prompt":"红裙"}\n',
        1,
        "deep",
    ),
    "NaN": ("t.jsonl", '{"sku":NaN}\n{"sku":"A1","prompt":"红裙"}\n', 1, "finite"),
    "a number of 5,000 digits": (
        "t.jsonl",
        '{"sku":' + "9" * 5000 + '}\n{"sku":"A1","prompt":"红裙"}\n',
        1,
        "too long",
    ),
    "half a character": (
        "t.jsonl",
        '{"sku":"\\ud800"}\n{"sku":"A1","prompt":"红裙"}\n',
        1,
        "control character",
    ),
    "an object in a cell": (
        "t.jsonl",
        '{"sku":{"a":1}}\n{"sku":"A1","prompt":"红裙"}\n',
        1,
        "not text",
    ),
    "an array for an object": ("t.jsonl", '[1]\n{"sku":"A1","prompt":"红裙"}\n', 1, "object"),
}
"""A table with one row that cannot be used, its line, a part of the reason; A1 is read."""


def written(folder, name, content):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_there_are_60_malformed_or_odd_tables():
    assert len(READ) + len(REFUSED) + len(BAD) >= 60


@pytest.mark.parametrize("case", READ)
def test_it_is_read(case, tmp_path):
    table = open_table(written(tmp_path, *READ[case]))
    for _ in range(2):
        rows = list(table.rows())
        assert [(row.values["sku"], row.values["prompt"]) for row in rows] == ONE
    assert table.columns == ("sku", "prompt")


@pytest.mark.parametrize("case", REFUSED)
def test_it_is_refused_with_a_reason(case, tmp_path):
    name, content, kind = REFUSED[case]
    kind = (FileUnreadable, TableHeaderBad) if kind is Exception else kind
    with pytest.raises(kind) as caught:
        list(open_table(written(tmp_path, name, content)).rows())
    assert caught.value.params["reason"]


@pytest.mark.parametrize("case", BAD)
def test_the_row_is_told_and_the_others_are_read(case, tmp_path):
    name, content, line, reason = BAD[case]
    rows = list(open_table(written(tmp_path, name, content)).rows())
    bad = [row for row in rows if isinstance(row, BadRow)]
    good = [row for row in rows if not isinstance(row, BadRow)]
    assert [row.line for row in bad] == [line]
    assert reason in bad[0].reason
    assert [(row.values["sku"], row.values["prompt"]) for row in good] == ONE


def test_lines_are_counted_as_an_editor_does(tmp_path):
    text = 'sku,prompt\nA,"一\n二"\n\nB,三\n'
    rows = list(open_table(written(tmp_path, "t.csv", text)).rows())
    assert [row.line for row in rows] == [2, 5]
    sheet = xlsx(("A2", "sku"), ("A4", "A"), ("A9", "B"))
    rows = list(open_table(written(tmp_path, "t.xlsx", sheet)).rows())
    assert [row.line for row in rows] == [4, 9]


def test_numbers_of_a_sheet_are_read_as_they_look(tmp_path):
    sheet = xlsx(("A1", "sku"), ("B1", "价"), ("A2", 10001), ("B2", 9.5))
    (row,) = open_table(written(tmp_path, "t.xlsx", sheet)).rows()
    assert row.values == {"sku": 10001, "价": 9.5}


def test_a_sheet_is_chosen_by_name(tmp_path):
    path = written(tmp_path, "t.xlsx", xlsx(*XLSX_HEAD))
    assert len(list(open_table(path, sheet="商品").rows())) == 1
    with pytest.raises(UnknownChoice, match="商品"):
        open_table(path, sheet="没有")


@pytest.mark.parametrize("name", ["missing.csv", "."])
def test_what_is_no_file_is_said(name, tmp_path):
    with pytest.raises(FileUnreadable):
        open_table(tmp_path / name)


def test_columns_of_later_objects_are_kept(tmp_path):
    lines = [{"sku": "A"}, {"sku": "B", "颜色": ["红", "黑"]}]
    text = "\n".join(json.dumps(line) for line in lines)
    rows = list(open_table(written(tmp_path, "t.jsonl", text)).rows())
    assert [row.values for row in rows] == lines
