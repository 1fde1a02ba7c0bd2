"""Putting a checked LoRA on a hub model, by the loader of diffusers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load

from mmgen.adapter_file import AdapterBroken, AdapterFile, check_fits
from mmgen.errors import UnknownChoice
from mmgen.hub.memory import networks

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mmgen.hub.families import Family

_PAIR = re.compile(r"(\w+)\.(.+?)\.lora(?:_|\.)(A|B|down|up)(?:\.\w+)?\.weight")


def put_on(pipeline: Any, family: Family, model: str, adapter: AdapterFile, name: str) -> None:
    """Load the bytes that were checked under `name`, once they fit this model.

    Raises `UnknownChoice` for a family without a loader, `AdapterBroken` for keys
    that diffusers cannot read, `AdapterUnfit` for another base.
    """
    if not family.lora:
        raise UnknownChoice(name="adapters", got=adapter.path.name, allowed=f"none for {model}")
    try:
        state = pipeline.lora_state_dict(load(adapter.data))
    except (ValueError, KeyError, RuntimeError) as error:
        raise AdapterBroken(path=adapter.path, reason=str(error)[:120]) from error
    converted = state[0] if isinstance(state, tuple) else state
    check_fits(adapter.path, wanted_by(converted), layers_of(pipeline))
    pipeline.load_lora_weights(load(adapter.data), adapter_name=name)


def wanted_by(state: Mapping[str, torch.Tensor]) -> dict[str, tuple[int, int]]:
    """`transformer.blocks.0.to_q` -> (out, in) of each pair in diffusers' own key format."""
    halves: dict[str, dict[str, torch.Tensor]] = {}
    for key, tensor in state.items():
        if match := _PAIR.fullmatch(key):
            side = "up" if match[3] in ("B", "up") else "down"
            halves.setdefault(f"{match[1]}.{match[2]}", {})[side] = tensor
    return {
        module: (pair["up"].shape[0], pair["down"][0].numel())
        for module, pair in halves.items()
        if len(pair) == 2
    }


def layers_of(pipeline: Any) -> dict[str, tuple[int, int]]:
    """Every layer with a matrix -> (out, in), convolutions flattened."""
    layers = {}
    for part, network in networks(pipeline).items():
        for path, module in network.named_modules():
            weight = getattr(module, "weight", None)
            if isinstance(weight, torch.Tensor) and weight.ndim >= 2:
                # A layer that carries a LoRA already keeps its own matrix inside.
                name = f"{part}.{path.removesuffix('.base_layer')}"
                layers[name] = (weight.shape[0], weight[0].numel())
    return layers


def use(pipeline: Any, family: Family, adapters: tuple[tuple[str, float], ...]) -> None:
    """Draw with these adapters, (name, weight), and no other."""
    if not family.lora:
        return
    loaded = {name for names in pipeline.get_list_adapters().values() for name in names}
    if not loaded:
        return
    if adapters:
        pipeline.enable_lora()
        pipeline.set_adapters([name for name, _ in adapters], [weight for _, weight in adapters])
    else:
        pipeline.disable_lora()
