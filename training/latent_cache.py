"""Photographs -> what the frozen parts see in them, computed once a run.

Kept on disk beside the packed photographs, under a name that depends on the
pictures and on the weights that looked at them.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from mmgen.devices import choose_dtype
from mmgen.pixels.autoencoder import GarmentAutoencoder
from mmgen.retrieval.towers import ImageEncoder
from training.autoencoder import to_unit

CHUNK = 32


def fingerprint(model: nn.Module) -> str:
    """16 hex digits that change with any weight."""
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().float().numpy().tobytes())
    return digest.hexdigest()[:16]


@torch.no_grad()
def cached_latents(
    vae: GarmentAutoencoder, pixels: np.ndarray, folder: Path, device: torch.device
) -> np.ndarray:
    """float16 (2, N, C, h, w): normalised latents of each picture and of its mirror image."""

    def encode(batch: Tensor) -> Tensor:
        both = torch.stack([batch, batch.flip(3)], dim=1).flatten(0, 1)
        both = both.contiguous(memory_format=torch.channels_last)
        latents = vae.normalize(vae.encode(both).latent_dist.mode())
        return latents.unflatten(0, (-1, 2))

    stored = _cached("latents", vae, encode, pixels, folder, device)
    return stored.swapaxes(0, 1)


@torch.no_grad()
def cached_grids(
    encoder: ImageEncoder, pixels: np.ndarray, folder: Path, device: torch.device
) -> np.ndarray:
    """float16 (N, T, C): the image tower's features of each picture, as references carry them."""
    return _cached("grids", encoder, lambda b: encoder(b).last_hidden_state, pixels, folder, device)


@torch.no_grad()
def cached_maps(
    encoder: ImageEncoder, pixels: np.ndarray, folder: Path, device: torch.device
) -> np.ndarray:
    """float16 (N, C, h, w): the image tower's features in place, for the denoiser to agree with."""
    return _cached("maps", encoder, encoder.feature_map, pixels, folder, device)


@torch.no_grad()
def cached_vectors(
    encoder: ImageEncoder, pixels: np.ndarray, folder: Path, device: torch.device
) -> np.ndarray:
    """float16 (N, E): the image tower's vectors, of length 1."""

    def encode(batch: Tensor) -> Tensor:
        return nn.functional.normalize(encoder(batch).image_embeds.float(), dim=1)

    return _cached("vectors", encoder, encode, pixels, folder, device)


def _cached(
    name: str,
    model: nn.Module,
    encode: Callable[[Tensor], Tensor],
    pixels: np.ndarray,
    folder: Path,
    device: torch.device,
) -> np.ndarray:
    sample = pixels[:: max(1, len(pixels) // 64)]
    seen = hashlib.sha256(repr(pixels.shape).encode() + sample.tobytes()).hexdigest()[:16]
    path = folder / f"{seen}.{fingerprint(model)}.{name}.npy"
    if not path.exists():
        was, kind = next(model.parameters()).device, next(model.parameters()).dtype
        precision = choose_dtype(device)
        model.eval().to(device)
        parts = []
        for start in range(0, len(pixels), CHUNK):
            batch = to_unit(torch.from_numpy(np.array(pixels[start : start + CHUNK])))
            with torch.autocast(device.type, precision, enabled=precision != torch.float32):
                seen_in = encode(batch.to(device, kind))
            parts.append(seen_in.to("cpu", torch.float16).numpy())
        model.to(was)
        folder.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".{os.getpid()}.part")
        with part.open("wb") as file:
            np.save(file, np.concatenate(parts))
        part.rename(path)
    loaded: np.ndarray = np.load(path, mmap_mode="r")
    return loaded
