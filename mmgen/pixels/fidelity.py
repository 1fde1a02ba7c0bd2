"""How like two pictures are, pixel by pixel: PSNR and SSIM, leaving padding out."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def to_unit(pixels: Tensor) -> Tensor:
    """uint8 (B, H, W, 3) -> float32 (B, 3, H, W) in [-1, 1], channels last."""
    unit = pixels.permute(0, 3, 1, 2).float().div_(127.5).sub_(1)
    return unit.contiguous(memory_format=torch.channels_last)


def psnr(made: Tensor, wanted: Tensor, mask: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB, (B,); both (B, 3, H, W) in [-1, 1]."""
    error = ((made.clamp(-1, 1) - wanted) / 2).square() * mask
    mean = error.sum((1, 2, 3)) / (3 * mask.sum((1, 2, 3)))
    return -10 * torch.log10(mean.clamp_min(1e-10))


def ssim(made: Tensor, wanted: Tensor, mask: Tensor) -> Tensor:
    """Structural similarity, (B,), mean over the places that `mask` keeps.

    made, wanted  float32 (B, 3, H, W) in [-1, 1]
    mask          (B, 1, H, W)

    Gaussian window of 11 pixels and sigma 1.5, each colour channel by itself
    (Wang et al. 2004, https://doi.org/10.1109/TIP.2003.819861).
    """
    made, wanted = (made.clamp(-1, 1) + 1) / 2, (wanted + 1) / 2
    line = torch.exp(-(torch.arange(-5, 6, device=made.device) ** 2) / (2 * 1.5**2))
    line = (line / line.sum()).expand(15, 1, 1, 11)

    def blur(values: Tensor) -> Tensor:
        kernel = line[: values.shape[1]]
        across = F.conv2d(values, kernel, groups=values.shape[1])
        return F.conv2d(across, kernel.transpose(2, 3), groups=values.shape[1])

    moments = blur(torch.cat([made, wanted, made * made, wanted * wanted, made * wanted], 1))
    mean_a, mean_b, square_a, square_b, product = moments.chunk(5, dim=1)
    c1, c2 = 0.01**2, 0.03**2
    both = mean_a * mean_b
    likeness = (2 * both + c1) / (mean_a.square() + mean_b.square() + c1)
    likeness = likeness * (2 * (product - both) + c2)
    likeness = likeness / (square_a - mean_a.square() + square_b - mean_b.square() + c2)
    kept = mask[:, :, 5:-5, 5:-5]
    return (likeness * kept).sum((1, 2, 3)) / (3 * kept.sum((1, 2, 3))).clamp_min(1)


def box_mask(boxes: Tensor, height: int, width: int) -> Tensor:
    """boxes (B, 4) top, left, bottom, right in [0, 1] -> float32 (B, 1, H, W) of 0 and 1."""
    y = (torch.arange(height) + 0.5) / height
    x = (torch.arange(width) + 0.5) / width
    rows = (y >= boxes[:, :1]) & (y < boxes[:, 2:3])
    columns = (x >= boxes[:, 1:2]) & (x < boxes[:, 3:])
    return (rows[:, :, None] & columns[:, None, :])[:, None].float()
