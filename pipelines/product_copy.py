"""Asserted tags -> a short Chinese product text; every word about the garment is one of them.

M6 wrote such copy with a language model (arXiv 2103.00823); here rules write
it, so that nothing is claimed that was not seen: no comfort, no fit, no
occasion, and the fabric only as what it looks like.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from mmgen.text.garment_words import words_in
from mmgen.text.vocabulary import load_vocabulary

Sure = Mapping[str, Sequence[str]]
"""Attribute -> asserted values, main one first, as `Tags.sure` has them."""

_MEASURES = {
    **dict.fromkeys(("裙", "裤"), "条"),
    **dict.fromkeys(("鞋", "靴子", "凉鞋"), "双"),
    "帽": "顶",
}
_ITEM = "单品"
_UNSAID = {"其他", "常规", "中性", "合成", "短裤"}
"""Values that say nothing to a buyer, or nothing that the noun does not say."""
_TECHNIQUES = {"水洗", "刺绣", "提花", "破洞", "渐变", "扎染", "拼色", "亮片", "蕾丝"}
"""Patterns that are made, not printed."""
_LENGTHS = {
    "长": "长款",
    "短": "短款",
    "中长": "中长款",
    "七分": "七分长度",
    "九分": "九分长度",
    "及膝": "及膝长度",
}
_WEARERS = {"女": "女款", "男": "男款", "童": "童款"}


def write_copy(sure: Sure, seed: int | str = 0) -> str:
    """One or two short sentences; the same tags and seed give the same text.

    Attributes that are absent are not spoken of. Different seeds vary order and
    wording, so that a page of similar garments does not repeat one phrase.
    """
    rng = random.Random(f"{seed}")
    noun, measure = _noun(sure)
    subject = f"{_colour(sure, rng)}{noun}"
    clauses = _clauses(sure, noun, rng)
    wearer = next((_WEARERS[one] for one in sure.get("wearer", ()) if one in _WEARERS), "")
    opening = rng.choice(
        (
            f"这{measure}{subject}",
            f"{subject}一{measure}",
            f"一{measure}{wearer and wearer + '的'}{subject}",
            f"{wearer}{subject}" if wearer else f"{subject}一{measure}",
        )
    )
    if wearer and wearer not in opening and rng.random() < 0.5:
        clauses.append(wearer)
    rng.shuffle(clauses)
    if not clauses:
        return f"{opening}。"
    if len(clauses) < 3:
        return f"{opening}，{'，'.join(clauses)}。"
    cut = rng.choice((1, 2))
    return f"{opening}，{'，'.join(clauses[:cut])}。{'，'.join(clauses[cut:])}。"


def unseen_words(text: str, sure: Sure) -> list[str]:
    """The words of `text` about a garment that none of the asserted values stands for.

    What `write_copy` must keep empty, whatever the tags.
    """
    harmless = load_vocabulary().not_attributes
    return [word for word in words_in(text) if word not in harmless and not _stands(word, sure)]


def _stands(word: str, sure: Sure) -> bool:
    vocabulary = load_vocabulary()
    families = sure.get("colour_family", ())
    for name, values in vocabulary.attributes.items():
        for value, words in values.items():
            is_named = word.removesuffix("色") in words.same or word in words.same
            is_family = name == "colors" and value in families
            if is_named and (value in sure.get(name, ()) or is_family):
                return True
    return False


def _noun(sure: Sure) -> tuple[str, str]:
    """What the garment is called, and its measure word."""
    category = next(iter(sure.get("category", ())), "其他")
    noun = _ITEM if category == "其他" else category
    measure = next((m for end, m in _MEASURES.items() if noun.endswith(end)), "件")
    return noun, measure


def _colour(sure: Sure, rng: random.Random) -> str:
    """The main colour and perhaps a second; of an unnamed shade, its family."""
    colours = sure.get("colors", ())
    if not colours:
        family = next(iter(sure.get("colour_family", ())), "")
        return f"{family}色系" if family else ""
    if len(colours) > 1 and rng.random() < 0.7:
        between = rng.choice(("配", "与", "拼")) if "拼色" in sure.get("patterns", ()) else "配"
        return f"{colours[0]}色{between}{colours[1]}色"
    return f"{colours[0]}色"


def _clauses(sure: Sure, noun: str, rng: random.Random) -> list[str]:
    """One phrase for each attribute that adds something to the noun."""
    phrases = {
        "patterns": [_pattern(value, rng) for value in sure.get("patterns", ())[:2]],
        "neckline": [_neckline(value, rng) for value in sure.get("neckline", ())[:1]],
        "sleeve": [
            rng.choice((f"{value}款式", f"{value}设计")) for value in sure.get("sleeve", ())[:1]
        ],
        "length": [_LENGTHS.get(value, value) for value in sure.get("length", ())[:1]],
        "fabric": [_fabric(value) for value in sure.get("fabric", ())[:1]],
    }
    return [
        phrase
        for name, said in phrases.items()
        for value, phrase in zip(sure.get(name, ()), said, strict=False)
        if value not in _UNSAID and value not in noun
    ]


def _pattern(value: str, rng: random.Random) -> str:
    if value == "纯色":
        return rng.choice(("纯色设计", "通身纯色", "纯色无图案"))
    if value in _TECHNIQUES:
        return rng.choice((f"{value}工艺", f"{value}细节", f"{value}设计"))
    return rng.choice((f"{value}元素", f"带{value}元素", f"饰以{value}"))


def _fabric(value: str) -> str:
    """What it looks like: what it is made of cannot be seen."""
    return "棉质外观" if value == "棉" else f"{value}质感"


def _neckline(value: str, rng: random.Random) -> str:
    if value in ("连帽", "吊带"):
        return rng.choice((f"{value}款式", f"{value}设计"))
    return rng.choice((f"{value}设计", f"{value}款式", f"{value}剪裁"))
