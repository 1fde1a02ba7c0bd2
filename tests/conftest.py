"""What every test gets: an empty home, no network, one thread for torch."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

# Set before any test imports torch or diffusers.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["DIFFUSERS_DISABLE_REMOTE_CODE"] = "1"

ROOT = Path(__file__).resolve().parent.parent

pytest_plugins = ["tests.tiny_hub"]


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(autouse=True)
def empty_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own for each test, and none of the caller's settings."""
    for name in ("DEVICE", "LANG", "MODEL", "OFFLINE"):
        monkeypatch.delenv(f"MMGEN_{name}", raising=False)
    for name in ("HF_ENDPOINT", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("MMGEN_HOME", str(home))
    return home


@pytest.fixture(autouse=True, scope="session")
def no_network() -> Iterator[None]:
    """A connection to anything but this machine fails the test that tries it."""
    connect = socket.socket.connect

    def refuse(self: socket.socket, address: Any) -> None:
        is_remote = self.family in (socket.AF_INET, socket.AF_INET6) and not str(
            address[0]
        ).startswith(("127.", "::1", "localhost"))
        if is_remote:
            raise AssertionError(f"a test tried to reach {address}")
        connect(self, address)

    patch = pytest.MonkeyPatch()
    patch.setattr(socket.socket, "connect", refuse)
    yield
    patch.undo()


@pytest.fixture
def sockets(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """The sockets of any kind that were opened since the test began."""
    opened: list[tuple[Any, ...]] = []

    class Counted(socket.socket):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            opened.append((*arguments, *options.items()))
            super().__init__(*arguments, **options)

    monkeypatch.setattr(socket, "socket", Counted)
    return opened


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of the embedded model's real classes, hidden size 32, random weights.

    It draws 48 x 64 pictures (width x height).
    """
    import torch
    from diffusers.schedulers import FlowMatchEulerDiscreteScheduler

    from mmgen.latents.pipeline import GarmentPipeline
    from mmgen.latents.transformer import GarmentTransformer2DModel
    from mmgen.pixels.autoencoder import GarmentAutoencoder
    from mmgen.retrieval.towers import ImageEncoder
    from mmgen.text.encoder import TextEncoder
    from mmgen.text.tokenizer import build_tokenizer

    with torch.random.fork_rng():
        torch.manual_seed(0)
        tokenizer = build_tokenizer(["红色短袖t恤,黑色长裤,一件蓝白格子衬衫"], max_tokens=16)
        transformer = GarmentTransformer2DModel(
            in_channels=4,
            sample_height=8,
            sample_width=6,
            patch_size=2,
            width=32,
            num_layers=2,
            num_heads=2,
            text_dim=32,
            pooled_dim=32,
            reference_dim=16,
            reference_tokens=4,
        )
        # Zero-initialised layers would make every prompt draw the same picture.
        for parameter in transformer.parameters():
            torch.nn.init.normal_(parameter, std=0.1)
        GarmentPipeline(
            vae=GarmentAutoencoder(latent_channels=4, widths=(8, 8, 16)),
            text_encoder=TextEncoder(
                vocab_size=len(tokenizer),
                max_length=16,
                hidden_size=32,
                num_layers=1,
                num_heads=2,
                projection_dim=32,
            ),
            tokenizer=tokenizer,
            image_encoder=ImageEncoder(
                widths=(8, 8, 16, 16),
                projection_dim=32,
                image_height=64,
                image_width=48,
                grid_height=2,
                grid_width=2,
            ),
            transformer=transformer,
            scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        ).save_pretrained(folder := tmp_path_factory.mktemp("tiny") / "tiny-model")
    return folder


@pytest.fixture(scope="session")
def garments(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A made-up training folder: 12 plain garments in `train/`, 6 in `validation/`."""
    import json

    from PIL import Image, ImageDraw

    folder = tmp_path_factory.mktemp("garments")
    colours = {"红": (200, 30, 40), "黑": (20, 20, 20), "蓝": (30, 60, 180)}
    rows = []
    for number in range(18):
        split = "train" if number < 12 else "validation"
        name = f"{split}/{number:04d}.webp"
        colour, category = list(colours)[number % 3], ("T恤", "长裤")[number % 2]
        size = (80, 60) if number % 5 == 4 else (60, 80)
        picture = Image.new("RGB", size, (230, 228, 220))
        box = (15, 20, 45, 60) if category == "T恤" else (22, 10, 38, 74)
        ImageDraw.Draw(picture).rectangle(box, fill=colours[colour])
        (folder / split).mkdir(exist_ok=True)
        picture.save(folder / name)
        rows.append(
            {
                "file_name": name,
                "caption": f"一件{colour}色{category},第{number}张",
                "category": category,
                "colors": [colour],
                "patterns": ["纯色"],
                "sleeve": "短袖" if category == "T恤" else None,
                "neckline": "圆领" if category == "T恤" else None,
                "length": "常规",
                "fabric": "棉",
                "detail": None,
                "wearer": "中性",
                "background": "白墙",
                "source_id": f"made-{number}",
                "source_label": "T-Shirt",
            }
        )
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    (folder / "metadata.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder
