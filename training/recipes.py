"""Named full configurations: recipe name -> configuration, one table a stage."""

from __future__ import annotations

from training.autoencoder import AutoencoderConfig
from training.diffusion import DiffusionConfig
from training.evaluator import EvaluatorConfig
from training.loop import LoopConfig
from training.mask import MaskConfig
from training.towers import TowersConfig
from training.upscaler import UpscalerConfig


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


def autoencoder_v1() -> AutoencoderConfig:
    """From v0 (`--init-from`): structure joins the loss, so that fabric keeps its texture."""
    return AutoencoderConfig(
        loop=LoopConfig(
            steps=2_400,
            batch_size=16,
            learning_rate=4e-4,
            decay_fraction=0.8,
            weight_decay=1e-3,
            checkpoint_minutes=4,
            sample_every=600,
            seed=4,
        ),
        structure_weight=0.5,
    )


def autoencoder_tiny() -> AutoencoderConfig:
    """A few seconds: tests, and a dry run of everything before a long one."""
    return AutoencoderConfig(
        loop=LoopConfig(steps=4, batch_size=2, learning_rate=1e-3, log_every=1, sample_every=4),
        latent_channels=4,
        widths=(8, 16, 16),
        crop_px=32,
    )


def towers_v0() -> TowersConfig:
    """Two CPU cores, about half an hour: the first weights."""
    return TowersConfig(
        loop=LoopConfig(
            steps=520,
            batch_size=256,
            learning_rate=1e-3,
            warmup_steps=50,
            decay_fraction=0.8,
            weight_decay=0.05,
            log_every=10,
            sample_every=130,
            seed=2,
        )
    )


def towers_v1() -> TowersConfig:
    """From v0 (`--init-from`), an hour of one core: memory, all attributes, short prompts."""
    return TowersConfig(
        loop=LoopConfig(
            steps=960,
            batch_size=256,
            learning_rate=1e-3,
            warmup_steps=50,
            decay_fraction=0.8,
            weight_decay=0.05,
            log_every=10,
            sample_every=120,
            seed=5,
        ),
        short_share=0.15,
        memory=1_024,
        light=0.12,
    )


def towers_retrieval() -> TowersConfig:
    """From v1 (`--init-from`), for the catalogue: mostly captions, more memory, averaged."""
    return TowersConfig(
        loop=LoopConfig(
            steps=720,
            batch_size=256,
            learning_rate=6e-4,
            warmup_steps=30,
            decay_fraction=0.9,
            weight_decay=0.05,
            ema_decay=0.99,
            log_every=10,
            sample_every=120,
            seed=7,
        ),
        caption_share=0.75,
        short_share=0.1,
        memory=2_048,
        unknown_rate=0.06,
        light=0.15,
    )


def towers_tiny() -> TowersConfig:
    """A few seconds."""
    return TowersConfig(
        loop=LoopConfig(steps=4, batch_size=4, learning_rate=1e-3, log_every=1, sample_every=4),
        hidden_size=32,
        text_layers=1,
        widths=(8, 8, 16, 16),
        short_share=0.5,
        memory=8,
        light=0.1,
    )


def evaluator_v0() -> EvaluatorConfig:
    """One CPU core, under an hour: the judge, trained once."""
    return EvaluatorConfig(
        loop=LoopConfig(
            steps=600,
            batch_size=256,
            learning_rate=1e-3,
            warmup_steps=30,
            decay_fraction=0.8,
            weight_decay=0.05,
            ema_decay=0.98,
            log_every=10,
            sample_every=100,
            seed=11,
        )
    )


def evaluator_v1() -> EvaluatorConfig:
    """From v0 (`--init-from`), an hour of one quiet core: three times as many pairs."""
    return EvaluatorConfig(
        loop=LoopConfig(
            steps=1_200,
            batch_size=256,
            learning_rate=8e-4,
            warmup_steps=30,
            decay_fraction=0.9,
            weight_decay=0.05,
            ema_decay=0.99,
            log_every=10,
            sample_every=120,
            seed=12,
        )
    )


