"""What words name of a garment, held against what is seen of it or said of it.

The towers know what belongs together, but asked for 红色 they still like 橙色.
So garment, colour, pattern and sleeve, where words name them, are compared with
the tags of a picture or the attributes of a catalogue row; the difference is a
second term beside the cosine. No torch: searching imports this.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from mmgen.text.garment_words import find_attributes
from mmgen.text.vocabulary import colour_family, load_vocabulary

if TYPE_CHECKING:
    from pipelines.tag import Tags

FAMILY = "colour_family"
"""The attribute under which the family of the main colour stands."""
AGREEMENT_WEIGHT = 0.2
"""Of one nat of agreement against one unit of cosine; see tests/benchmarks/retrieval.py."""
_FAMILY_SHARE = 0.7
"""Of a colour's agreement that its family alone earns: 酒红 for 红."""
_FLOOR = 0.02
"""A value that was not told at all is this likely; one mistake must not outweigh all else."""
_ASKED = ("category", "colors", "patterns", "sleeve")
"""What is compared; necklines, lengths and fabrics are seen too unsurely."""

Wanted = Mapping[str, tuple[str, ...]]
"""Attribute -> the values that words name."""
Agreed = Callable[[Wanted], float]
"""How far one picture agrees with what is wanted, in nats; 0 at best."""


def wanted_of(text: str) -> Wanted:
    """What `text` names of the attributes that can be held against pictures."""
    return {name: values for name, values in find_attributes(text).items() if name in _ASKED}


def agreement(wanted: Wanted, tags: Tags) -> float:
    """Mean log-probability that the picture shows what is wanted; 0 when nothing is.

    Several categories mean "one of these"; several colours and patterns mean all.
    """
    likely = []
    for name, values in wanted.items():
        if name == "category":
            likely.append(sum(tags.probability(name, value) for value in values))
        elif name == "colors":
            likely += [_colour_probability(tags, value) for value in values]
        else:
            likely += [tags.probability(name, value) for value in values]
    if not likely:
        return 0.0
    return sum(math.log(max(min(p, 1.0), _FLOOR)) for p in likely) / len(likely)


def _colour_probability(tags: Tags, value: str) -> float:
    by_name = tags.probability("colors", value)
    by_family = tags.probability(FAMILY, colour_family(value))
    return max(by_name, _FAMILY_SHARE * by_family)


def agreement_of_row(wanted: Wanted, attributes: Mapping[str, Sequence[str]]) -> float:
    """As `agreement`, for a catalogue row: what its attributes say counts as certain.

    An attribute that the row does not have is taken to be as likely as not.
    """
    likely = []
    for name, values in wanted.items():
        said = attributes.get(name, ())
        if name == "colors":
            likely += [_row_colour(value, said) for value in values]
        elif not said:
            likely.append(0.5)
        elif name == "category":
            likely.append(1.0 if set(said) & set(values) else _FLOOR)
        else:
            likely += [1.0 if value in said else _FLOOR for value in values]
    return sum(map(math.log, likely)) / len(likely) if likely else 0.0


def _row_colour(value: str, said: Sequence[str]) -> float:
    """How likely a row that says these colours, main first, is of the colour `value`."""
    if not said:
        return 0.5
    if _plain(said[0]) == value:
        return 1.0
    is_there = value in map(_plain, said)
    # A row may name colours of its own, 雾霾蓝 say, of which no family is known.
    is_family = load_vocabulary().family_of.get(_plain(said[0])) == colour_family(value)
    return _FAMILY_SHARE if is_there or is_family else _FLOOR


def _plain(colour: str) -> str:
    return colour.removesuffix("色")


def rescore(
    text: str, similarity: Sequence[float], attributes: Sequence[Mapping[str, Sequence[str]]]
) -> list[float]:
    """The totals to order search hits by: cosines and rows' attributes, in the same order."""
    wanted = wanted_of(text)
    return [
        cosine + AGREEMENT_WEIGHT * agreement_of_row(wanted, row)
        for cosine, row in zip(similarity, attributes, strict=True)
    ]
