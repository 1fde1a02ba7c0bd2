"""Named full configurations: recipe name -> configuration, one table a stage."""

from __future__ import annotations

from training.autoencoder import AutoencoderConfig
from training.loop import LoopConfig


def autoencoder_v0() -> AutoencoderConfig:
    """Two CPU cores, under an hour: the first weights."""
    return AutoencoderConfig(
        loop=LoopConfig(
            steps=2_400,
            batch_size=16,
            learning_rate=6e-4,
            decay_fraction=0.5,
            weight_decay=1e-3,
            checkpoint_minutes=4,
            sample_every=600,
            seed=1,
        )
    )


def autoencoder_tiny() -> AutoencoderConfig:
    """A few seconds: tests, and a dry run of everything before a long one."""
    return AutoencoderConfig(
        loop=LoopConfig(steps=4, batch_size=2, learning_rate=1e-3, log_every=1, sample_every=4),
        latent_channels=4,
        crop_px=32,
    )


AUTOENCODER = {"v0": autoencoder_v0, "tiny": autoencoder_tiny}
