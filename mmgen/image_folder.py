"""A folder of pictures with `metadata.jsonl`: the image-folder convention.

As Hugging Face `datasets` reads it: `metadata.jsonl` holds one JSON object a
line, `file_name` relative to the folder; the first part of `file_name` is the
split.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mmgen.errors import TrainingDataBroken, TrainingDataMissing


def read_rows(folder: Path, split: str | None = None) -> list[dict[str, Any]]:
    """Rows of `metadata.jsonl`, of one split ("train", "validation") or all.

    Raises `TrainingDataMissing` where there is none, `TrainingDataBroken` naming the line.
    """
    path = folder / "metadata.jsonl"
    wanted = f"{path} (one JSON object a line, with file_name and caption)"
    if not path.is_file():
        raise TrainingDataMissing(path=folder, wanted=wanted)
    rows = []
    for number, line in enumerate(path.read_text("utf-8-sig").splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            name, _ = row["file_name"], row["caption"]
        except (ValueError, KeyError, TypeError) as error:
            raise TrainingDataBroken(path=path, line=number, reason=repr(error)) from error
        if split is None or name.split("/")[0] == split:
            rows.append(row)
    if not rows:
        raise TrainingDataMissing(path=folder, wanted=wanted)
    return rows
