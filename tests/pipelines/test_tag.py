"""What is asserted of a picture, and that the heads that ship fit the towers that ship."""

from PIL import Image

from pipelines.tag import NEVER_NEAR, NONE, Tagger, Tags, near_of


def tags(also=None, **guesses):
    return Tags(guesses={name: tuple(found) for name, found in guesses.items()}, also=also or {})


def test_only_what_is_sure_is_asserted_and_none_never():
    seen = tags(
        category=[("衬衫", 0.8), ("T恤", 0.1)],
        sleeve=[(NONE, 0.9), ("长袖", 0.1)],
        fabric=[("棉", 0.49), ("针织", 0.3)],
    )
    assert seen.sure == {"category": ("衬衫",)}
    assert seen.to_dict()["guesses"]["sleeve"] == {"none": 0.9, "长袖": 0.1}


def test_further_colours_follow_the_main_one():
    also = {"colors": (("蓝", 0.9), ("白", 0.6), ("黑", 0.4))}
    assert tags(also, colors=[("蓝", 0.7)]).sure == {"colors": ("蓝", "白")}


def test_nothing_is_beside_plain():
    also = {"patterns": (("纯色", 0.9), ("字母", 0.8))}
    assert tags(also, patterns=[("纯色", 0.9)]).sure == {"patterns": ("纯色",)}
    assert tags(also, patterns=[("字母", 0.9)]).sure == {"patterns": ("字母",)}


def test_a_probability_is_the_better_of_main_and_also():
    seen = tags({"colors": (("白", 0.6),)}, colors=[("蓝", 0.7), ("白", 0.2)])
    assert seen.probability("colors", "白") == 0.6
    assert seen.probability("colors", "红") == 0.0
    assert seen.probability("sleeve", "长袖") == 0.0


def test_the_heads_that_ship_stand_on_the_towers_in_use():
    tagger = Tagger.from_pretrained()
    assert 0 < near_of(tagger.retriever) < NEVER_NEAR
    red = Image.new("RGB", (96, 128), (235, 232, 228))
    red.paste((190, 20, 35), (25, 25, 70, 105))
    seen = tagger.tag([red, red.resize((300, 200))])
    assert [one.guesses["colour_family"][0][0] for one in seen] == ["红", "红"]
