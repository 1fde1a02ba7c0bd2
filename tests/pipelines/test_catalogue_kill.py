"""An import that is killed at random points and started again ends as if it never was."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmgen.catalogue.store import CatalogueStore
from pipelines.catalogue import folder_of

ROOT = Path(__file__).resolve().parent.parent.parent
PICTURES, KILLS = 600, 20
PROGRAM = """
import sys
import numpy as np
from pipelines.catalogue import Catalogue

class Mean:
    sha256 = "c" * 64
    def encode_text(self, texts):
        return np.ones((len(texts), 12), np.float32) / 12 ** 0.5
    def encode_image(self, images):
        small = [np.asarray(image.resize((2, 2)), np.float32).reshape(12) + 1 for image in images]
        return np.stack([each / np.linalg.norm(each) for each in small])

report = Catalogue.create(sys.argv[1], retriever=Mean()).add(sys.argv[2])
print(len(report.bad))
"""


def start(name, photos):
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, name, str(photos)],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )


def rows_of(name):
    store = CatalogueStore.open(folder_of(name))
    try:
        assert store.damage() == []
        files = list(store.files())
        assert len(files) == len({file.key for file in files})
        items = store.items([file.id for file in files])
        return {
            item.item: (item.sha256, item.path, item.attributes, store.vector(item.id))
            for item in items
        }
    finally:
        store.close()


@pytest.mark.slow
def test_kill_9_at_twenty_points(tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    rng = np.random.default_rng(0)
    for number in range(PICTURES):
        pixels = rng.integers(0, 256, (40, 30, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(photos / f"{number:04d}.png")
    whole = start("whole", photos)
    began = time.monotonic()
    assert whole.wait(200) == 0
    duration = time.monotonic() - began
    wanted = rows_of("whole")
    assert len(wanted) == PICTURES

    killed = 0
    pick = random.Random(0)
    while killed < KILLS:
        process = start("killed", photos)
        time.sleep(pick.uniform(0.3, 1) * duration)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            killed += 1
            process.wait(30)
            continue
        process.wait(30)
        assert rows_of("killed") == wanted  # each kill hits work, not its end
        shutil.rmtree(folder_of("killed"))
    assert start("killed", photos).wait(200) == 0
    assert rows_of("killed") == wanted
