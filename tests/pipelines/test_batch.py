"""Rows -> requests: keys, seeds, folders, templates, and what is wrong in which column."""

from __future__ import annotations

import json
import random

import pytest
from PIL import Image

from mmgen.errors import Missing
from mmgen.files.names import safe_name
from mmgen.files.read_picture import sha256_of
from mmgen.tables.open import open_table
from mmgen.tables.row import BadRow
from mmgen.tables.write import write_csv
from pipelines.batch import BatchOptions, BatchPlan, derived_seed
from pipelines.template import Template, TemplateBad


def plan(folder, text, name="t.csv", **options):
    path = folder / name
    path.write_text(text, encoding="utf-8", newline="")
    return list(BatchPlan(open_table(path), BatchOptions(**options)).rows())


def keys(rows):
    return [row.key for row in rows]


def test_repeated_ids_are_numbered_and_never_by_row(tmp_path):
    rows = plan(tmp_path, "sku,prompt\nA,一\nB,二\nA,三\nA#2,四\nA,五\n")
    assert keys(rows) == ["A", "B", "A#2", "A#2#2", "A#3"]
    moved = plan(tmp_path, "sku,prompt\nN,新\nB,二\nA,一\n")
    same = {row.key: row.requests for row in rows}
    assert moved[1].requests == same["B"]
    assert moved[2].requests == same["A"]
    assert {row.folder for row in rows if row.key.startswith("A") and "#2" not in row.key} == {"A"}


def test_without_ids_the_prompt_is_the_key(tmp_path):
    assert keys(plan(tmp_path, "提示词\n红裙\n黑裤\n红裙\n")) == ["红裙", "黑裤", "红裙#2"]


def test_a_row_without_a_seed_gets_one_from_its_key(tmp_path):
    first, second = plan(tmp_path, "sku,prompt,seed,张数\nA,红裙,,3\nB,红裙,7,2\n", seed=5)
    start = derived_seed(5, "A")
    assert [request.seed for request in first.requests] == [start, start + 1, start + 2]
    assert [request.seed for request in second.requests] == [7, 8]
    assert derived_seed(5, "A") != derived_seed(6, "A") != derived_seed(5, "B")


def test_rows_of_one_id_may_start_from_the_same_noise(tmp_path):
    text = "sku,prompt\nA,红裙正面\nA,红裙背面\n"
    apart = plan(tmp_path, text)
    together = plan(tmp_path, text, shares_seed=True)
    assert apart[0].requests[0].seed != apart[1].requests[0].seed
    assert together[0].requests[0].seed == together[1].requests[0].seed


def test_a_row_overrules_the_options(tmp_path):
    text = "SKU,Prompt,Negative,Size,Format,产地\nA,红裙,帽子,96x128,JPG,杭州\nB,黑裤,,,,\n"
    a, b = plan(tmp_path, text, negative_prompt="文字", format="webp")
    assert (a.requests[0].width, a.requests[0].height) == (96, 128)
    assert a.requests[0].negative_prompt == "帽子"
    assert b.requests[0].negative_prompt == "文字"
    assert [row.options["format"] for row in (a, b)] == ["jpeg", "webp"]
    assert a.values["产地"] == "杭州"


def test_items_are_the_same_on_every_run(tmp_path):
    text = "sku,prompt,张数\nA,红裙,2\n"
    once, again = (list(plan(tmp_path, text)[0].items("j" * 32, 0)) for _ in range(2))
    assert once == again
    assert [item.name for item in once] == ["A-1", "A-2"]
    assert len({item.item_id for item in once}) == 2
    (other,) = plan(tmp_path, "sku,prompt,张数\nA,红裙,1\n")[0].items("j" * 32, 0)
    assert other.item_id == once[0].item_id


def test_references_lie_beside_the_table_and_are_looked_at(tmp_path):
    Image.new("RGB", (64, 64), "red").save(tmp_path / "一.png")
    (tmp_path / "坏.png").write_bytes(b"no picture")
    text = "sku,prompt,参考图\nA,红裙,一.png\nB,红裙,坏.png\nC,红裙,没有.png\nD,红裙,\n"
    a, b, c, d = plan(tmp_path, text)
    digest = sha256_of(tmp_path / "一.png")
    assert a.requests[0].references == ((digest, 1.0),)
    assert a.pictures == {digest: str(tmp_path / "一.png")}
    assert [(bad.column, bad.reason.code) for bad in (b, c)] == [
        ("参考图", "picture.unreadable"),
        ("参考图", "picture.missing"),
    ]
    assert d.requests[0].references == ()


