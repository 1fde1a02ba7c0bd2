"""A model folder -> generator and retriever; identities cover what they should."""

import shutil

import numpy as np
import pytest
from PIL import Image

from mmgen.errors import ModelFileBroken
from mmgen.values import Retriever
from pipelines.components import load_generator, load_retriever


def test_the_towers_of_a_model_retrieve(tiny_model):
    towers = load_retriever(str(tiny_model))
    assert isinstance(towers, Retriever)
    texts = towers.encode_text(["红色t恤", "紅色T恤"])
    images = towers.encode_image([Image.new("RGB", (300, 400), "red")])
    assert np.allclose(texts[0], texts[1])
    assert (texts @ images.T).shape == (2, 1)
    assert np.abs(texts @ images.T).max() <= 1 + 1e-5


def test_identity_follows_the_files_that_matter(tiny_model, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(tiny_model, other)
    assert load_generator(str(other)).sha256 == load_generator(str(tiny_model)).sha256
    assert load_generator(str(other)).id == "other"

    config = other / "scheduler" / "scheduler_config.json"
    config.write_text(config.read_text().replace('"shift": 3.0', '"shift": 2.0'))
    assert load_generator(str(other)).sha256 != load_generator(str(tiny_model)).sha256
    assert load_retriever(str(other)).sha256 == load_retriever(str(tiny_model)).sha256


def test_cut_off_weights_are_refused(tiny_model, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(tiny_model, other)
    weights = other / "transformer" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(ModelFileBroken):
        load_generator(str(other))
