"""Linear layers whose weights are laid out once for many products.

oneDNN multiplies bfloat16 in tiles; given plain weights it lays them out anew
at every call, which takes longer than the product itself when few tokens are
multiplied. PyTorch's compiler packs them ahead (torch/_inductor/mkldnn_lowerings);
here the same operators serve without compiling, for as long as one picture is
drawn: a weight that an adapter changes later is never missed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_packs: ContextVar[dict[int, Tensor] | None] = ContextVar("packs", default=None)
"""id of a layer -> its packed weights, within `weights_packed`."""


@contextmanager
def weights_packed() -> Iterator[None]:
    """Within it, layers on a CPU pack bfloat16 weights at first use and keep them.

    The weights must not change inside. Serves as a decorator too.
    """
    token = _packs.set({})
    try:
        yield
    finally:
        _packs.reset(token)


class Linear(nn.Linear):
    """`nn.Linear`, on packed weights within `weights_packed`."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - as nn.Linear calls it
        packed = _packed(self, input)
        if packed is None:
            return F.linear(input, self.weight, self.bias)
        out: Tensor = torch.ops.mkldnn._linear_pointwise(input, packed, self.bias, "none", [], "")
        return out


def linear_gelu(layer: nn.Module, hidden: Tensor) -> Tensor:
    """GELU (tanh form) of `layer`, in one operator where its weights are packed.

    PyTorch's own takes five times as long in bfloat16 on a CPU as the exact form.
    """
    packed = _packed(layer, hidden) if isinstance(layer, Linear) else None
    if packed is None:
        return F.gelu(layer(hidden), approximate="tanh")
    out: Tensor = torch.ops.mkldnn._linear_pointwise(hidden, packed, layer.bias, "gelu", [], "tanh")
    return out


def _packed(layer: nn.Linear, hidden: Tensor) -> Tensor | None:
    """The packed weights of `layer`; None where plain ones must serve."""
    # The compiler packs by itself, and training changes weights at every step.
    if torch.compiler.is_compiling() or torch.is_grad_enabled():
        return None
    packs = _packs.get()
    if packs is None or not _can_pack(layer, hidden):
        return None
    key = id(layer)
    if key not in packs:
        rows = hidden.numel() // hidden.shape[-1]
        packs[key] = torch.ops.mkldnn._reorder_linear_weight(layer.weight, rows)
    return packs[key]


def _can_pack(layer: nn.Linear, hidden: Tensor) -> bool:
    return (
        hidden.dtype == layer.weight.dtype == torch.bfloat16
        and hidden.device.type == "cpu"
        and hasattr(torch.ops.mkldnn, "_reorder_linear_weight")
        and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    )
