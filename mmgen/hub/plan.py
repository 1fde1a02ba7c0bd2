"""How much of the device's memory a model takes under each placement, before it is loaded.

Sizes come from the headers of the weight files in a folder, or from the published
figures of a row; no weight is read and torch is not needed. What is computed is
what lies on the device at the worst moment:

    weights      by the rules of diffusers' model and group offload
    working room an estimate from the size of the picture: the activations of the
                 denoiser's widest layer and of the autoencoder's last level
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmgen.hub.families import HubModel
from mmgen.hub.memory import RUNGS, Rung
from mmgen.weights_file import Tensor, read_tensors

DTYPE_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2, "int8": 1}
SPARE = 0.08
"""Share of the device's memory left to its driver, fragments and other programs."""
_BLOCK = re.compile(r"((?:[A-Za-z_]\w*\.)*?[A-Za-z_]\w*)\.(\d+)\.\w+\.")
"""A tensor inside a numbered block; `mlp.0.weight` is a layer, not a block."""
_TILE_PX = 512
_VAE_COPIES = 6
"""Full-resolution maps of the first level's width that decoding holds at once."""
_DENOISER_COPIES = 16
"""Maps of tokens x width that one block holds at once: queries, keys, values, both
halves of the feed-forward layer, residuals."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Network:
    """One part with weights, in bytes as loaded."""

    name: str
    outside: int
    """Everything outside the main list of blocks."""
    blocks: tuple[int, ...]
    """Each block of the main list, in order."""
    others: tuple[int, ...] = ()
    """Blocks of the lists beside it, as a U-Net has; they move only when all blocks do."""

    @property
    def total(self) -> int:
        """Bytes of the whole network."""
        return self.outside + sum(self.blocks) + sum(self.others)


@dataclass(frozen=True, kw_only=True, slots=True)
class Placed:
    """What one placement takes and moves."""

    rung: Rung
    quantised: bool
    weights: int
    """Bytes of weights on the device at the worst moment."""
    working: int
    """Bytes of activations, estimated."""
    moved_each_step: int
    """Bytes that cross to the device in each denoising step."""

    @property
    def total(self) -> int:
        """Bytes at the worst moment."""
        return self.weights + self.working


def networks_of_folder(folder: Path, dtype: str) -> list[Network]:
    """The networks of a checked folder, sized as they are once loaded in `dtype`.

    Raises `BadWeights` for a file that is none; whole-number tensors keep their size.
    """
    parts: dict[str, dict[str, int]] = defaultdict(dict)
    for path in sorted(folder.glob("*/*.safetensors")):
        if _is_variant(path):
            continue
        with path.open("rb") as file:
            for name, tensor in read_tensors(file).items():
                parts[path.parent.name][name] = _loaded_bytes(tensor, dtype)
    return [_network(name, tensors) for name, tensors in parts.items()]


def networks_of_row(row: HubModel, dtype: str) -> list[Network]:
    """The networks of a model that is not here, from its published figures."""
    networks = []
    for part in row.parts:
        total = int(part.parameters * 1e9 * DTYPE_BYTES[dtype])
        share = 0.94 if part.blocks else 0.0
        blocks = tuple([int(total * share / part.blocks)] * part.blocks) if part.blocks else ()
        networks.append(Network(name=part.name, outside=total - sum(blocks), blocks=blocks))
    return networks


def placements(
    networks: Sequence[Network], denoiser: str, *, working: Mapping[bool, int], streams: bool
) -> list[Placed]:
    """Every rung of the ladder, fastest first, without and with int8 weights.

    `working`: bytes of activations without and with tiling of the autoencoder.
    `streams`: whether blocks are fetched ahead, so that two of them are there.
    """
    found = []
    for quantised in (False, True):
        sized = [_quantised(one) for one in networks] if quantised else list(networks)
        for rung in RUNGS:
            weights, moved = resident_bytes(sized, denoiser, rung, streams=streams)
            found.append(
                Placed(
                    rung=rung,
                    quantised=quantised,
                    weights=weights,
                    working=working[rung.tiled],
                    moved_each_step=moved,
                )
            )
    return found


def resident_bytes(
    networks: Sequence[Network], denoiser: str, rung: Rung, *, streams: bool = False
) -> tuple[int, int]:
    """(weights on the device at the worst moment, weights moved in each step), in bytes."""
    if not rung.offload:
        return sum(one.total for one in networks), 0
    if rung.offload == "model":
        return max(one.total for one in networks), 0
    stays = sum(one.total for one in networks if one.name == "vae")
    window, moved = 0, 0
    for one in networks:
        if one.name == "vae":
            continue
        kept = round(len(one.blocks) * rung.kept) if one.name == denoiser else 0
        through = one.blocks[kept:]
        ahead = 2 if streams and rung.kept == 0.0 else 1
        widest = max((sum(through[i : i + ahead]) for i in range(len(through))), default=0)
        if kept:
            stays += one.outside + sum(one.others) + sum(one.blocks[:kept])
            window = max(window, widest)
        else:
            window = max(window, one.outside + max((widest, *one.others)))
        if one.name == denoiser:
            moved = sum(through) if kept else one.total
    return stays + window, moved


def working_bytes(row: HubModel, height: int, width: int, *, tiled: bool, item: int = 2) -> int:
    """Estimated bytes of activations for one picture of height x width pixels.

    `item`: bytes of a number. The largest of: the denoiser's block over all tokens
    (16 x 16 pixels each, its width guessed from its parameters), the autoencoder's
    last level, whole or a tile of 512 pixels at a time.
    """
    tokens = (height // 16) * (width // 16) + 512
    denoiser = next(part for part in row.parts if part.name == row.family.denoiser)
    wide = int((denoiser.parameters * 1e9 / (max(denoiser.blocks, 24) * 14)) ** 0.5)
    attending = tokens * wide * item * _DENOISER_COPIES
    side = (min(height, _TILE_PX), min(width, _TILE_PX)) if tiled else (height, width)
    decoding = side[0] * side[1] * 128 * item * _VAE_COPIES + height * width * 3 * 4
    return max(attending, decoding)


def choose(found: Sequence[Placed], memory: int) -> Placed | None:
    """The fastest placement that fits into `memory` bytes; None: none does.

    Full weights on the device come first, then int8 weights on the device, then
    moving; int8 is weighed before streaming because it moves half as much.
    """
    room = memory * (1 - SPARE)
    order = sorted(found, key=lambda one: (one.moved_each_step > 0, RUNGS.index(one.rung)))
    return next((one for one in order if one.total <= room), None)


def _is_variant(path: Path) -> bool:
    """`model.fp16.safetensors`, which is loaded only when asked for by name."""
    return path.name.count(".") > 1


def _loaded_bytes(tensor: Tensor, dtype: str) -> int:
    is_float = tensor.dtype.startswith(("F", "BF"))
    return tensor.count * DTYPE_BYTES[dtype] if is_float else tensor.bytes


def _network(name: str, tensors: Mapping[str, int]) -> Network:
    """Sort the tensors into the blocks of the list that holds the most, and the rest."""
    lists: dict[str, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    for tensor, size in tensors.items():
        if match := _BLOCK.match(tensor):
            lists[match[1]][int(match[2])] += size
    main = max(lists, key=lambda path: sum(lists[path].values()), default=None)
    blocks = tuple(size for _, size in sorted(lists[main].items())) if main else ()
    parent = main.rpartition(".")[0] if main else None
    others = tuple(
        size
        for path, numbered in lists.items()
        if path != main and path.rpartition(".")[0] == parent
        for size in numbered.values()
    )
    outside = sum(tensors.values()) - sum(blocks) - sum(others)
    return Network(name=name, outside=outside, blocks=blocks, others=others)


def _quantised(network: Network) -> Network:
    """The network with int8 weights in its blocks; the rest keeps its numbers."""
    return Network(
        name=network.name,
        outside=network.outside,
        blocks=tuple(size // 2 for size in network.blocks),
        others=tuple(size // 2 for size in network.others),
    )