def evaluator_tiny() -> EvaluatorConfig:
    """A few seconds."""
    return EvaluatorConfig(
        loop=LoopConfig(steps=4, batch_size=4, learning_rate=1e-3, log_every=1, sample_every=4),
        stem_widths=(8, 8, 8),
        width=16,
        num_layers=1,
        num_heads=2,
        num_buckets=256,
        bucket_dim=8,
        projection_dim=8,
    )


def diffusion_v0() -> DiffusionConfig:
    """Two CPU cores, about an hour: the first weights, 48 tokens a picture."""
    return DiffusionConfig(
        loop=LoopConfig(
            steps=1_200,
            batch_size=128,
            learning_rate=8e-4,
            betas=(0.9, 0.98),
            decay_fraction=0.3,
            ema_decay=0.998,
            compile=True,
            log_every=10,
            sample_every=300,
            seed=3,
        ),
        patch_size=4,
    )


def diffusion_v1() -> DiffusionConfig:
    """From v0 (`--init-from`), on better towers and latents: Muon, features aligned."""
    return DiffusionConfig(
        loop=LoopConfig(
            steps=1_800,
            batch_size=128,
            learning_rate=1e-3,
            betas=(0.9, 0.98),
            optimizer="muon",
            warmup_steps=40,
            decay_fraction=0.4,
            ema_decay=0.998,
            compile=True,
            log_every=10,
            sample_every=300,
            seed=6,
        ),
        patch_size=4,
        time_mean=0.2,
        align_weight=0.3,
    )


def diffusion_tiny() -> DiffusionConfig:
    """A few seconds."""
    return DiffusionConfig(
        loop=LoopConfig(
            steps=4,
            batch_size=4,
            learning_rate=1e-3,
            ema_decay=0.9,
            optimizer="muon",
            log_every=1,
            sample_every=4,
        ),
        patch_size=8,
        width=32,
        num_layers=2,
        num_heads=2,
        neighbours=4,
        align_weight=0.3,
        sheet_steps=2,
    )


def mask_v1() -> MaskConfig:
    """A few minutes of one CPU core; making the masks takes fifteen, once."""
    return MaskConfig(
        loop=LoopConfig(
            steps=400,
            batch_size=32,
            learning_rate=2e-3,
            warmup_steps=30,
            decay_fraction=0.7,
            ema_decay=0.98,
            checkpoint_minutes=4,
            sample_every=100,
            log_every=20,
            seed=5,
        )
    )


def mask_tiny() -> MaskConfig:
    """A few seconds."""
    return MaskConfig(
        loop=LoopConfig(steps=4, batch_size=2, learning_rate=1e-3, log_every=1, sample_every=4),
        widths=(8, 8, 16),
        num_labels=6,
    )


def upscaler_v1() -> UpscalerConfig:
    """Some minutes of one CPU core."""
    return UpscalerConfig(
        loop=LoopConfig(
            steps=900,
            batch_size=8,
            learning_rate=2e-3,
            warmup_steps=50,
            decay_fraction=0.7,
            weight_decay=0.0,
            checkpoint_minutes=4,
            sample_every=300,
            log_every=30,
            seed=6,
        )
    )


def upscaler_tiny() -> UpscalerConfig:
    """A few seconds."""
    return UpscalerConfig(
        loop=LoopConfig(steps=4, batch_size=2, learning_rate=1e-3, log_every=1, sample_every=4),
        channels=8,
        blocks=1,
        crop_px=32,
        num_pictures=6,
    )


AUTOENCODER = {"v0": autoencoder_v0, "v1": autoencoder_v1, "tiny": autoencoder_tiny}
TOWERS = {"v0": towers_v0, "v1": towers_v1, "retrieval": towers_retrieval, "tiny": towers_tiny}
EVALUATOR = {"v0": evaluator_v0, "v1": evaluator_v1, "tiny": evaluator_tiny}
DIFFUSION = {"v0": diffusion_v0, "v1": diffusion_v1, "tiny": diffusion_tiny}
MASK = {"v1": mask_v1, "tiny": mask_tiny}
UPSCALER = {"v1": upscaler_v1, "tiny": upscaler_tiny}