@pytest.mark.parametrize(
    ("column", "cell", "code"),
    [
        ("张数", "0", "value.out_of_range"),
        ("张数", "很多", "value.wrong_type"),
        ("张数", "9" * 40, "value.wrong_type"),
        ("seed", "-1", "value.out_of_range"),
        ("seed", str(2**63), "value.out_of_range"),
        ("size", "L", "value.wrong_type"),
        ("size", "100x100", "value.not_multiple"),
        ("format", "gif", "value.unknown_choice"),
        ("negative", "词" * 1001, "prompt.too_long"),
        ("model", "别的", "value.unknown_choice"),
        ("adapter", "风格", "value.unknown_choice"),
        ("references", "|".join("12345"), "picture.missing"),
        ("prompt", "词" * 1001, "prompt.too_long"),
        ("prompt", " ", "prompt.empty"),
    ],
)
def test_a_wrong_cell_is_told_with_its_column(tmp_path, column, cell, code):
    columns = {"sku": "A", "prompt": "红裙", column: cell}
    (row,) = plan(tmp_path, json.dumps(columns) + "\n", name="t.jsonl")
    assert isinstance(row, BadRow)
    assert (row.column, row.reason.code) == (column, code)
    assert row.cells["sku"] == "A"


def test_a_refused_row_takes_no_key(tmp_path):
    bad, good = plan(tmp_path, "sku,prompt\nA,\nA,红裙\n")
    assert isinstance(bad, BadRow)
    assert good.key == "A"


def test_a_table_without_words_is_refused(tmp_path):
    with pytest.raises(Missing, match="颜色"):
        plan(tmp_path, "sku,颜色\nA,红\n")


@pytest.mark.parametrize(
    ("text", "row", "prompt"),
    [
        ("{颜色}{品类}", {"颜色": "红", "品类": "裙"}, "红裙"),
        ("{颜色}色,{面料},{品类}", {"颜色": "红", "面料": None, "品类": "裙"}, "红色,裙"),
        ("{品类},{背景}", {"品类": "裙", "背景": ""}, "裙"),
        ("{{{品类}}}", {"品类": "裙"}, "{裙}"),
        ("{颜色}{品类}", {"颜色": ["红", "黑"], "品类": "裙"}, "红、黑裙"),
        ("{颜色}的", {"颜色": " "}, ""),
        ("{a.__class__}", {"a.__class__": "x"}, "x"),
    ],
)
def test_a_template_is_filled(text, row, prompt):
    assert Template(text).fill(row) == prompt


@pytest.mark.parametrize("text", ["红裙", "{颜色", "颜色}", "{}", "{{颜色}}"])
def test_a_template_that_cannot_be_filled_is_refused(text):
    with pytest.raises(TemplateBad):
        Template(text)


def test_a_column_that_no_object_has_is_told_at_the_end(tmp_path):
    with pytest.raises(TemplateBad, match="面料"):
        plan(tmp_path, '{"sku":"A","颜色":"红"}\n', name="t.jsonl", template="{颜色}{面料}")


def hostile_names():
    """300 ids that are trouble on some disk, and their twins."""
    names = [
        "../../etc/passwd", "/etc/passwd", "..", ".", "C:\\Windows\\x", "\\\\host\\share", "CON",
        "con.txt", "NUL", "a.", "a ", "a", "A", "caf\u00e9", "cafe\u0301", "😀", "👩‍👧",
        "\u202egnp.exe",
        "名" * 100, "x" * 190, '"quoted"', "a\nb", "a|b", "a*b?", "<script>", "-rf", "~", "~root",
        "$(id)", "`id`", "%2e%2e", "a/b/c", ".part-x", ".hidden", "report.html", "manifest.csv",
        "＝1", "=1+1", "#2", "a#2", "ａ", "\u00a0a", "\u3000a", "a\u200bb", "ab", "AB", "Ab", "aB",
    ]  # fmt: skip
    rng = random.Random(0)
    letters = "aAbB../\\:*~ 红\u0301\u202e-_#\t'"
    while len(names) < 300:
        name = "".join(rng.choice(letters) for _ in range(rng.randint(1, 12)))
        if name.strip() and name.strip() == name and name not in names:
            names.append(name)
    return names


def test_300_hostile_ids_stay_in_the_folder_and_apart(tmp_path):
    names = hostile_names()
    path = tmp_path / "t.csv"
    write_csv(path, ["sku", "prompt"], [{"sku": name, "prompt": "红裙"} for name in names])
    rows = list(BatchPlan(open_table(path), BatchOptions()).rows())
    assert not [row for row in rows if isinstance(row, BadRow)]
    root = tmp_path / "out"
    places = set()
    for row in rows:
        (item,) = row.items("j" * 32, 0)
        place = root / item.subfolder / f"{safe_name(item.name)}.png"
        assert place.parent.parent == root, row.key
        assert ".." not in place.parts
        assert len(place.name.encode()) < 250
        places.add(str(place.relative_to(root)).casefold())
    stripped = {name.strip() for name in names}
    assert len(rows) == 300
    assert len(places) == len({row.key for row in rows}) == 300
    assert {row.values["sku"].strip() for row in rows} == stripped
