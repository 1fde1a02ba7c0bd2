"""Adding pictures to a catalogue, over the tower's own batch rate on decoded pictures.

    .venv/bin/python -m tests.benchmarks.adding FOLDER [PICTURES]

Adding also reads, hashes, decodes at arm's length and commits. Both are timed in
turn within one run; decoding shares the cores with the tower, so the ratio
depends on how many are free.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

from mmgen.files.read_picture import PictureReader
from pipelines.catalogue import Catalogue
from pipelines.catalogue_import import BATCH
from pipelines.components import load_retriever

TURNS = 3


def main(folder: Path, count: int) -> None:
    paths = sorted(path for path in folder.rglob("*.webp"))[:count]
    retriever = load_retriever()
    with PictureReader() as reader:
        images = [reader.read(path) for path in paths[: 4 * BATCH]]
    retriever.encode_image(images[:BATCH])
    share = len(paths) // TURNS
    own, added = [], []
    with tempfile.TemporaryDirectory() as home:
        os.environ["MMGEN_HOME"] = home
        catalogue = Catalogue.create("bench", retriever=retriever)
        for turn in range(TURNS):
            began = time.perf_counter()
            for start in range(0, len(images), BATCH):
                retriever.encode_image(images[start : start + BATCH])
            own.append(len(images) / (time.perf_counter() - began))
            part = Path(home) / f"part-{turn}"
            part.mkdir()
            for path in paths[turn * share : (turn + 1) * share]:
                shutil.copy(path, part / path.name)
            began = time.perf_counter()
            report = catalogue.add(part)
            added.append(report.added / (time.perf_counter() - began))
            ratio = added[-1] / own[-1]
            print(f"tower {own[-1]:7.1f} /s   adding {added[-1]:7.1f} /s   {ratio:.2f}")
    print(f"best of {TURNS}: {max(added) / max(own):.2f} of the tower's own rate")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1_500)
