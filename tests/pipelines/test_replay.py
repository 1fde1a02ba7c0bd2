"""A picture made again from its record equals itself; one that was touched is told apart."""

from __future__ import annotations

import dataclasses
import json

import pytest
from job_makers import NumpyGenerator

from mmgen.files.publish import record_path_of
from mmgen.values import ImageRequest
from pipelines.replay import Outcome, replay
from pipelines.text_to_image import TextToImagePipeline


class Drawer(NumpyGenerator):
    """Counts what it draws."""

    drawn = 0

    def generate(self, requests, pictures, on_step=None):
        Drawer.drawn += len(requests)
        return super().generate(requests, pictures, on_step)


def load(model, micro_batch):
    assert model == "numpy"
    return Drawer()


@pytest.fixture
def saved(tmp_path):
    def save(number, **options):
        request = ImageRequest(
            prompt=f"第{number}条红裙", seed=number, model="numpy", height=96, width=64
        )
        (made,) = TextToImagePipeline(Drawer()).stream([request])
        return made.save(tmp_path, name=str(number), **options).path

    return save


def test_20_files_are_equal_and_5_altered_ones_are_told_apart(saved):
    kinds = [
        {},
        {"format": "jpeg"},
        {"format": "webp"},
        {"visible_label": True},
        {"embed_request": True},
    ]
    paths = [saved(number, **kinds[number % 5]) for number in range(20)]
    outcomes = [replay(path, load, {}).outcome for path in paths]
    assert outcomes == [Outcome.EQUAL] * 20

    def flip(path, place):
        data = bytearray(path.read_bytes())
        data[place] ^= 1
        path.write_bytes(bytes(data))

    flip(paths[0], -60)
    flip(paths[1], -400)
    paths[2].write_bytes(paths[7].read_bytes())
    rewrite(paths[3], lambda record: record["request"].update(prompt="黑裙"))
    rewrite(paths[4], lambda record: record.update(pixels_sha256="0" * 64))
    drawn = Drawer.drawn
    altered = [replay(path, load, {}) for path in paths[:5]]
    assert [one.outcome for one in altered] == [Outcome.ALTERED] * 5
    assert all(one.details for one in altered)
    assert Drawer.drawn == drawn, "nothing is drawn for a file that is not what was written"


def rewrite(path, change):
    record_path = record_path_of(path)
    record = json.loads(record_path.read_text(encoding="utf-8"))
    change(record)
    record_path.write_text(json.dumps(record), encoding="utf-8")


def test_the_record_may_be_lost_where_the_request_is_embedded(saved):
    with_request, without = saved(1, embed_request=True, visible_label=True), saved(2)
    for path in (with_request, without):
        record_path_of(path).unlink()
    assert replay(with_request, load, {}).outcome is Outcome.EQUAL
    assert replay(without, load, {}).outcome is Outcome.NO_REQUEST


def test_an_embedded_request_that_was_changed_is_found(saved):
    path = saved(1, embed_request=True)
    record_path_of(path).unlink()
    path.write_bytes(path.read_bytes().replace("第1条".encode(), "第2条".encode()))
    assert replay(path, load, {}).outcome is Outcome.ALTERED


def test_another_model_and_other_pixels_are_named(saved):
    path = saved(1)

    class Other(Drawer):
        sha256 = "1" * 64

    assert replay(path, lambda *_: Other(), {}).outcome is Outcome.OTHER_MODEL

    class Newer(Drawer):
        environment = {"device": "cuda", "dtype": "uint8", "attention": None, "micro_batch": 1}  # noqa: RUF012

        def generate(self, requests, pictures, on_step=None):
            changed = [dataclasses.replace(one, seed=one.seed + 1) for one in requests]
            return super().generate(changed, pictures, on_step)

    replayed = replay(path, lambda *_: Newer(), {})
    assert replayed.outcome is Outcome.DIFFERS
    assert replayed.details == ("device cpu -> cuda",)


def test_a_missing_reference_is_named_before_anything_is_loaded(tmp_path, saved):
    path = saved(1)
    digest = "a" * 64

    def change(record):
        record["request"]["references"] = [[digest, 1.0]]

    rewrite(path, change)
    # The record no longer agrees with the label, which is told first.
    assert replay(path, load, {}).outcome is Outcome.ALTERED
    request = ImageRequest(
        prompt="红裙", model="numpy", height=96, width=64, references=((digest, 1.0),)
    )
    reference = tmp_path / "r.png"
    reference.write_bytes(saved(9).read_bytes())
    (made,) = TextToImagePipeline(Drawer()).stream([request], {digest: reference})
    path = made.save(tmp_path, name="with reference").path
    assert replay(path, load, {}).details == (digest,)
    assert replay(path, load, {digest: reference}).outcome is Outcome.EQUAL
