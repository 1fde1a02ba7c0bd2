"""Words against tags, the choice of the best, and of those that are least alike."""

import math

import numpy as np
import pytest

from pipelines.agreement import agreement, agreement_of_row, rescore, wanted_of
from pipelines.rank import choose
from pipelines.tag import Tags


def tags(**guesses):
    return Tags(guesses={name: tuple(found) for name, found in guesses.items()}, also={})


RED_DRESS = tags(
    category=[("连衣裙", 0.9), ("半身裙", 0.1)],
    colors=[("红", 0.8), ("酒红", 0.1)],
    colour_family=[("红", 0.95), ("橙", 0.05)],
    sleeve=[("短袖", 0.7)],
)
NAVY_DRESS = tags(category=[("连衣裙", 0.9)], colors=[("深蓝", 0.9)], colour_family=[("蓝", 0.97)])


def test_red_does_not_agree_with_navy():
    wanted = wanted_of("红色连衣裙")
    assert agreement(wanted, RED_DRESS) > agreement(wanted, NAVY_DRESS) + 1
    assert agreement(wanted, RED_DRESS) == pytest.approx((math.log(0.9) + math.log(0.8)) / 2)


def test_the_family_earns_a_part_of_the_name():
    red, wine = wanted_of("红色裙子"), wanted_of("酒红色裙子")
    assert agreement(red, RED_DRESS) > agreement(wine, RED_DRESS) > agreement(red, NAVY_DRESS)


def test_an_open_word_is_met_by_any_of_its_garments():
    assert agreement(wanted_of("裙子"), RED_DRESS) == pytest.approx(math.log(1.0), abs=1e-6)


def test_words_that_name_nothing_agree_with_everything():
    assert wanted_of("好看的") == {}
    assert agreement({}, RED_DRESS) == 0
    assert agreement_of_row({}, {"category": ("鞋",)}) == 0


def test_rows_are_rescored_by_what_they_say():
    rows = [
        {"category": ("连衣裙",), "colors": ("深蓝",)},
        {"category": ("连衣裙",), "colors": ("红",)},
        {"category": ("连衣裙",), "colors": ("酒红",)},
        {},
    ]
    totals = rescore("红色连衣裙", [0.5, 0.5, 0.5, 0.5], rows)
    assert sorted(range(4), key=lambda index: -totals[index]) == [1, 2, 3, 0]
    assert max(totals) == pytest.approx(0.5)


def test_a_row_may_name_colours_that_we_do_not_know():
    wanted = wanted_of("红色连衣裙")
    known, unknown, suffixed = (
        agreement_of_row(wanted, {"category": ("连衣裙",), "colors": (name,)})
        for name in ("红", "雾霾蓝", "红色")
    )
    assert known == suffixed == 0
    assert unknown < known


def unit(*rows):
    array = np.array(rows, np.float32)
    return array / np.linalg.norm(array, axis=1, keepdims=True)


def test_the_best_come_first_and_ties_keep_their_order():
    vectors = unit([1, 0], [0, 1], [1, 1], [1, 2])
    assert choose([0.1, 0.5, 0.5, 0.9], vectors, 3) == [3, 1, 2]


def test_a_diverse_choice_passes_over_a_twin():
    vectors = unit([1, 0], [1, 0.01], [0, 1])
    totals = [0.9, 0.89, 0.6]
    assert choose(totals, vectors, 2) == [0, 1]
    assert choose(totals, vectors, 2, diverse=True) == [0, 2]


def test_no_more_is_chosen_than_there_is():
    assert choose([], np.empty((0, 2), np.float32), 3, diverse=True) == []
    assert sorted(choose([0.3, 0.3], unit([1, 0], [1, 0]), 5, diverse=True)) == [0, 1]
