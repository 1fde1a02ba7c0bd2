"""The ladder and the plan, held against what diffusers' own offloading does."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from diffusers.hooks import group_offloading

from mmgen.hub import families, memory
from mmgen.hub.generator import HubGenerator
from mmgen.hub.memory import HALF, LEAVES, RESIDENT, RUNGS, STREAMED, TILED, Ladder, OutOfMemory
from mmgen.hub.plan import (
    choose,
    networks_of_folder,
    networks_of_row,
    placements,
    resident_bytes,
    working_bytes,
)
from mmgen.values import ImageRequest
from tests.tiny_hub import build

CPU = torch.device("cpu")
NAMES = ("cogview4-6b", "z-image", "qwen-image", "hunyuan-dit", "sdxl")

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation:DeprecationWarning:diffusers",
)


def generator(name: str, *rungs) -> HubGenerator:
    pipeline = build(name)
    pipeline.set_progress_bar_config(disable=True)
    row = families.MODELS[name]
    ladder = Ladder(CPU, row.family.denoiser, rungs or (RESIDENT,))
    ladder.place(pipeline)
    return HubGenerator(
        pipeline,
        row,
        id=name,
        sha256="0" * 64,
        licence=row.licence.name,
        ladder=ladder,
        read_picture=lambda path: None,
    )


def request(**changes) -> ImageRequest:
    values = {"height": 64, "width": 64, "num_inference_steps": 2, "seed": 3, **changes}
    return ImageRequest(prompt="藏青色羊毛大衣", **values)


class Scales:
    """Counts the bytes that diffusers' groups bring to the device and take away."""

    def __init__(self, monkeypatch):
        self.now = self.most = 0
        self.groups = set()
        for name, sign in (("onload_", 1), ("offload_", -1)):
            monkeypatch.setattr(group_offloading.ModuleGroup, name, self._counted(name, sign))

    def _counted(self, name, sign):
        real = getattr(group_offloading.ModuleGroup, name)

        def counted(group):
            if (id(group) in self.groups) == (sign < 0):
                self.now += sign * bytes_of(group)
                self.groups ^= {id(group)}
            self.most = max(self.most, self.now)
            return real(group)

        return counted


def bytes_of(group) -> int:
    tensors = {id(one): one for one in (*group.parameters, *group.buffers)}
    for module in group.modules:
        tensors |= {id(one): one for one in (*module.parameters(), *module.buffers())}
    return sum(one.numel() * one.element_size() for one in tensors.values())


def fixed_bytes(pipeline) -> int:
    """Weights of what no hook moves: it stays on the device."""
    total = 0
    for network in memory.networks(pipeline).values():
        for module in network.modules():
            if not _is_moved(network, module):
                own = (*module.parameters(recurse=False), *module.buffers(recurse=False))
                total += sum(one.numel() * one.element_size() for one in own)
    return total


def _is_moved(network, module) -> bool:
    """Whether `module` or one above it in `network` belongs to a group."""
    moved = set()
    for one in network.modules():
        registry = getattr(one, "_diffusers_hook", None)
        hook = registry and registry.get_hook("group_offloading")
        if hook:
            for inside in hook.group.modules:
                moved |= {id(below) for below in inside.modules()}
            moved |= {id(one)} if hook.group.parameters or hook.group.buffers else set()
    return id(module) in moved


@pytest.mark.parametrize("rung", [HALF, STREAMED], ids=lambda rung: rung.name)
@pytest.mark.parametrize("name", NAMES)
def test_planned_bytes_are_those_that_the_hooks_count(name, rung, tmp_path, monkeypatch):
    if rung is HALF and not families.MODELS[name].parts[-2].blocks and name != "hunyuan-dit":
        pytest.skip("its denoiser has no list of equal blocks")
    drawing = generator(name, rung)
    scales = Scales(monkeypatch)
    drawing.generate([request()], {})
    counted = scales.most + fixed_bytes(drawing.pipeline)
    memory.release(drawing.pipeline)
    drawing.pipeline.save_pretrained(tmp_path)
    networks = networks_of_folder(tmp_path, "float32")
    planned, _ = resident_bytes(networks, drawing.family.denoiser, rung)
    assert abs(planned - counted) <= 0.05 * counted, (planned, counted)


