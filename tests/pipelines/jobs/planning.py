"""Jobs of small pictures, planned and judged from outside."""

from __future__ import annotations

import hashlib
from pathlib import Path

from mmgen.jobs.items import ItemState, NewItem, item_id
from mmgen.values import ImageRequest

MAKER = "job_makers:numpy_maker"


def plan(store, folder, prompts, **values):
    """A job of one 64 x 64 picture a prompt; returns its id."""
    job = store.create_job(folder=folder)
    store.put_items(job, new_items(job, prompts, **values))
    return job


def new_items(job, prompts, *, steps=1, pictures=None):
    pictures = pictures or {}
    for number, prompt in enumerate(prompts):
        request = ImageRequest(
            prompt=prompt,
            seed=number,
            height=64,
            width=64,
            num_inference_steps=steps,
            references=tuple((sha256, 1.0) for sha256 in pictures.get(number, {})),
        )
        key = f"SKU{number:04d}"
        yield NewItem(
            item_id=item_id(job, key, request),
            row_key=key,
            position=number,
            request=request,
            name=f"{key}-1",
            subfolder=key if number % 2 else "",
            pictures=pictures.get(number, {}),
            row={"sku": key},
        )


def prompts(count):
    return [f"第{number}件连衣裙" for number in range(count)]


def hashes(store, job):
    """row_key -> sha256 of the picture that the store says is done."""
    return {item.row_key: item.result.file_sha256 for item in store.items(job) if item.result}


def faults(store, job, count):
    """All that the oracle of the kill tests finds wrong; empty for a job that is whole."""
    folder = Path(store.job(job).folder)
    found = []
    done = {item.result.file: item for item in store.items(job, ItemState.DONE)}
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    pictures = {name for name in there if name.endswith(".png")}
    if len(done) != count:
        found.append(f"{len(done)} items done of {count}")
    found += [f"lost: {name}" for name in done.keys() - pictures]
    found += [f"double or left over: {name}" for name in pictures - done.keys()]
    found += [f"no record: {name}" for name in pictures if f"{name}.json" not in there]
    expected = pictures | {f"{name}.json" for name in pictures}
    found += [f"left over: {name}" for name in there - expected]
    for name in pictures & done.keys():
        digest = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        if digest != done[name].result.file_sha256:
            found.append(f"other bytes: {name}")
    return found
