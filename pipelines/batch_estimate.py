"""How long a picture takes here, from what was drawn before."""

from __future__ import annotations

from mmgen.jobs.items import ItemState
from mmgen.jobs.store import JobStore

_LATEST_JOBS = 20


def estimate_seconds(
    store: JobStore | None, model: str, size: tuple[int, int], steps: int
) -> float | None:
    """Seconds a picture of the latest job with the same model, size and steps; else None.

    `size`: height, width in pixels.
    """
    if store is None:
        return None
    for job in store.jobs()[:_LATEST_JOBS]:
        progress = store.progress(job.job_id)
        if job.params.get("options", {}).get("model") != model or not progress.rate:
            continue
        item = next(store.items(job.job_id, ItemState.DONE), None)
        if item is None:
            continue
        request = item.request
        same = (request["height"], request["width"], request["num_inference_steps"])
        if same == (*size, steps):
            return 1 / progress.rate
    return None
