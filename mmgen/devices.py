"""Which device, number format and attention operator to use: decided here, passed down."""

from __future__ import annotations

import functools
import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from mmgen.errors import AttentionFellBack, DeviceMissing, UnknownChoice

if TYPE_CHECKING:
    import torch

CHOICES = "auto, cpu, cuda, cuda:N, mps"

_ISA_WITHOUT_BFLOAT16 = frozenset(
    {"SSE41", "AVX", "AVX2", "AVX2_VNNI", "AVX2_VNNI_2", "AVX512_CORE", "AVX512_CORE_VNNI"}
)
"""Values of ONEDNN_MAX_CPU_ISA under which oneDNN has no bfloat16 product.

https://uxlfoundation.github.io/oneDNN/dev_guide_cpu_dispatcher_control.html
"""


def choose_device(wanted: str = "auto") -> torch.device:
    """The device called `wanted`; `auto` is the first GPU that answers, else the CPU.

    Raises `DeviceMissing` with the reason when it is unknown or not usable here.
    """
    import torch

    name = wanted.strip().lower()
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda", 0)
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    kind, colon, index = name.partition(":")
    if kind not in ("cpu", "cuda", "mps") or (colon and (kind != "cuda" or not index.isdecimal())):
        raise DeviceMissing(got=wanted, reason="unknown name", allowed=CHOICES)
    if kind == "cuda":
        found = torch.cuda.device_count() if torch.cuda.is_available() else 0
        number = int(index or 0)
        if number >= found:
            raise DeviceMissing(got=wanted, reason=f"{found} CUDA devices found", allowed=CHOICES)
        return torch.device("cuda", number)
    if kind == "mps" and not torch.backends.mps.is_available():
        raise DeviceMissing(got=wanted, reason="no Apple GPU found", allowed=CHOICES)
    return torch.device(kind)


def choose_dtype(device: torch.device) -> torch.dtype:
    """bfloat16 where the hardware multiplies it, else float32.

    Elsewhere bfloat16 is emulated: slower than float32 and no more exact.
    """
    import torch

    if device.type == "cuda":
        is_native = torch.cuda.get_device_capability(device) >= (8, 0)
    else:
        is_native = device.type == "cpu" and cpu_multiplies_bfloat16()
    return torch.bfloat16 if is_native else torch.float32


def cpu_multiplies_bfloat16() -> bool:
    """Whether this CPU has AMX-BF16 or AVX512-BF16 and oneDNN is allowed to use it."""
    for variable in ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"):
        if os.environ.get(variable, "").upper() in _ISA_WITHOUT_BFLOAT16:
            return False
    return not _cpu_flags().isdisjoint({"amx_bf16", "avx512_bf16"})


@functools.cache
def _cpu_flags(path: str = "/proc/cpuinfo") -> frozenset[str]:
    """Instruction sets the kernel lets us use; empty where it has no such file."""
    try:
        lines = Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return frozenset()
    flags = next((line for line in lines if line.startswith("flags")), "")
    return frozenset(flags.partition(":")[2].split())


def attention_backend(device: torch.device, wanted: str = "auto") -> str:
    """The name, for diffusers' attention dispatcher, of an operator that runs on `device`.

    `auto` takes xformers on a GPU where its operator answers, else `native` (PyTorch's
    scaled dot product). A named one that cannot run gives `native` and warns with
    `AttentionFellBack`; an unknown name raises `UnknownChoice`. Backends that fetch code
    from a hub are not offered.
    """
    if wanted == "auto":
        if device.type == "cuda" and why_attention_fails("xformers", str(device)) is None:
            return "xformers"
        return "native"
    allowed = attention_choices()
    if wanted not in allowed:
        raise UnknownChoice(name="attention", got=wanted, allowed="auto, " + ", ".join(allowed))
    reason = why_attention_fails(wanted, str(device))
    if reason is None:
        return wanted
    warnings.warn(AttentionFellBack(wanted=wanted, reason=reason, used="native"), stacklevel=2)
    return "native"


def attention_choices() -> list[str]:
    """Names a user may ask for."""
    from diffusers.models.attention_dispatch import AttentionBackendName

    names = (str(backend.value) for backend in AttentionBackendName)
    return sorted(name for name in names if not name.endswith("_hub"))


@functools.cache
def why_attention_fails(backend: str, device: str) -> str | None:
    """None when `backend` attends over a small tensor on `device`, else the reason.

    Asking is the only safe test: xformers imports on machines where none of its
    operators was built.
    """
    if backend == "xformers" and not device.startswith("cuda"):
        return "xformers has no operator for this device"
    import torch
    from diffusers.models import attention_dispatch

    kind = torch.device(device)
    dtype = torch.float32 if kind.type != "cuda" else choose_dtype(kind)
    x = torch.zeros(1, 64, 2, 64, dtype=dtype, device=kind)
    try:
        name = attention_dispatch.AttentionBackendName(backend)
        attention_dispatch._check_attention_backend_requirements(name)
        answer = attention_dispatch.dispatch_attention_fn(x, x, x, backend=name)
        is_right = answer.shape == x.shape and bool(torch.isfinite(answer).all())
    except Exception as error:  # whatever a foreign operator raises means: not usable
        return f"{type(error).__name__}: {error}".splitlines()[0][:200]
    return None if is_right else "its answer has the wrong shape or is not finite"
