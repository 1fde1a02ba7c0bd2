"""What the editing commands share: where results go, how they are saved and told."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmgen.files.encode import check_format
from ui.generate import check_folder
from ui.words import say

if TYPE_CHECKING:
    from mmgen.files.write import SavedPicture
    from pipelines.made_picture import MadePicture


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Output:
    """Where and how results are written."""

    folder: Path
    format: str = "png"
    visible_label: bool = False
    overwrite: bool = False
    as_json: bool = False

    def check(self) -> None:
        """Raise where writing is bound to fail, before anything slow."""
        check_format(self.format)
        check_folder(self.folder)

    def save(self, picture: MadePicture, name: str) -> SavedPicture:
        """Write one picture with its label and record."""
        return picture.save(
            self.folder,
            name=name,
            format=self.format,
            visible_label=self.visible_label,
            overwrite=self.overwrite,
        )

    def tell(self, saved: SavedPicture, facts: Mapping[str, Any], words: str = "") -> None:
        """Say where one picture is: a line with `words` for people, or an object with `facts`."""
        if not self.as_json:
            where = say("kept", path=saved.path) if saved.kept else str(saved.path)
            print(f"{where}  {words}".rstrip(), flush=True)
            return
        known = {
            "path": str(saved.path),
            "record": str(saved.record_path) if saved.record_path else None,
            "sha256": saved.sha256,
            "produce_id": saved.label.produce_id if saved.label else None,
            "kept": saved.kept,
        }
        print(json.dumps({**known, **facts}, ensure_ascii=False), flush=True)
