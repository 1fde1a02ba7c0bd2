import json
import subprocess
import sys
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmgen.assets import asset_path
from mmgen.text.normalize import normalize
from mmgen.text.vocabulary import load_vocabulary

WORDS = sorted(load_vocabulary().translations) + sorted(load_vocabulary().emoji)
TYPED = st.lists(
    st.one_of(
        st.sampled_from(WORDS),
        st.sampled_from(
            [" ", ",", "，", "。", "\u200b", "-", "'", "’", "s", "衫", "襯", "ß", "a "]
        ),
        st.text(max_size=6),
    ),
    max_size=8,
).map("".join)


@given(TYPED)
@settings(max_examples=600, deadline=None)
def test_normalizing_twice_changes_nothing_more(prompt):
    once = normalize(prompt)
    assert normalize(once) == once


@given(TYPED)
@settings(max_examples=300, deadline=None)
def test_nothing_invisible_is_left(prompt):
    kept = {unicodedata.category(character) for character in normalize(prompt)}
    assert not kept & {"Cc", "Cf", "Cs", "Co", "Cn", "Mn", "Me", "So", "Sk"}


def test_every_caption_keeps_its_words():
    lines = asset_path("captions/metadata.jsonl").read_text(encoding="utf-8").splitlines()
    captions = [json.loads(line)["caption"] for line in lines]
    changed = [
        caption
        for caption in captions
        if normalize(caption) != caption.lower().replace("、", ",").replace(":", ",")
    ]
    assert changed == []


@pytest.mark.parametrize("word", sorted(load_vocabulary().translations))
def test_every_translation_is_itself_normal(word):
    translation = normalize(word)
    assert translation
    assert normalize(translation) == translation


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("紅色連衣裙，長袖", "红色连衣裙,长袖"),
        ("藏青白細條紋短袖Ｔ恤。", "藏青白细条纹短袖t恤"),
        ("藏青色大衣", "藏青色大衣"),
        ("Red dress", "红色连衣裙"),
        ("a NAVY BLUE T-shirt", "深蓝色t恤"),
        ("navy blue T‑Shirts", "深蓝色t恤"),
        ("white tee", "白色t恤"),
        ("two dresses", "two连衣裙"),
        ("Men’s ripped jeans", "男款破洞牛仔裤"),
        ("black HOODIES", "黑色连帽卫衣"),
        ("白色T恤衫", "白色t恤"),
        ("白色体恤", "白色t恤"),
        ("polo", "polo衫"),
        ("白色POLO衫", "白色polo衫"),
        ("a字裙", "a字裙"),
        ("Vitamin coated", "vitamin coated"),
        ("👗🔴", "连衣裙红色"),
        ("红色👗✨💃🏻", "红色连衣裙"),
        ("红\u200b色\u202e连\ufeff衣裙", "红色连衣裙"),
        ("红色  连衣裙\n长袖\t", "红色连衣裙长袖"),
        ("，，红色、、连衣裙！！", "红色,连衣裙"),
        ("（长袖）【红色】《T恤》", "长袖,红色,t恤"),
        ("白色 polo 短袖", "白色polo衫短袖"),
        ("polo领卫衣", "polo领卫衣"),
        ("T 恤", "t恤"),
        ("1.5米", "1.5米"),
        ("𠮷", "𠮷"),
        ("\ud800", ""),
        ("😀👍", ""),
        ("", ""),
    ],
)
def test_what_people_type(typed, read):
    assert normalize(typed) == read


def test_import_is_cheap():
    code = "import sys, mmgen.text.normalize; print({'torch', 'opencc'} & set(sys.modules))"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
    assert printed.strip() == b"set()"
