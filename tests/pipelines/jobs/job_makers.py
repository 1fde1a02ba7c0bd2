"""Makers that worker processes of the tests load: numpy draws, words in the prompt do harm."""

from __future__ import annotations

import hashlib
import os
import signal
import time
from pathlib import Path

import numpy as np

from mmgen.errors import Cancelled, ModelFolderMissing
from mmgen.values import Step
from pipelines.item_maker import ItemMaker


class OutOfMemoryError(RuntimeError):
    """Bears the name of torch's own."""


class NumpyGenerator:
    """Colours that depend on the request alone; implements `mmgen.values.Generator`.

    A prompt that holds 抛错, 崩溃, 内存 or 卡住 raises, crashes the process, eats memory
    or hangs. `dies_once`: a file that the first call makes, and dies.
    """

    id = "numpy"
    sha256 = hashlib.sha256(b"numpy").hexdigest()
    licence = "Apache-2.0"

    def __init__(self, *, step_s=0.0, micro_batch=1, memory_for=None, dies_once=None):
        self.step_s, self.micro_batch, self.memory_for = step_s, micro_batch, memory_for
        self.dies_once = Path(dies_once) if dies_once else None

    @property
    def environment(self):
        return {"device": "cpu", "dtype": "uint8", "attention": None, "micro_batch": 1}

    def advise(self, request):
        return []

    def checks(self, request):
        return None

    def generate(self, requests, pictures, on_step=None):
        if self.memory_for and self.micro_batch > self.memory_for:
            raise OutOfMemoryError("CUDA out of memory")
        if self.dies_once and not self.dies_once.exists():
            self.dies_once.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        for path in pictures.values():
            if path.read_bytes()[:4] != b"\x89PNG":
                raise ValueError(f"{path.name} is corrupt")
        for request in requests:
            harm(request.prompt)
        steps = requests[0].num_inference_steps
        for index in range(1, steps + 1):
            time.sleep(self.step_s)
            if on_step is not None and not on_step(Step(index=index, of=steps)):
                raise Cancelled(done=0, total=len(requests))
        return [draw(request) for request in requests]


def harm(prompt):
    if "抛错" in prompt:
        raise ValueError("cannot draw this")
    if "崩溃" in prompt:
        os.kill(os.getpid(), signal.SIGSEGV)
    if "内存" in prompt:
        hoard = np.ones(400 * 2**20, dtype=np.uint8)
        time.sleep(600 * hoard[0])
    if "卡住" in prompt:
        time.sleep(600)


def draw(request):
    digest = hashlib.sha256(request.canonical_json().encode()).digest()
    noise = np.random.default_rng(int.from_bytes(digest[:8]))
    return noise.integers(0, 256, (request.height, request.width, 3), dtype=np.uint8)


class Reckless(ItemMaker):
    """Draws until the disk is full to the last byte."""

    def has_room(self):
        return True


def numpy_maker(job, options):
    options = dict(options)
    kind = Reckless if options.pop("ignores_room", False) else ItemMaker
    return kind(NumpyGenerator(**options), job)


def missing_model_maker(job, options):
    raise ModelFolderMissing(path="/nowhere")
