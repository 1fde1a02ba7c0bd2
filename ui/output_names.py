"""What the files of a prompt are called.

藏青色羊毛大衣-7.png      the beginning of the prompt and the seed
sku-001.png               the id of the line in a prompt file
sku-001-1.png             the id and a number, where there are several pictures
"""

from __future__ import annotations

from mmgen.files.names import picture_name


def names_of(prompt: str, key: str | None, seeds: list[int]) -> list[str]:
    """One name for each seed, without extension; the writer makes it safe for disks."""
    if key is None:
        return [picture_name(prompt, seed) for seed in seeds]
    if len(seeds) == 1:
        return [key]
    return [f"{key}-{number}" for number in range(1, len(seeds) + 1)]
