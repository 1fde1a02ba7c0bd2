"""From a catalogue into the generator and its record: files and features alike."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mmgen.catalogue.builtin import BuiltinFeatures, Quantized, features_sha256
from mmgen.errors import Conflict, OutOfRange, WrongType
from pipelines.catalogue import Catalogue
from pipelines.collections import BuiltinCatalogue
from pipelines.components import load_generator, load_retriever
from pipelines.references import FeaturesForeign, FewerReferences, Reference, retrieve
from pipelines.text_to_image import TextToImagePipeline
from training.builtin_catalogue import build_builtin_catalogue, choose


@pytest.fixture(scope="module")
def towers(tiny_model):
    return load_retriever(str(tiny_model))


@pytest.fixture(scope="module")
def pipe(tiny_model):
    return TextToImagePipeline(load_generator(str(tiny_model)))


@pytest.fixture(scope="module")
def builtin(tmp_path_factory, garments, towers):
    folder = tmp_path_factory.mktemp("builtin") / "catalogue"
    assert build_builtin_catalogue(garments, folder, towers, items=8) == 8
    return BuiltinCatalogue(BuiltinFeatures.load(folder), towers)


def draw(pipe, **options):
    return pipe("红色T恤", num_inference_steps=2, seed=3, height=64, width=64, **options)


def test_quantising_loses_at_most_half_a_step():
    array = np.random.default_rng(0).standard_normal((5, 7, 16)).astype(np.float32)
    array[2, 3] = 0
    restored = Quantized.of(array).restore()
    steps = np.abs(array).max(-1, keepdims=True) / 127
    assert (np.abs(restored - array) <= steps / 2 + 1e-6).all()


def test_the_builtin_catalogue_holds_training_pictures_of_every_kind(builtin, garments):
    assert len(builtin) == 8
    items = builtin.items(range(8))
    assert all(item.item.startswith("train/") and item.path is None for item in items)
    assert {item.licence for item in items} == {"CC0-1.0"}
    rows = [
        {"file_name": f"train/{n}", "category": c, "colors": [c]} for n, c in enumerate("aaaaaab")
    ]
    assert {row["category"] for row in choose(rows, 2)} == {"a", "b"}


def test_features_draw_what_the_photograph_draws(builtin, pipe, garments):
    hit = builtin.search("红色T恤", n=1)[0]
    photograph = garments / hit.item.item
    by_file = draw(pipe, references=[photograph]).pictures[0]
    by_features = draw(pipe, references="auto", num_references=1, catalogue=builtin).pictures[0]
    without = draw(pipe).pictures[0]
    near = np.abs(by_file.pixels.astype(int) - by_features.pixels).mean()
    far = np.abs(by_file.pixels.astype(int) - without.pixels).mean()
    assert near < far / 3
    (record,) = by_features.references
    assert (record["catalogue"], record["item"]) == ("builtin", hit.item.item)
    assert (record["licence"], record["score"]) == ("CC0-1.0", round(hit.score, 4))
    features = builtin.features.features(hit.item.id)
    assert by_features.request.references == ((features_sha256(features), 1.0),)


def test_a_users_catalogue_gives_files(towers, pipe, garments):
    catalogue = Catalogue.create("春装", retriever=towers)
    catalogue.add(garments, licence="CC0-1.0")
    made = draw(
        pipe, references="auto", num_references=2, catalogue=catalogue, filters={"颜色": "蓝"}
    ).pictures[0]
    assert [record["catalogue"] for record in made.references] == ["春装", "春装"]
    names = [record["item"] for record in made.references]
    same = draw(pipe, references=[garments / name for name in names]).pictures[0]
    assert same.request == made.request
    assert (same.pixels == made.pixels).all()


def test_a_file_that_is_gone_or_changed_is_passed_over(towers, garments, tmp_path):
    import shutil

    photos = tmp_path / "photos"
    shutil.copytree(garments / "train", photos)
    catalogue = Catalogue.create("春装", retriever=towers)
    catalogue.add(photos)
    first, second = catalogue.search("红色T恤", n=2)
    (photos / first.item.item).unlink()
    (photos / second.item.item).write_bytes((photos / "0000.webp").read_bytes() + b"x")
    found = retrieve("红色T恤", catalogue, 2)
    assert {each.item for each in found}.isdisjoint({first.item.item, second.item.item})
    assert len(found) == 2
    for path in photos.iterdir():
        path.unlink()
    with pytest.warns(FewerReferences, match="0"):
        assert retrieve("红色T恤", catalogue, 3) == []


def test_features_of_another_model_are_refused(builtin, pipe):
    good = retrieve("红色T恤", builtin, 1)[0]
    request = draw(pipe, references="auto", num_references=1, catalogue=builtin).requests[0]
    for changes in ({"towers_sha256": "b" * 64}, {"source": np.asarray(good.source) + 1}):
        values = {name: getattr(good, name) for name in Reference.__dataclass_fields__}
        bad = Reference(**{**values, **changes})
        with pytest.raises(FeaturesForeign):
            next(pipe.stream([request], {bad.sha256: bad}))


def test_wrong_requests(builtin, pipe):
    with pytest.raises(Conflict):
        draw(pipe, references="auto", reference_weights=[1.0], catalogue=builtin)
    with pytest.raises(OutOfRange):
        draw(pipe, references="auto", num_references=5, catalogue=builtin)
    with pytest.raises(WrongType, match="4 places"):
        pipe.generator.pipeline.encode_references([[np.zeros((3, 2), np.float32)]], [[1.0]])


def test_features_and_pictures_meet_in_one_tensor(pipe, towers, garments):
    from PIL import Image

    pipeline = pipe.generator.pipeline
    picture = Image.open(garments / "train" / "0000.webp").convert("RGB")
    with torch.inference_mode():
        seen, weights = pipeline.encode_references([[picture]], [[0.5]])
        again, _ = pipeline.encode_references([[seen[0, 0].float().numpy()]], [[0.5]])
    assert torch.equal(seen, again)
    assert weights[0].tolist()[0] == 0.5
