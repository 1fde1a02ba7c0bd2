"""What the image tower sees in a picture -> the attributes of the garment, with probabilities.

The tower stays as it is: its vector, its grid of features and the measured
colours go through one shared layer into a classifier for each attribute
(attribute completion, as M6 did it for fashion, arXiv 2103.00823). Heads stand
on one pair of towers and refuse others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn
from torch.nn import functional as F

from mmgen.retrieval.colour_evidence import colour_evidence
from mmgen.retrieval.towers import ImageEncoder

ALSO = "also_"
"""Prefix of a head that says of each value whether it is there at all: all colours."""

_VECTOR_SCALE = 16.0
"""A vector of length 1 times this has coordinates of about 1."""


def look(encoder: ImageEncoder, pixels: Tensor, colours: Tensor | None = None) -> Tensor:
    """uint8 (B, 3, H, W) of the tower's size -> float32 (B, F), what the heads read.

    `colours`: their `colour_evidence`, where it is known already.
    """
    seen = encoder(pixels.to(encoder.dtype).div(127.5).sub(1))
    vector = F.normalize(seen.image_embeds.float(), dim=1) * _VECTOR_SCALE
    grid = seen.last_hidden_state.float().flatten(1)
    evidence = colour_evidence(pixels) if colours is None else colours
    return torch.cat([vector, grid, evidence], dim=1)


class AttributeHeads(ModelMixin, ConfigMixin):
    """features (B, F) of `look` -> logits of each attribute.

    labels         attribute -> its values; "" stands for "none", an answer like others
    also           attributes whose values can also be there together; each has a
                   second head, named with `ALSO`, with one yes or no for each value
    temperatures   head -> what its logits are divided by, so that they are calibrated
                   (Guo et al., arXiv 1706.04599)
    near           cosine of two pictures from which on they count as one design
    towers_sha256  of the towers that made the features
    """

    @register_to_config
    def __init__(
        self,
        labels: Mapping[str, Sequence[str]],
        also: Sequence[str] = (),
        in_features: int = 0,
        hidden_size: int = 384,
        dropout_rate: float = 0.5,
        input_dropout_rate: float = 0.3,
        temperatures: Mapping[str, float] | None = None,
        near: float = 1.0,
        towers_sha256: str = "",
    ) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(in_features))
        self.register_buffer("scale", torch.ones(in_features))
        self.up = nn.Linear(in_features, hidden_size)
        self.norm = nn.LayerNorm(hidden_size)
        self.drop_input, self.drop = nn.Dropout(input_dropout_rate), nn.Dropout(dropout_rate)
        sizes = {name: len(values) for name, values in labels.items()}
        sizes |= {f"{ALSO}{name}": sizes[name] for name in also}
        self.heads = nn.ModuleDict({name: nn.Linear(hidden_size, n) for name, n in sizes.items()})

    def forward(self, features: Tensor) -> dict[str, Tensor]:
        """Logits (B, number of values) by head, not yet divided by their temperatures."""
        even = (features - self.mean) * self.scale
        hidden = self.drop(F.gelu(self.norm(self.up(self.drop_input(even)))))
        return {name: head(hidden) for name, head in self.heads.items()}

    def probabilities(self, features: Tensor) -> dict[str, Tensor]:
        """float32 (B, number of values) by head: sums of 1, or yes against no for `ALSO`."""
        temperatures = self.config.temperatures or {}
        found = {}
        for name, logits in self(features).items():
            even = logits.float() / temperatures.get(name, 1.0)
            found[name] = even.sigmoid() if name.startswith(ALSO) else even.softmax(dim=1)
        return found
