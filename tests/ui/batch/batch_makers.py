"""Makers that worker processes of the batch tests load: numpy draws, numpy scores."""

from __future__ import annotations

import hashlib

import numpy as np
from job_makers import NumpyGenerator

from pipelines.batch_maker import BatchMaker
from pipelines.quality import Quality


class NumpyRetriever:
    """Scores that depend on text and pixels alone."""

    sha256 = hashlib.sha256(b"numpy towers").hexdigest()

    def encode_text(self, texts):
        return np.stack([unit(text.encode()) for text in texts])

    def encode_image(self, images):
        return np.stack([unit(image.tobytes()) for image in images])


def unit(data):
    digest = hashlib.sha256(data).digest()
    vector = np.random.default_rng(int.from_bytes(digest[:8])).normal(size=16)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def maker(job, options):
    quality = Quality(NumpyRetriever()) if options["quality"] else None
    return BatchMaker(
        NumpyGenerator(), job, quality, options["keep_best_of"], options["retry_mismatch"]
    )
