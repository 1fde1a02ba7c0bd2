"""The three stages on a made-up folder, end to end with tiny real parts."""

import shutil

import numpy as np
import pytest
import torch

from mmgen import TextToImagePipeline
from mmgen.errors import FileUnreadable
from training import recipes, run
from training.autoencoder import box_mask
from training.dataset import pack, read_rows
from training.diffusion import nearest
from training.towers import recalls, vary


@pytest.fixture(scope="module")
def trained(garments, tmp_path_factory):
    """The run folder after all three stages."""
    runs = tmp_path_factory.mktemp("runs")
    logs = []

    def log(step, figures):
        logs.append(figures)

    run.train_autoencoder(recipes.AUTOENCODER["tiny"](), garments, runs / "vae", on_log=log)
    run.train_towers(recipes.TOWERS["tiny"](), garments, runs / "towers", on_log=log)
    for stage in ("vae", "towers"):
        shutil.copytree(runs / stage / "export", runs / "parts", dirs_exist_ok=True)
    run.train_diffusion(
        recipes.DIFFUSION["tiny"](),
        garments,
        runs / "diffusion",
        components=runs / "parts",
        on_log=log,
    )
    return runs, logs


def test_the_export_is_a_model_that_draws(trained):
    pipe = TextToImagePipeline.from_pretrained(trained[0] / "diffusion" / "export")
    out = pipe("红色T恤", num_inference_steps=2, seed=1)
    assert out.images[0].size == (192, 256)


def test_figures_sheets_and_events_are_kept(trained):
    runs, logs = trained
    names = {name for figures in logs for name in figures}
    assert {"loss", "rows_per_s", "psnr", "t2i_r1", "i2t_r10", "held_out_loss"} <= names
    assert all(np.isfinite(value) for figures in logs for value in figures.values())
    for stage in ("vae", "diffusion"):
        assert list((runs / stage).glob("sample-*.png"))
    assert list((runs / "diffusion").rglob("events.out.tfevents.*"))


def test_nothing_of_this_machine_travels_with_the_weights(trained):
    for path in (trained[0] / "diffusion" / "export").rglob("*.json"):
        text = path.read_text(encoding="utf-8")
        assert str(trained[0]) not in text
        assert "_name_or_path" not in text


def test_the_autoencoder_knows_the_spread_of_its_latents(trained):
    from mmgen.pixels.autoencoder import GarmentAutoencoder

    config = GarmentAutoencoder.from_pretrained(trained[0] / "parts" / "vae").config
    assert len(config.latents_mean) == len(config.latents_std) == config.latent_channels
    assert all(std > 0 for std in config.latents_std)


def test_a_run_starts_from_earlier_weights(trained, garments, tmp_path):
    runs, _ = trained
    done = run.train_diffusion(
        recipes.DIFFUSION["tiny"](),
        garments,
        tmp_path / "more",
        components=runs / "parts",
        init_from=runs / "diffusion" / "export",
    )
    assert done == recipes.DIFFUSION["tiny"]().loop.steps


def test_packed_pictures_are_the_photographs_and_decoded_once(garments, tmp_path):
    rows = read_rows(garments, "train")
    assert {row["file_name"].split("/")[0] for row in rows} == {"train"}
    pixels, boxes = pack(garments, rows, tmp_path, height=64, width=48)
    assert pixels.shape == (12, 64, 48, 3)
    is_wide = np.array([index % 5 == 4 for index in range(12)])
    assert (boxes[~is_wide] == [0, 0, 1, 1]).all()
    assert (boxes[is_wide, 0] > 0.1).all()
    before = sorted(tmp_path.iterdir())
    again, _ = pack(garments, rows, tmp_path, height=64, width=48)
    assert sorted(tmp_path.iterdir()) == before
    assert np.array_equal(again, pixels)


def test_a_broken_photograph_is_named_and_nothing_stays_behind(garments, tmp_path):
    folder, cache = tmp_path / "data", tmp_path / "cache"
    shutil.copytree(garments, folder)
    rows = read_rows(folder, "train")
    broken = folder / rows[3]["file_name"]
    broken.write_bytes(broken.read_bytes()[:60])
    with pytest.raises(FileUnreadable, match=broken.name):
        pack(folder, rows, cache, height=64, width=48)
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize("recipe", ["AUTOENCODER", "TOWERS", "DIFFUSION"])
def test_every_recipe_builds(recipe):
    for make in getattr(recipes, recipe).values():
        assert make().loop.steps > 0


def test_recall_of_known_ranks():
    scores = torch.eye(20)
    assert recalls(scores)["t2i_r1"] == 1.0
    scores[0, 1:6] = 2.0
    figures = recalls(scores)
    assert figures["t2i_r1"] == pytest.approx(0.95)
    assert figures["t2i_r5"] == pytest.approx(0.95)
    assert figures["t2i_r10"] == 1.0


def test_neighbours_are_others_and_nearest_first():
    angles = np.linspace(0, 1, 7)
    vectors = np.stack([np.cos(angles), np.sin(angles)], 1).astype(np.float16)
    found = nearest(vectors, 2)
    assert found.shape == (7, 2)
    assert all(row not in neighbours for row, neighbours in enumerate(found))
    assert set(found[3]) == {2, 4}


def test_masks_follow_boxes():
    mask = box_mask(torch.tensor([[0.25, 0.0, 0.75, 1.0]]), 8, 4)
    assert mask.shape == (1, 1, 8, 4)
    assert mask[0, 0].sum(1).tolist() == [0, 0, 4, 4, 4, 4, 0, 0]


def test_variation_keeps_shape_and_depends_on_the_generator_alone():
    pixels = torch.rand(3, 3, 16, 12)
    one = vary(pixels, torch.Generator().manual_seed(1))
    assert one.shape == pixels.shape
    assert torch.equal(one, vary(pixels, torch.Generator().manual_seed(1)))
    assert not torch.equal(one, vary(pixels, torch.Generator().manual_seed(2)))
