"""Pictures a second of a job over those of the bare generator loop: ratios within one run.

    .venv/bin/python -m tests.benchmarks.jobs [--rows 200] [--steps 24] [--rounds 3] [--quality]

Both draw the same requests with the same loaded model in this process; the job
also claims, labels, writes, synchronises and commits each picture. `--quality` adds
a job that scores and tags each picture as `mmgen batch` does. They take
turns, so that a busy machine touches both alike; the ratio is the median over
the rounds. Starting a process and loading the model are in neither.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

PROMPTS = ("藏青色羊毛大衣", "白色短袖T恤,圆领", "红色碎花连衣裙", "黑色牛仔裤")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=200)
    parser.add_argument("--steps", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--quality", action="store_true", help="also with quality columns")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MMGEN_HOME"] = f"{folder}/home"
        measure(options, Path(folder))


def measure(options: argparse.Namespace, folder: Path) -> None:
    from mmgen.values import ImageRequest
    from pipelines.batch_maker import load_quality
    from pipelines.components import load_generator

    generator = load_generator(options.model, device="auto")
    requests = [
        ImageRequest(
            prompt=PROMPTS[row % len(PROMPTS)],
            seed=row,
            num_inference_steps=options.steps,
            model=generator.id,
        )
        for row in range(options.rows)
    ]
    bare_loop(generator, requests[: 2 * generator.micro_batch])
    quality = load_quality() if options.quality else None
    bare, job, scored = [], [], []
    for number in range(options.rounds):
        bare.append(bare_loop(generator, requests))
        job.append(job_run(generator, requests, folder / str(number)))
        if quality:
            target = folder / f"{number}-quality"
            scored.append(job_run(generator, requests, target, quality))
    print(f"rows {options.rows}, steps {options.steps}, {generator.environment}")
    if quality:
        print(f"quality: text-picture score{' and tags' if quality.sees else ''}")
    for name, seconds in (("bare generator loop", bare), ("job", job), ("with quality", scored)):
        each = " ".join(f"{options.rows / second:.3f}" for second in seconds)
        print(f"{name:24s} pictures/s in each round: {each}")
    tell_ratio("job over bare", bare, job)
    if quality:
        tell_ratio("with quality over bare", bare, scored)


def tell_ratio(name: str, bare: list[float], job: list[float]) -> None:
    """Of pictures a second: each round's, and the median."""
    pairs = [one / other for one, other in zip(bare, job, strict=True)]
    each = " ".join(f"{ratio:.3f}" for ratio in pairs)
    print(f"{name:24s} {statistics.median(pairs):.3f} (rounds: {each})")


def bare_loop(generator, requests) -> float:
    """Seconds of the generator alone."""
    size = generator.micro_batch
    began = time.perf_counter()
    for start in range(0, len(requests), size):
        generator.generate(requests[start : start + size], {})
    return time.perf_counter() - began


def job_run(generator, requests, folder: Path, quality=None) -> float:
    """Seconds of a worker's loop on a planned job, until the last picture is committed."""
    from mmgen.home import database_path
    from mmgen.jobs.items import NewItem, item_id
    from mmgen.jobs.queue import ItemQueue
    from mmgen.jobs.store import JobStore
    from mmgen.jobs.worker import Worker
    from pipelines.batch_maker import BatchMaker

    store = JobStore(database_path())
    job = store.create_job(folder=folder)
    store.put_items(
        job,
        (
            NewItem(item_id=item_id(job, str(n), one), row_key=str(n), position=n,
                    request=one, name=str(n), subfolder=f"SKU{n // 4}")
            for n, one in enumerate(requests)
        ),
    )  # fmt: skip
    maker = BatchMaker(generator, store.job(job), quality)
    worker = Worker(
        ItemQueue(store), maker, job=job, name="bench", lease_s=900, tell=lambda event: None
    )
    began = time.perf_counter()
    worker.run()
    seconds = time.perf_counter() - began
    assert store.progress(job).counts["done"] == len(requests)
    store.close()
    return seconds


if __name__ == "__main__":
    main()
