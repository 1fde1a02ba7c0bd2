"""Shapes, identities and files of the autoencoder."""

import torch

from mmgen.pixels.autoencoder import GarmentAutoencoder, ResidualBlock


def tiny() -> GarmentAutoencoder:
    torch.manual_seed(0)
    return GarmentAutoencoder(
        latent_channels=4,
        widths=(8, 8, 16),
        latents_mean=(0.1, -0.2, 0.3, 0.0),
        latents_std=(1.0, 2.0, 0.5, 1.5),
    ).eval()


def test_latents_are_eight_times_smaller_and_come_back():
    model = tiny()
    pixels = torch.rand(2, 3, 64, 48) * 2 - 1
    latents = model.encode(pixels).latent_dist.mode()
    assert latents.shape == (2, 4, 8, 6)
    assert model.decode(latents).sample.shape == pixels.shape


def test_denormalize_undoes_normalize():
    model = tiny()
    latents = torch.randn(2, 4, 3, 3)
    assert torch.allclose(model.denormalize(model.normalize(latents)), latents, atol=1e-6)


def test_a_fresh_residual_block_changes_nothing():
    block, hidden = ResidualBlock(8, 4), torch.randn(1, 8, 5, 5)
    assert torch.equal(block(hidden), hidden)


def test_a_picture_does_not_see_its_neighbours():
    model = tiny()
    pixels = torch.rand(3, 3, 32, 32) * 2 - 1
    alone = model.encode(pixels[1:2]).latent_dist.mode()
    assert torch.allclose(model.encode(pixels).latent_dist.mode()[1:2], alone, atol=1e-5)


def test_saved_and_loaded_is_the_same(tmp_path):
    model = tiny()
    model.save_pretrained(tmp_path)
    again = GarmentAutoencoder.from_pretrained(tmp_path)
    assert list(again.config.latents_std) == [1.0, 2.0, 0.5, 1.5]
    pixels = torch.rand(1, 3, 16, 16)
    assert torch.equal(
        model.encode(pixels).latent_dist.mode(), again.eval().encode(pixels).latent_dist.mode()
    )
