"""A generator that draws with numpy, so that the command line is tested without weights."""

from __future__ import annotations

import hashlib
import time

import numpy as np
import pytest

from mmgen.errors import Cancelled, NotAGarment
from mmgen.values import Step


class NumpyGenerator:
    """Colours that depend on the request alone; implements `mmgen.values.Generator`."""

    id = "numpy"
    sha256 = hashlib.sha256(b"numpy").hexdigest()
    licence = "Apache-2.0"
    micro_batch = 1
    environment = {"device": "cpu", "dtype": "uint8", "attention": None, "micro_batch": 1}  # noqa: RUF012

    def __init__(self, step_s: float = 0.0) -> None:
        self.step_s = step_s
        self.drawn = 0

    def advise(self, request):
        return [] if "裙" in request.prompt else [NotAGarment(prompt=request.prompt)]

    def checks(self, request):
        return None

    def generate(self, requests, pictures, on_step=None):
        arrays = []
        for request in requests:
            for index in range(1, request.num_inference_steps + 1):
                time.sleep(self.step_s)
                step = Step(index=index, of=request.num_inference_steps)
                if on_step is not None and not on_step(step):
                    raise Cancelled(done=len(arrays), total=len(requests))
            digest = hashlib.sha256(request.canonical_json().encode()).digest()
            noise = np.random.default_rng(int.from_bytes(digest[:8]))
            shape = (request.height, request.width, 3)
            arrays.append(noise.integers(0, 256, shape, dtype=np.uint8))
            self.drawn += 1
        return arrays


@pytest.fixture
def generator(monkeypatch) -> NumpyGenerator:
    """Takes the place of the model for `mmgen generate`."""
    from pipelines.text_to_image import TextToImagePipeline
    from ui import generate

    stub = NumpyGenerator()
    monkeypatch.setattr(generate, "load_pipeline", lambda *_, **__: TextToImagePipeline(stub))
    return stub
