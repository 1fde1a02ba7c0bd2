"""Trained models -> the copies that are shipped."""

from __future__ import annotations

from typing import TypeVar

import torch
from diffusers.models.modeling_utils import ModelMixin
from torch import nn

Model = TypeVar("Model", bound=ModelMixin)


def shipped_copy(model: Model, **config: object) -> Model:
    """A bfloat16 copy of `model`, with some values of its configuration replaced.

    Built from the constructor's arguments alone: what a loader noted beside
    them (such as the path it loaded from) must not travel.
    """
    arguments = {name: value for name, value in model.config.items() if not name.startswith("_")}
    copy = type(model)(**{**arguments, **config})
    copy.load_state_dict(model.state_dict())
    # ModelMixin.to() warns of modules to keep in float32, of which ours have none.
    nn.Module.to(copy, torch.bfloat16)
    return copy.eval()
