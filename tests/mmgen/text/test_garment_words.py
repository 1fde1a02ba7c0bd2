import dataclasses
import json

import pytest

from mmgen.assets import asset_path
from mmgen.errors import UnknownChoice
from mmgen.text.garment_words import find_attributes, names_a_garment, speaks_of_clothes
from mmgen.text.normalize import normalize
from mmgen.text.vocabulary import (
    ATTRIBUTES,
    colour_families,
    colour_family,
    load_vocabulary,
)

ROWS = [
    json.loads(line)
    for line in asset_path("captions/metadata.jsonl").read_text(encoding="utf-8").splitlines()
]


def _values(row, name):
    value = row[name]
    return value if isinstance(value, list) else [value] if value else []


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_values_are_exactly_those_of_the_captions(name):
    seen = {value for row in ROWS for value in _values(row, name)}
    assert set(load_vocabulary().attributes[name]) == seen


def test_every_listed_word_is_normal():
    vocabulary = load_vocabulary()
    words = [
        word
        for values in vocabulary.attributes.values()
        for entry in values.values()
        for word in (*entry.same, *entry.kinds)
        if word not in vocabulary.translations
    ]
    words += [*vocabulary.general, *vocabulary.not_attributes]
    assert [word for word in words if normalize(word) != word] == []


def test_no_word_means_two_values_of_one_attribute():
    for name, values in load_vocabulary().attributes.items():
        words = [word for entry in values.values() for word in (*entry.same, *entry.kinds)]
        repeated = {word for word in words if words.count(word) > 1}
        assert repeated <= ({"长款", "短款"} if name == "length" else set()), name


def test_every_category_of_general_and_refined_words_exists():
    vocabulary = load_vocabulary()
    categories = set(vocabulary.attributes["category"])
    assert {value for of in vocabulary.general.values() for value in of} <= categories
    for category, name, value, really in vocabulary.refined:
        assert {category, really} <= categories
        assert value in vocabulary.attributes[name]


def test_colours_have_a_family_and_a_lab():
    colours = set(load_vocabulary().attributes["colors"])
    assert len(colours) == 29
    assert set(load_vocabulary().family_of) == colours == set(load_vocabulary().lab_of)
    assert colour_families() == tuple("黑白灰红粉橙黄绿蓝紫棕")


@pytest.mark.parametrize(
    ("name", "family"),
    [("深蓝", "蓝"), ("青", "蓝"), ("米白色", "白"), ("银", "灰"), ("金", "黄"), ("玫红", "粉")],
)
def test_colour_family(name, family):
    assert colour_family(name) == family


def test_an_unknown_colour_is_refused_by_name():
    with pytest.raises(UnknownChoice, match="米灰"):
        colour_family("米灰")


@pytest.mark.parametrize(
    ("prompt", "named"),
    [
        (
            "藏青白細條紋短袖T恤，胸前印粉色大字母",
            {
                "colors": ("深蓝", "白", "粉"),
                "patterns": ("条纹", "字母"),
                "sleeve": ("短袖",),
                "category": ("T恤",),
            },
        ),
        ("Red dress", {"colors": ("红",), "category": ("连衣裙",)}),
        ("裙子", {"category": ("连衣裙", "半身裙")}),
        ("深蓝牛仔裤", {"colors": ("深蓝",), "category": ("牛仔裤",)}),
        ("长袖圆领T恤", {"sleeve": ("长袖",), "neckline": ("圆领",), "category": ("长袖T恤",)}),
        ("男款羽绒服", {"wearer": ("男",), "category": ("棉服",)}),
        ("红色连衣裙,挂在白墙前", {"colors": ("红",), "category": ("连衣裙",)}),
        ("红色连衣裙白墙背景", {"colors": ("红",), "category": ("连衣裙",)}),
        ("挂在白墙上的红色连衣裙", {"colors": ("红",), "category": ("连衣裙",)}),
        ("红色连衣裙,蓝色几何布背景", {"colors": ("红",), "category": ("连衣裙",)}),
        ("金属纽扣大衣", {"category": ("大衣",)}),
        ("一只猫", {}),
    ],
)
def test_find_attributes(prompt, named):
    assert dict(find_attributes(prompt)) == named


def test_captions_name_what_was_seen():
    read = [(row, find_attributes(row["caption"])) for row in ROWS]
    category = sum(row["category"] in named.get("category", ()) for row, named in read)
    colour = sum(bool({*row["colors"]} & {*named.get("colors", ())}) for row, named in read)
    assert category / len(ROWS) > 0.95
    assert colour / len(ROWS) > 0.90


@pytest.mark.parametrize("prompt", ["衣服", "红裙", "ＪＥＡＮＳ", "👗", "很好看的襯衫", "皮靴"])
def test_garments_are_recognised(prompt):
    assert names_a_garment(prompt)


@pytest.mark.parametrize("prompt", ["一只猫", "红色", "雪山日落", "a cat", "😀"])
def test_other_things_are_not_garments(prompt):
    assert not names_a_garment(prompt)


def test_nothing_can_be_changed():
    vocabulary = load_vocabulary()
    with pytest.raises(dataclasses.FrozenInstanceError):
        vocabulary.general = {}
    with pytest.raises(TypeError):
        vocabulary.attributes["colors"]["黑"] = None
    with pytest.raises(TypeError):
        find_attributes("红裙")["colors"] = ()


@pytest.mark.parametrize(
    "text", ["红色连衣裙", "一字领露肩", "飘逸雪纺碎花系带", "短袖", "RED T-SHIRT"]
)
def test_clothes_are_spoken_of(text):
    assert speaks_of_clothes(text)


@pytest.mark.parametrize(
    "text",
    [
        "雪山上的日出",
        "一只猫在草地上",
        "一辆黑色汽车停在路边",
        "木头桌子",
        "赛博朋克城市夜景",
        "你好",
    ],
)
def test_other_things_are_not_clothes(text):
    assert not speaks_of_clothes(text)
