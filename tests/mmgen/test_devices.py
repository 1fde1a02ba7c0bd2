"""Devices: what is chosen, what is refused, and that an operator is tried before it is named."""

import types
import warnings

import pytest
import torch

from mmgen import devices
from mmgen.errors import AttentionFellBack, DeviceMissing, UnknownChoice

CPU = torch.device("cpu")


def test_auto_finds_a_device_that_computes():
    device = devices.choose_device()
    assert torch.ones(2, device=device).sum().item() == 2


@pytest.mark.parametrize("name", ["tpu", "cuda:", "cuda:x", "cuda:-1", "cpu:1", "cuda:99", ""])
def test_a_device_that_is_not_there_is_refused_with_the_choices(name):
    with pytest.raises(DeviceMissing, match="cuda:N") as caught:
        devices.choose_device(name)
    assert caught.value.params["got"] == name


@pytest.mark.skipif(torch.cuda.is_available(), reason="says what happens without a GPU")
def test_cuda_without_a_gpu_says_that_none_was_found():
    with pytest.raises(DeviceMissing, match="0 CUDA devices"):
        devices.choose_device("cuda")


@pytest.mark.parametrize(
    ("flags", "isa", "expected"),
    [
        ({"avx2"}, "", False),
        ({"avx512f"}, "", False),
        ({"avx512_bf16"}, "", True),
        ({"amx_bf16", "amx_tile"}, "", True),
        ({"amx_bf16"}, "AVX2", False),
        ({"amx_bf16"}, "avx512_core", False),
        ({"amx_bf16"}, "AVX512_CORE_AMX", True),
    ],
)
def test_bfloat16_only_where_the_hardware_multiplies_it(monkeypatch, flags, isa, expected):
    monkeypatch.setattr(devices, "_cpu_flags", lambda: frozenset(flags))
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", isa)
    assert devices.cpu_multiplies_bfloat16() is expected
    assert devices.choose_dtype(CPU) is (torch.bfloat16 if expected else torch.float32)


def test_cpu_flags_are_read_from_the_kernels_file(tmp_path):
    path = tmp_path / "cpuinfo"
    path.write_text("processor : 0\nflags\t\t: fpu avx2 avx512_bf16\nbugs : none\n")
    assert devices._cpu_flags(str(path)) == {"fpu", "avx2", "avx512_bf16"}
    assert devices._cpu_flags(str(tmp_path / "none")) == frozenset()


def test_auto_attention_on_a_cpu_is_native_and_silent():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert devices.attention_backend(CPU) == "native"
        assert devices.attention_backend(CPU, "native") == "native"


def test_xformers_on_a_cpu_falls_back_and_says_why():
    with pytest.warns(AttentionFellBack, match="no operator") as caught:
        assert devices.attention_backend(CPU, "xformers") == "native"
    assert caught[0].message.params["used"] == "native"


def test_a_backend_whose_package_is_missing_falls_back_and_says_why():
    with pytest.warns(AttentionFellBack, match="sageattention"):
        assert devices.attention_backend(CPU, "sage") == "native"


def test_every_backend_taken_gives_the_answer_of_the_formula():
    from diffusers.models.attention_dispatch import AttentionBackendName, dispatch_attention_fn

    q, k, v = torch.randn(3, 1, 5, 2, 8, generator=torch.Generator().manual_seed(0))
    scores = torch.einsum("bqhd,bkhd->bhqk", q, k) / 8**0.5
    expected = torch.einsum("bhqk,bkhd->bqhd", scores.softmax(-1), v)
    for name in ("native", "_native_math"):
        assert devices.attention_backend(CPU, name) == name
        got = dispatch_attention_fn(q, k, v, backend=AttentionBackendName(name))
        torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-5)


def test_an_unknown_backend_and_one_from_the_hub_are_refused():
    for name in ("flashy", "flash_hub"):
        with pytest.raises(UnknownChoice, match="xformers"):
            devices.attention_backend(CPU, name)


def test_auto_on_a_gpu_takes_xformers_where_its_operator_answers(monkeypatch):
    gpu = types.SimpleNamespace(type="cuda")
    for reason, expected in ((None, "xformers"), ("no kernel image", "native")):
        monkeypatch.setattr(devices, "why_attention_fails", lambda name, device, r=reason: r)
        assert devices.attention_backend(gpu) == expected
