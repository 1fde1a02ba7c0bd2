"""Packed weights give what plain ones give, and never outlive a change."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from mmgen.devices import cpu_multiplies_bfloat16
from mmgen.latents.packed_linear import Linear, linear_gelu, weights_packed

needs_bfloat16 = pytest.mark.skipif(
    not cpu_multiplies_bfloat16(), reason="this CPU does not multiply bfloat16"
)


@pytest.fixture
def layer():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Linear(64, 96).to(torch.bfloat16)


@pytest.fixture
def hidden():
    return torch.randn(2, 12, 64, generator=torch.Generator().manual_seed(1)).bfloat16()


@needs_bfloat16
def test_packed_is_plain_but_for_rounding(layer, hidden):
    with torch.inference_mode():
        plain = layer(hidden)
        with weights_packed():
            assert torch.allclose(layer(hidden), plain, rtol=0.02, atol=0.02)
            inner = F.gelu(plain.float(), approximate="tanh")
            assert torch.allclose(linear_gelu(layer, hidden).float(), inner, rtol=0.02, atol=0.02)


def test_a_changed_weight_is_seen_by_the_next_picture(layer, hidden):
    with torch.inference_mode(), weights_packed():
        before = layer(hidden)
    # As peft merges an adapter: no version counter notices this.
    layer.weight.data += 1
    with torch.inference_mode(), weights_packed():
        after = layer(hidden)
    wanted = F.linear(hidden.float(), layer.weight.float(), layer.bias.float())
    assert not torch.allclose(before.float(), after.float(), atol=0.5)
    assert torch.allclose(after.float(), wanted, rtol=0.02, atol=0.1)


def test_training_and_float32_use_plain_weights(hidden):
    layer = Linear(64, 96)
    with weights_packed():
        out = layer(hidden.float())
        out.sum().backward()
    assert torch.equal(out, F.linear(hidden.float(), layer.weight, layer.bias))
    assert layer.weight.grad is not None


def test_a_wrapped_layer_is_called_as_it_is(hidden):
    class Doubled(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.base_layer = Linear(64, 96)

        def forward(self, x):
            return 2 * self.base_layer(x)

    layer = Doubled()
    wanted = F.gelu(layer(hidden.float()), approximate="tanh")
    assert torch.equal(linear_gelu(layer, hidden.float()), wanted)