@pytest.mark.parametrize("name", NAMES)
def test_all_on_the_device_is_the_sum_of_the_weights(name, tmp_path):
    pipeline = build(name)
    pipeline.save_pretrained(tmp_path)
    networks = networks_of_folder(tmp_path, "float32")
    counted = {
        part: sum(one.numel() * one.element_size() for one in network.parameters())
        for part, network in memory.networks(pipeline).items()
    }
    assert {one.name for one in networks} == counted.keys()
    for one in networks:
        assert abs(one.total - counted[one.name]) <= 0.05 * counted[one.name]
    half = networks_of_folder(tmp_path, "bfloat16")
    assert sum(one.total for one in half) == pytest.approx(sum(counted.values()) / 2, rel=0.05)


@pytest.mark.parametrize("name", ["cogview4-6b", "qwen-image", "hunyuan-dit"])
def test_every_placement_draws_the_same_bytes(name):
    plain = generator(name).generate([request()], {})[0]
    for rung in (HALF, STREAMED, LEAVES):
        placed = generator(name, rung)
        assert placed.environment["placement"] == rung.name
        assert np.array_equal(plain, placed.generate([request()], {})[0]), rung.name


def test_out_of_memory_steps_down_and_changes_nothing_else(monkeypatch):
    drawing = generator("cogview4-6b", RESIDENT, TILED, STREAMED)
    plain = drawing.generate([request()], {})[0]
    calls = []
    real = type(drawing.pipeline).__call__

    def short_of_memory(self, **options):
        calls.append({key: options[key] for key in ("height", "width", "num_inference_steps")})
        calls[-1]["seed"] = options["generator"][0].initial_seed()
        if drawing.ladder.rung is not STREAMED:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(self, **options)

    monkeypatch.setattr(type(drawing.pipeline), "__call__", short_of_memory)
    with pytest.warns(memory.PlacedLower) as said:
        got = drawing.generate([request()], {})[0]
    assert [one.message.params["after"] for one in said] == ["tiled", "streamed"]
    assert np.array_equal(plain, got)
    assert calls[0] == calls[1] == calls[2]
    assert drawing.environment["placement"] == "streamed"
    calls.clear()
    drawing.generate([request(), request(seed=4)], {})
    assert len(calls) == 2  # the limit is remembered


def test_below_the_last_rung_it_is_said(monkeypatch):
    drawing = generator("cogview4-6b", STREAMED)

    def never(self, **_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(type(drawing.pipeline), "__call__", never)
    with pytest.raises(OutOfMemory, match="streamed"):
        drawing.generate([request()], {})


def test_each_rung_takes_less_and_moves_more():
    row = families.MODELS["cogview4-6b"]
    networks = networks_of_row(row, "bfloat16")
    taken = [resident_bytes(networks, "transformer", rung, streams=True) for rung in RUNGS]
    assert [size for size, _ in taken] == sorted((size for size, _ in taken), reverse=True)
    assert [moved for _, moved in taken] == sorted(moved for _, moved in taken)


@pytest.mark.parametrize("row", families.MODELS.values(), ids=lambda row: row.id)
def test_a_choice_fits_and_more_memory_never_means_slower(row):
    networks = networks_of_row(row, "bfloat16")
    height, width = row.size
    working = {tiled: working_bytes(row, height, width, tiled=tiled) for tiled in (False, True)}
    assert working[True] <= working[False]
    found = placements(networks, row.family.denoiser, working=working, streams=True)
    chosen = [choose(found, int(gigabytes * 1e9)) for gigabytes in (0.1, 6, 12, 24, 48, 96)]
    assert chosen[0] is None
    assert chosen[-1].rung is RESIDENT
    assert not chosen[-1].quantised
    moved = [one.moved_each_step for one in chosen if one is not None]
    assert moved == sorted(moved, reverse=True)
    sizes = (0.1, 6, 12, 24, 48, 96)
    assert all(one.total <= gb * 1e9 for one, gb in zip(chosen, sizes, strict=True) if one)


def test_published_parameters_are_those_of_diffusers_own_defaults():
    """Where a class's defaults are the published configuration, the row agrees with it."""
    from diffusers import QwenImageTransformer2DModel, ZImageTransformer2DModel

    for kind, row in (
        (QwenImageTransformer2DModel, "qwen-image"),
        (ZImageTransformer2DModel, "z-image"),
    ):
        with torch.device("meta"):
            counted = sum(one.numel() for one in kind().parameters()) / 1e9
        part = next(one for one in families.MODELS[row].parts if one.name == "transformer")
        assert part.parameters == pytest.approx(counted, rel=0.02)
        assert dataclasses.asdict(part)["blocks"] in (30, 60)
