"""The model card's sheet: 24 fixed prompts, seeds 1 and 2, chosen by nobody.

.venv/bin/python -m tests.benchmarks.sheet [--model FOLDER] [-o assets/models]
"""

from __future__ import annotations

import argparse
import tempfile

from mmgen import TextToImagePipeline
from mmgen.files.sheet import Tile, contact_sheet
from mmgen.files.write import save_sheet

PROMPTS = (
    "红色短袖T恤",
    "白色T恤,胸前印黑色字母",
    "黑白条纹长袖T恤",
    "蓝白格子长袖衬衫,挂在白墙前",
    "白色衬衫,木地板背景",
    "牛仔蓝衬衫",
    "一件黑色连衣裙",
    "粉色碎花连衣裙",
    "红色半身裙",
    "蓝色牛仔裤",
    "黑色运动裤",
    "卡其色短裤",
    "绿色毛衣",
    "灰色连帽卫衣",
    "米白色针织开衫",
    "藏青色羊毛大衣",
    "军绿色夹克",
    "黑色西装外套",
    "黄色雨衣",
    "黑色羽绒服",
    "白色运动鞋",
    "棕色皮鞋",
    "一顶黑色棒球帽",
    "紫色毛线帽",
)
SEEDS = (1, 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="embedded")
    parser.add_argument("-o", "--output", default="assets/models")
    options = parser.parse_args()
    pipe = TextToImagePipeline.from_pretrained(options.model)
    made = pipe(PROMPTS, num_images_per_prompt=len(SEEDS), seed=SEEDS[0]).pictures
    tiles = [
        Tile(picture=picture.image, caption=picture.request.prompt, note=str(picture.request.seed))
        for picture in made
    ]
    sheet = contact_sheet(tiles, columns=8)
    with tempfile.TemporaryDirectory() as folder:
        ids = [picture.save(folder).label.produce_id for picture in made]
    saved = save_sheet(
        sheet,
        ids,
        folder=options.output,
        format="webp",
        overwrite=True,
    )
    print(saved.path)


if __name__ == "__main__":
    main()
