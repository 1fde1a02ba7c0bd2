"""`mmgen background` and `mmgen mask`: the garment on another ground, or alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mmgen.errors import Missing
from ui.edit_results import Output
from ui.ground_words import words_of
from ui.words import say

if TYPE_CHECKING:
    from pipelines.background import Finish


def background(
    pictures: Sequence[Path], finish: Finish | None, mask: Path | None, output: Output
) -> None:
    """Each picture on another ground, in another size, or both."""
    if finish is None:
        raise Missing(name="--to", advice="give --to COLOUR, --preset NAME or both")
    output.check()
    from pipelines.background import BackgroundPipeline

    pipe = BackgroundPipeline.from_pretrained()
    for path in pictures:
        made = pipe(path, finish, mask=mask)
        ending = finish.preset or ("white" if finish.ground == "white" else "background")
        saved = output.save(made, f"{path.stem}-{ending}")
        found = (made.checks or {}).get("background")
        output.tell(saved, {"background": found}, words_of(found))


def save_masks(pictures: Sequence[Path], part: str, output: Output) -> None:
    """The mask of each picture as a grey PNG, white where the part is."""
    output.check()
    from mmgen.files.write import save_sheet
    from pipelines.edited import read_source
    from pipelines.garment_mask import GarmentMask, select

    finder = GarmentMask.from_pretrained()
    for path in pictures:
        source = read_source(path)
        mask, _, _ = select(source, finder, part=part)
        # A mask is no picture that AI made: it carries no label.
        saved = save_sheet(
            np.repeat((mask * 255).round().astype(np.uint8)[..., None], 3, axis=2),
            [],
            folder=output.folder,
            name=f"{path.stem}-mask",
            overwrite=output.overwrite,
        )
        share = float((mask > 0.5).mean())
        output.tell(saved, {"share": round(share, 4)}, say("mask.share", share=100 * share))
