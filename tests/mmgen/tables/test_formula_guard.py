"""No cell that we write is run as a formula, and none is lost."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmgen.tables.formula_guard import guarded, unguarded
from mmgen.tables.open import open_table
from mmgen.tables.write import csv_lines, write_csv

SIGNS = ["=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠"]
BODIES = ["cmd|' /C calc'!A0", "SUM(1+9)*cmd", 'HYPERLINK("http://x")', "1+1"]
PAYLOADS = [sign + body for sign in SIGNS for body in BODIES]


@pytest.mark.parametrize("lead", ["", " ", "\u00a0", "\u3000", "第一行\n", "第一行\r\n "])
@pytest.mark.parametrize("payload", PAYLOADS)
def test_no_line_of_a_cell_begins_as_a_formula(payload, lead):
    text = guarded(lead + payload)
    for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        assert not line.strip(" \u00a0\u3000").startswith(tuple(SIGNS)), repr(text)
    assert unguarded(text) == lead + payload


@pytest.mark.parametrize("text", ["-5", "+86", "3.5", "-0.25", "藏青色大衣", "a-b", ""])
def test_what_is_harmless_stays_as_it_is(text):
    assert guarded(text) == text


@given(st.text(alphabet=st.sampled_from("=+-@'\t\r\n \u00a0＝a红1"), max_size=12))
def test_the_guard_can_be_taken_off(text):
    assert unguarded(guarded(text)) == text or guarded(text) == text


def test_payloads_go_through_a_file_and_back(tmp_path):
    path = tmp_path / "t.csv"
    write_csv(
        path, ["sku", "prompt"], [{"sku": str(n), "prompt": p} for n, p in enumerate(PAYLOADS)]
    )
    rows = [row.values["prompt"] for row in open_table(path).rows()]
    assert rows == PAYLOADS
    assert path.read_bytes().startswith("\ufeff".encode())


def test_a_csv_reader_sees_the_cells(tmp_path):
    text = b"".join(csv_lines([["a,b", 'c"d', "e\nf", None, 7, ["x", "y"], {"k": 1}]])).decode()
    assert next(csv.reader(io.StringIO(text, newline=""))) == [
        "a,b", 'c"d', "e\nf", "", "7", "x|y", '{"k": 1}',
    ]  # fmt: skip
