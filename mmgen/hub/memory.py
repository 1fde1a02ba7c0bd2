"""Where the weights of a large model lie while it draws, and what to do when memory ends.

A ladder of placements, fastest first. Each rung needs less of the device's memory
than the one above and takes longer:

    resident   all weights on the device
    tiled      the same; the autoencoder decodes tile by tile
    whole      one network on the device at a time, the others in main memory
    half       half of the denoiser's blocks stay, the others are streamed through
    streamed   every block of every large network is streamed through
    leaves     the same, layer by layer

Which blocks stay is decided for each network, as M6-10T's granular offloading
does (arXiv 2110.03888); the moving is diffusers' model and group offload.
"""

from __future__ import annotations

import gc
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from mmgen.errors import DeviceError, MmgenWarning

if TYPE_CHECKING:
    import torch

Drawn = TypeVar("Drawn")


@dataclass(frozen=True, kw_only=True, slots=True)
class Rung:
    """One placement."""

    name: str
    kept: float
    """Share of the denoiser's blocks that stay on the device."""
    offload: str = ""
    """`model`, `blocks` or `leaves`; empty: nothing moves."""
    tiled: bool = True


RESIDENT = Rung(name="resident", kept=1.0, tiled=False)
TILED = Rung(name="tiled", kept=1.0)
WHOLE = Rung(name="whole", kept=1.0, offload="model")
HALF = Rung(name="half", kept=0.5, offload="blocks")
STREAMED = Rung(name="streamed", kept=0.0, offload="blocks")
LEAVES = Rung(name="leaves", kept=0.0, offload="leaves")
RUNGS = (RESIDENT, TILED, WHOLE, HALF, STREAMED, LEAVES)


class OutOfMemory(DeviceError):
    code = "device.out_of_memory"
    template = (
        "the memory of {device} is too small even with the placement {placement};"
        " use a smaller size or model, or close other programs"
    )


class PlacedLower(MmgenWarning):
    code = "device.placed_lower"
    template = (
        "the memory of {device} ran out with the placement {before}; {after} is used now,"
        " which is slower; steps, size and seed stay as they are"
    )


class Ladder:
    """The placement in force, and the way down from it."""

    def __init__(
        self, device: torch.device, denoiser: str, rungs: Sequence[Rung] | None = None
    ) -> None:
        """`rungs`: those that may be used, fastest first; on a CPU nothing can move."""
        self.device = device
        self._denoiser = denoiser
        default = RUNGS if device.type != "cpu" else (RESIDENT, TILED)
        self._left = list(rungs or default)

    @property
    def rung(self) -> Rung:
        """The placement in force."""
        return self._left[0]

    def place(self, pipeline: Any) -> None:
        """Put the weights where the rung in force wants them."""
        release(pipeline)
        if self.rung.tiled and hasattr(pipeline.vae, "enable_tiling"):
            pipeline.vae.enable_tiling()
        if self.rung.offload == "model":
            pipeline.enable_model_cpu_offload(device=self.device)
        elif self.rung.offload:
            _stream(pipeline, self._denoiser, self.device, self.rung)
        else:
            pipeline.to(self.device)

    def move(self, pipeline: Any, device: Any) -> None:
        """Go to another device with all weights."""
        import torch

        self.device = torch.device(device)
        self._left = [RESIDENT, TILED] if self.device.type == "cpu" else list(RUNGS)
        self.place(pipeline)

    def run(self, pipeline: Any, draw: Callable[[], Drawn]) -> Drawn:
        """What `draw` gives; each time memory runs out, one rung lower.

        Raises `OutOfMemory` below the last.
        """
        import torch

        while True:
            try:
                return draw()
            except torch.OutOfMemoryError:
                pass  # Outside, where the failed call's tensors are no longer held.
            before = self.rung.name
            if len(self._left) == 1:
                raise OutOfMemory(device=self.device, placement=before)
            del self._left[0]
            release(pipeline)
            gc.collect()
            if self.device.type == "cuda":
                torch.cuda.empty_cache()
            self.place(pipeline)
            warnings.warn(
                PlacedLower(device=self.device, before=before, after=self.rung.name), stacklevel=2
            )


def release(pipeline: Any) -> None:
    """Take all weights to main memory and remove every hook that would move them."""
    import torch

    pipeline.remove_all_hooks()
    for network in networks(pipeline).values():
        for module in network.modules():
            registry = getattr(module, "_diffusers_hook", None)
            if registry is not None:
                for name in list(registry.hooks):
                    if "group_offloading" in name or "layer_execution_tracker" in name:
                        registry.remove_hook(name, recurse=False)
        network.to(torch.device("cpu"))


def networks(pipeline: Any) -> dict[str, torch.nn.Module]:
    """The parts of `pipeline` that have weights."""
    import torch

    parts = pipeline.components.items()
    return {name: part for name, part in parts if isinstance(part, torch.nn.Module)}


def _stream(pipeline: Any, denoiser: str, device: torch.device, rung: Rung) -> None:
    """Group offload for every network but the autoencoder, which is small."""
    import torch
    from diffusers.hooks import apply_group_offloading

    options: dict[str, Any] = {"onload_device": device, "offload_device": torch.device("cpu")}
    options["use_stream"] = device.type == "cuda" and rung.kept == 0.0
    for name, network in networks(pipeline).items():
        if name == "vae":
            network.to(device)
        elif rung.offload == "leaves":
            apply_group_offloading(network, offload_type="leaf_level", **options)
        elif name == denoiser and rung.kept:
            _stream_some(network, rung.kept, options)
        else:
            apply_group_offloading(
                network,
                offload_type="block_level",
                num_blocks_per_group=1,
                block_modules=list(parents_of_blocks(network)),
                **options,
            )


def _stream_some(network: torch.nn.Module, kept: float, options: dict[str, Any]) -> None:
    """The first share `kept` of the blocks and the shell stay; the others are streamed.

    The streamed blocks are offloaded through a holder, so that hooks come to lie on
    them alone.
    """
    import torch
    from diffusers.hooks import apply_group_offloading

    path = main_list(network)
    blocks: list[torch.nn.Module] = list(network.get_submodule(path).children()) if path else []
    streamed = blocks[round(len(blocks) * kept) :]
    network.to(options["onload_device"])
    for block in streamed:
        block.to(options["offload_device"])
    holder = torch.nn.Module()
    holder.blocks = torch.nn.ModuleList(streamed)
    apply_group_offloading(holder, offload_type="block_level", num_blocks_per_group=1, **options)


def main_list(network: torch.nn.Module) -> str:
    """Path of the list of blocks that holds the most weights; empty where there is none."""
    import torch

    sizes = {
        path: sum(parameter.numel() for parameter in module.parameters())
        for path, module in network.named_modules()
        if isinstance(module, torch.nn.ModuleList)
    }
    return max(sizes, key=lambda path: (sizes[path], -len(path)), default="")


def parents_of_blocks(network: torch.nn.Module) -> tuple[str, ...]:
    """Names on the way down to the main list of blocks, such as `model`, `language_model`."""
    return tuple(main_list(network).split(".")[:-1])
