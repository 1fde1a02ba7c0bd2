"""Hostile adapters: each is refused for its own reason, and nothing in it runs."""

from __future__ import annotations

import json
import pickle
import struct
import time

import numpy as np
import pytest

from mmgen.adapter_file import (
    FILE,
    AdapterBroken,
    AdapterMissing,
    AdapterPickle,
    AdapterUnfit,
    check_adapter,
    check_fits,
)
from ui import words

DOWN, UP = "transformer.blocks.0.to_q.lora_A.weight", "transformer.blocks.0.to_q.lora_B.weight"


def bf16(values):
    return (np.asarray(values, np.float32).view(np.uint32) >> 16).astype(np.uint16)


def lora(**changes):
    """Bytes of a LoRA of rank 4 over a 32 x 16 layer; a change of None leaves a tensor out."""
    tensors = {DOWN: np.full((4, 16), 0.1, np.float32), UP: np.full((32, 4), 0.1, np.float32)}
    tensors |= {name.replace("__", "."): value for name, value in changes.items()}
    return safetensors({name: value for name, value in tensors.items() if value is not None})


def safetensors(tensors):
    kinds = {"float32": "F32", "float16": "F16", "uint16": "BF16", "int8": "I8", "float64": "F64"}
    header, data = {}, b""
    for name, value in tensors.items():
        end = len(data) + value.nbytes
        header[name] = {
            "dtype": kinds[str(value.dtype)],
            "shape": list(value.shape),
            "data_offsets": [len(data), end],
        }
        data += value.tobytes()
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def with_figure(figure, dtype=np.float32):
    up = np.full((32, 4), 0.1, dtype)
    up[3, 2] = figure
    return lora(**{UP: up})


def trap(canary):
    class Trap:
        def __reduce__(self):
            return (exec, (f"import pathlib; pathlib.Path({str(canary)!r}).write_text('ran')",))

    return pickle.dumps(Trap())


HOSTILE = {
    "pickle renamed": (trap, AdapterPickle, "pickled"),
    "pickle 0 renamed": (lambda canary: b"cposix\nsystem\n(S'x'\ntR.", AdapterPickle, "pickled"),
    "NaN": (lambda _: with_figure(np.nan), AdapterBroken, "no number"),
    "infinite": (lambda _: with_figure(np.inf), AdapterBroken, "no number"),
    "NaN in half": (lambda _: with_figure(np.nan, np.float16), AdapterBroken, "no number"),
    "infinite in bf16": (
        lambda _: lora(**{UP: bf16(np.full((32, 4), np.inf))}),
        AdapterBroken,
        "no number",
    ),
    "a blow": (lambda _: with_figure(1e6), AdapterBroken, "too large"),
    "rank 300": (
        lambda _: lora(
            **{DOWN: np.zeros((300, 16), np.float32), UP: np.zeros((32, 300), np.float32)}
        ),
        AdapterBroken,
        "rank",
    ),
    "ranks differ": (
        lambda _: lora(**{UP: np.zeros((32, 8), np.float32)}),
        AdapterBroken,
        "do not fit",
    ),
    "half a pair": (lambda _: lora(**{UP: None}), AdapterBroken, "one half"),
    "a whole weight": (
        lambda _: lora(**{"transformer.proj.weight": np.zeros((4, 4), np.float32)}),
        AdapterBroken,
        "no LoRA",
    ),
    "scale without pair": (
        lambda _: lora(**{"unet.x.alpha": np.ones((1,), np.float32)}),
        AdapterBroken,
        "one half",
    ),
    "whole numbers": (
        lambda _: lora(**{UP: np.ones((32, 4), np.int8)}),
        AdapterBroken,
        "kind",
    ),
    "flat": (lambda _: lora(**{UP: np.zeros((128,), np.float32)}), AdapterBroken, "do not fit"),
    "cut short": (lambda _: lora()[:-1], AdapterBroken, "cut short"),
    "a tail": (lambda _: lora() + b"\0", AdapterBroken, "bytes follow"),
    "empty": (lambda _: b"", AdapterBroken, "cut short"),
    "header of 90 MB": (
        lambda _: struct.pack("<Q", 90 * 2**20) + b"\0" * 64,
        AdapterBroken,
        "too long",
    ),
    "no tensor": (lambda _: safetensors({}), AdapterBroken, "no tensor"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_adapter_is_refused_for_its_own_reason(tmp_path, name, sockets):
    make, kind, reason = HOSTILE[name]
    canary = tmp_path / "canary"
    (tmp_path / FILE).write_bytes(make(canary))
    began = time.process_time()
    with pytest.raises(kind, match=reason) as caught:
        check_adapter(tmp_path)
    assert time.process_time() - began < 1.0
    assert sockets == []
    assert not canary.exists()
    told = caught.value.params.get("reason", "")
    assert not told or told not in words.sentence(caught.value)  # said in Chinese


@pytest.mark.parametrize("beside", ["x.bin", "x.pt", "x.PKL", "x.ckpt"])
def test_a_pickle_beside_the_weights_is_refused(tmp_path, beside):
    (tmp_path / FILE).write_bytes(lora())
    (tmp_path / beside).write_bytes(b"x")
    with pytest.raises(AdapterPickle):
        check_adapter(tmp_path)


@pytest.mark.parametrize("beside", ["model.py", "x.so"])
def test_program_code_beside_the_weights_is_refused(tmp_path, beside):
    (tmp_path / FILE).write_bytes(lora())
    (tmp_path / beside).write_bytes(b"x")
    with pytest.raises(AdapterBroken, match="program code"):
        check_adapter(tmp_path)


def test_nothing_and_another_suffix(tmp_path):
    with pytest.raises(AdapterMissing):
        check_adapter(tmp_path)
    (tmp_path / "lora.pt").write_bytes(lora())
    with pytest.raises(AdapterPickle):
        check_adapter(tmp_path / "lora.pt")


@pytest.mark.parametrize("make", [lora, lambda: lora(**{UP: bf16(np.full((32, 4), 0.1))})])
def test_a_good_adapter_passes_with_what_it_changes(tmp_path, make):
    path = tmp_path / "lora.safetensors"
    path.write_bytes(make())
    adapter = check_adapter(path)
    assert adapter.ranks == {"transformer.blocks.0.to_q": 4}
    assert adapter.shapes == {"transformer.blocks.0.to_q": (32, 16)}
    assert adapter.data == path.read_bytes()


@pytest.mark.parametrize(
    ("base", "reason"),
    [({}, "no layer"), ({"a.b": (32, 8)}, r"\(32, 8\) here and \(32, 16\)")],
)
def test_an_adapter_of_another_base_is_refused(tmp_path, base, reason):
    with pytest.raises(AdapterUnfit, match=reason) as caught:
        check_fits(tmp_path, {"a.b": (32, 16)}, base)
    assert caught.value.params["reason"] not in words.sentence(caught.value)
    check_fits(tmp_path, {"a.b": (32, 16)}, {"a.b": (32, 16)})
    with pytest.raises(AdapterUnfit, match="no layer of this model"):
        check_fits(tmp_path, {}, {})
