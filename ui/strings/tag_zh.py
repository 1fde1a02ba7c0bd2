"""Tags, likeness and ranking, in Chinese."""

from __future__ import annotations

ERRORS = {
    "tags.other_towers": (
        "{path} 里的标签模型是配另一个双塔（{wanted}）训练的，现在用的双塔是 {got}；"
        "请用 mmgen train tags 重新训练。"
    ),
}

NAMES = {
    "candidates": "候选数 --candidates ",
}

PHRASES = {
    "Directory not empty": "目录不是空的",
    "a number of candidates not below the number of pictures": "不小于要留下的张数",
}

INTERFACE = {
    "help.tag": "看图给出标签：品类、颜色、图案、袖长、领型、长度、面料，附概率。",
    "help.tag_pictures": "要看的图片",
    "help.tag_copy": "另写一段商品文案，只说看到的",
    "help.tag_seed": "换一种文案写法",
    "help.similar": "查撞款：和图库里已有的款是否太像。",
    "help.similar_picture": "要查的设计图",
    "help.similar_catalogue": "图库的名字",
    "help.similar_n": "列出几款",
    "help.similar_sheet": "把相近的款并排存成一张图",
    "help.train_tags": "训练标签：双塔看到的特征到各项属性，一两分钟。",
    "help.tag_towers": "双塔目录；不写就用内置的",
    "help.tag_output": "结果写到这个目录",
    "help.candidates": "每条提示词先画这么多张，留下最符合文字的 -n 张",
    "help.diverse": "留下的图彼此不要太像",
    "tag.category": "品类",
    "tag.colors": "颜色",
    "tag.patterns": "图案",
    "tag.sleeve": "袖长",
    "tag.neckline": "领型",
    "tag.length": "长度",
    "tag.fabric": "面料",
    "tag.wearer": "适用",
    "tag.none": "无",
    "tag.family": "（{family}色系 {p}）",
    "tag.also": "另有 {values}",
    "tag.copy": "文案",
    "tag.trained": "标签模型写在 {folder}，用时 {elapsed}。",
    "similar.same": "同一张图 {likeness}",
    "similar.near": "太像 {likeness}",
    "similar.other": "不同款 {likeness}",
    "similar.design": "要查的设计",
    "similar.verdict_yes": "可能撞款：图库里有太像的款。",
    "similar.verdict_no": "没有发现撞款。",
}
