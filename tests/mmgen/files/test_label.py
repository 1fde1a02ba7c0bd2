"""The seven fields: order, characters, identity."""

from __future__ import annotations

import dataclasses
import json
import string
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmgen import errors
from mmgen.files.label import FIELDS, Label, collection_id, produce_id
from mmgen.values import ImageRequest

ALLOWED = "".join(chr(c) for c in (0x21, *range(0x23, 0x5C), *range(0x5D, 0x7F)))
DIGESTS = {"model": "ab" * 32, "adapters": [], "references": []}


def test_json_has_the_seven_fields_in_the_order_of_the_standard() -> None:
    label = Label.first("ab" * 16, "00119144")
    assert list(json.loads(label.to_json())) == [
        "Label",
        "ContentProducer",
        "ProduceID",
        "ReservedCode1",
        "ContentPropagator",
        "PropagateID",
        "ReservedCode2",
    ]
    assert label.content_propagator == label.content_producer == "00119144"
    assert label.propagate_id == label.produce_id


@settings(deadline=None)
@given(st.text(ALLOWED, min_size=1, max_size=60))
def test_allowed_producers_survive_a_round_trip(producer: str) -> None:
    label = Label.first("ab" * 16, producer)
    assert Label.from_dict(json.loads(label.to_json())) == label


@pytest.mark.parametrize("bad", ["", "has space", 'quo"te', "back\\slash", "中文", "a\n", "é", 7])
def test_a_producer_outside_the_character_set_is_refused(bad: str) -> None:
    with pytest.raises(errors.WrongType, match="ContentProducer"):
        Label.first("ab" * 16, bad)


def test_every_single_character_is_judged_as_annex_e_says() -> None:
    for code in range(0x180):
        is_fine = chr(code) in ALLOWED
        try:
            Label.first("ab" * 16, chr(code))
        except errors.WrongType:
            assert not is_fine, hex(code)
        else:
            assert is_fine, hex(code)


def test_unknown_missing_and_wrong_fields_are_refused() -> None:
    fields = Label.first("ab" * 16).to_dict()
    with pytest.raises(errors.UnknownKey, match="Extra"):
        Label.from_dict({**fields, "Extra": "1"})
    with pytest.raises(errors.Missing, match="ProduceID"):
        Label.from_dict({key: fields[key] for key in FIELDS if key != "ProduceID"})
    with pytest.raises(errors.UnknownChoice):
        Label.from_dict({**fields, "Label": "4"})


def test_identity_depends_on_everything_that_makes_the_pixels_and_on_nothing_else() -> None:
    request = ImageRequest(prompt="红裙子", seed=1)
    ids = {
        produce_id(request, DIGESTS),
        produce_id(dataclasses.replace(request, seed=2), DIGESTS),
        produce_id(dataclasses.replace(request, prompt="绿裙子"), DIGESTS),
        produce_id(request, {**DIGESTS, "model": "cd" * 32}),
        produce_id(request, {**DIGESTS, "adapters": ["cd" * 32]}),
        produce_id(request, {**DIGESTS, "references": ["cd" * 32]}),
    }
    assert len(ids) == 6
    assert all(len(one) == 32 and set(one) <= set(string.hexdigits.lower()) for one in ids)
    assert produce_id(ImageRequest(prompt="红裙子", seed=1), dict(DIGESTS)) in ids


def test_identity_is_the_same_in_another_process() -> None:
    program = (
        "from mmgen.files.label import produce_id; from mmgen.values import ImageRequest\n"
        f"print(produce_id(ImageRequest(prompt='红裙子', seed=1), {DIGESTS!r}))"
    )
    out = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env={}
    )
    assert out.stdout.strip() == produce_id(ImageRequest(prompt="红裙子", seed=1), DIGESTS)


def test_a_sheet_has_an_identity_of_its_own() -> None:
    assert collection_id(["a" * 32, "b" * 32]) != collection_id(["b" * 32, "a" * 32])


def test_label_and_reader_load_neither_torch_nor_diffusers() -> None:
    program = (
        "import sys, mmgen.files.write, mmgen.files.sheet\n"
        "assert not {'torch', 'diffusers', 'transformers'} & set(sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
