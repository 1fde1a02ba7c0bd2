"""The shipped evaluator -> a `Judge`; the folder is checked before it is loaded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file

from mmgen.assets import asset_path
from mmgen.evaluation.evaluator import Evaluator
from mmgen.evaluation.judge import Judge
from mmgen.framing import fit
from mmgen.model_folder import check_model_folder
from mmgen.text.normalize import normalize
from mmgen.text.vocabulary import colour_family

EVALUATOR_CLASSES = frozenset({("mmgen.evaluation.evaluator", "Evaluator")})
TRAINING_PICTURES = "training_pictures.safetensors"


def load_judge(folder: Path | None = None) -> Judge:
    """The judge in `folder`, by default the shipped one, in float32 on the CPU.

    Raises `ModelError` leaves for a folder that cannot be used.
    """
    checked = check_model_folder(
        folder or asset_path("models/evaluator"), allowed_classes=EVALUATOR_CLASSES
    )
    evaluator = Evaluator.from_pretrained(
        checked.path, dtype=torch.float32, local_files_only=True, use_safetensors=True
    )
    vectors = load_file(checked.path / TRAINING_PICTURES)["vectors"].astype(np.float32)
    checked.check_unchanged()
    return Judge(
        evaluator,
        sha256=checked.sha256,
        training_vectors=vectors / np.linalg.norm(vectors, axis=1, keepdims=True),
        prepare_text=normalize,
        prepare_image=lambda image, height, width: fit(image, height, width)[0],
        family_of=colour_family,
    )
