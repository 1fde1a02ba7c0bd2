"""Measured colours: a garment's colour is found, its ground is not taken for it."""

import pytest
import torch

from mmgen.retrieval.colour_evidence import DIM, colour_evidence, lab_of


def picture(garment: tuple[int, int, int], ground: tuple[int, int, int]) -> torch.Tensor:
    pixels = torch.tensor(ground, dtype=torch.uint8)[:, None, None].repeat(1, 128, 96)
    pixels[:, 30:100, 25:70] = torch.tensor(garment, dtype=torch.uint8)[:, None, None]
    return pixels


def test_lab_of_known_colours():
    pixels = torch.tensor([[255, 255, 255], [0, 0, 0], [255, 0, 0]], dtype=torch.uint8)
    wanted = torch.tensor([[100.0, 0.0, 0.0], [0.0, 0.0, 0.0], [53.24, 80.09, 67.20]])
    assert torch.allclose(lab_of(pixels), wanted, atol=0.3)


def test_shape_and_shares_sum_to_one():
    seen = colour_evidence(torch.randint(0, 256, (3, 3, 128, 96), dtype=torch.uint8))
    assert seen.shape == (3, DIM)
    assert seen.dtype == torch.float32
    shares = seen.view(3, 4, DIM // 4)[:, :, :125].square().sum(2)
    assert torch.allclose(shares, torch.ones(3, 4), atol=1e-3)


def test_a_mirror_image_has_the_same_colours():
    pixels = torch.randint(0, 256, (2, 3, 127, 97), dtype=torch.uint8)
    assert torch.allclose(colour_evidence(pixels), colour_evidence(pixels.flip(3)), atol=1e-4)


def test_one_picture_does_not_depend_on_its_neighbours():
    pixels = torch.randint(0, 256, (3, 3, 64, 48), dtype=torch.uint8)
    assert torch.allclose(colour_evidence(pixels)[1], colour_evidence(pixels[1:2])[0], atol=1e-5)


@pytest.mark.parametrize("ground", [(240, 240, 240), (30, 30, 30), (40, 90, 200)])
def test_the_garment_view_is_of_the_garment_and_not_of_the_ground(ground):
    garment = (200, 30, 40)
    view = DIM // 4
    mean = 50 * colour_evidence(picture(garment, ground)[None])[0, view + 125 : view + 128]
    to_garment = (mean - lab_of(torch.tensor(garment, dtype=torch.uint8))).norm()
    to_ground = (mean - lab_of(torch.tensor(ground, dtype=torch.uint8))).norm()
    assert to_garment < 12
    assert to_garment < to_ground / 4


def test_a_plain_picture_does_not_break_it():
    seen = colour_evidence(torch.full((1, 3, 32, 24), 128, dtype=torch.uint8))
    assert torch.isfinite(seen).all()
