"""Copy claims nothing that was not asserted, whatever the tags and the seed."""

from hypothesis import given, settings
from hypothesis import strategies as st

from mmgen.text.vocabulary import colour_families, load_vocabulary
from pipelines.product_copy import unseen_words, write_copy

VALUES = {name: list(values) for name, values in load_vocabulary().attributes.items()}


def some(name: str) -> st.SearchStrategy[tuple[str, ...]]:
    most = 3 if name in ("colors", "patterns") else 1
    return st.lists(st.sampled_from(VALUES[name]), min_size=1, max_size=most, unique=True).map(
        tuple
    )


SURE = st.fixed_dictionaries(
    {},
    optional={
        **{name: some(name) for name in VALUES},
        "colour_family": st.sampled_from(colour_families()).map(lambda family: (family,)),
    },
)


@given(SURE, st.integers(0, 10**6))
@settings(max_examples=100, deadline=None)
def test_every_word_about_the_garment_is_asserted(sure, seed):
    text = write_copy(sure, seed)
    assert unseen_words(text, sure) == []
    assert 5 <= len(text) <= 80
    assert text.endswith("。")


def test_a_word_that_was_not_asserted_is_found():
    sure = {"category": ("T恤",), "colors": ("深蓝",)}
    assert unseen_words("红色T恤", sure) == ["红色"]
    assert unseen_words("深蓝色T恤，条纹元素", sure) == ["条纹"]
    assert unseen_words("藏青色T恤", sure) == []


def test_the_same_seed_gives_the_same_text_and_seeds_vary_it():
    sure = {
        "category": ("连衣裙",),
        "colors": ("红", "白"),
        "patterns": ("碎花",),
        "sleeve": ("短袖",),
        "neckline": ("V领",),
    }
    assert write_copy(sure, 3) == write_copy(sure, 3)
    texts = {write_copy(sure, seed) for seed in range(50)}
    assert len(texts) >= 25


def test_what_is_not_sure_is_not_spoken_of():
    assert write_copy({}, 1).replace("这件", "").replace("一件", "") in ("单品。",)
    text = write_copy({"colour_family": ("蓝",)}, 1)
    assert "蓝色系" in text
