"""Cold start and memory of `mmgen generate`: a table of ratios within one run.

    .venv/bin/python -m tests.benchmarks.start [--model FOLDER] [--repeats 5]

Each row is the best of the repeats, taken in turns, so that a busy machine
touches all alike. "bare" is the denoising loop and the decoder alone, in a
process that has everything loaded.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROMPT = "蓝白格子长袖衬衫,挂在白墙前"


def seconds(*command: str) -> float:
    """Wall-clock seconds of a fresh process."""
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - began


def bare_seconds(model: str) -> float:
    """Seconds of one picture in this process, everything loaded and warm."""
    from mmgen import TextToImagePipeline

    pipe = TextToImagePipeline.from_pretrained(model, device="cpu")
    pipe(PROMPT, seed=1, num_inference_steps=2)
    began = time.perf_counter()
    pipe(PROMPT, seed=1)
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    python = sys.executable
    rows: dict[str, list[float]] = {"pass": [], "help": [], "torch": [], "first": [], "bare": []}
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MMGEN_HOME"] = folder
        generate = (python, "-m", "mmgen", "generate", PROMPT, "--model", options.model)
        for turn in range(options.repeats):
            rows["pass"].append(seconds(python, "-c", "pass"))
            rows["help"].append(seconds(python, "-m", "mmgen", "--help"))
            rows["torch"].append(seconds(python, "-c", "import torch"))
            rows["first"].append(seconds(*generate, "-o", str(Path(folder) / str(turn))))
            own = subprocess.run(
                (python, "-c", f"from tests.benchmarks.start import bare_seconds as b; "
                 f"print(b({options.model!r}))"),
                check=True,
                capture_output=True,
                text=True,
            )  # fmt: skip
            rows["bare"].append(float(own.stdout.split()[-1]))
        seconds(*generate, "-n", "4", "-o", str(Path(folder) / "four"))
    best = {name: min(values) for name, values in rows.items()}
    peak_kib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    floor = best["torch"] + best["bare"]
    print(f"python -c pass            {best['pass']:6.2f} s")
    print(
        f"mmgen --help              {best['help']:6.2f} s   + {best['help'] - best['pass']:.2f} s"
    )
    print(f"import torch              {best['torch']:6.2f} s")
    print(f"one picture, bare         {best['bare']:6.2f} s")
    print(f"cold start, first picture {best['first']:6.2f} s   x {best['first'] / floor:.2f}")
    print(f"peak memory               {peak_kib / 2**20:6.2f} GiB")


if __name__ == "__main__":
    main()
