"""Chinese of the evaluator and of `mmgen evaluate`."""

from __future__ import annotations

ERRORS = {
    "evaluate.nothing_held_out": "{path} 里只有训练图片（train/）；请给出还有别的图片的目录。",
    "evaluate.no_training_pictures": (
        "{path} 里没有可供检索的训练图片（train/）；请去掉 --retrieve。"
    ),
    "evaluate.not_our_picture": "{path} 不是评测生成的；请用 -o 换一个目录。",
}

NAMES = {
    "limit": "数量 --limit ",
    "retrieve": "检索张数 --retrieve ",
}

INTERFACE = {
    "help.train_evaluator": "训练评测模型：独立的裁判，不参与生成。",
    "help.evaluate": "在没见过的照片上评测模型，写出数字和报告。",
    "help.evaluate_data": "照片目录，其中有 metadata.jsonl",
    "help.evaluate_limit": "只评测其中 N 张，先看个大概",
    "help.evaluate_retrieve": "再画一轮，每张检索 K 张参考图",
    "help.evaluator": "评测模型的目录；默认用自带的",
    "evaluate.reading": "读照片",
    "evaluate.retrieving": "检索参考图",
    "evaluate.drawing": "画图",
    "evaluate.progress": "{what} {done}/{of}，约剩 {left}",
    "evaluate.asked": "{of} 张没见过的照片中评测了 {count} 张，每张 {steps} 步",
    "evaluate.autoencoder": "自编码器：PSNR {psnr:.2f} dB，SSIM {ssim:.3f}",
    "evaluate.towers": (
        "图文双塔：文搜图 R@1 {t2i_r1:.1f}% R@5 {t2i_r5:.1f}% R@10 {t2i_r10:.1f}%，"
        "图搜文 {i2t_r1:.1f}% {i2t_r5:.1f}% {i2t_r10:.1f}%"
    ),
    "evaluate.judge_recall": (
        "裁判自己：文搜图 R@1 {t2i_r1:.1f}% R@5 {t2i_r5:.1f}% R@10 {t2i_r10:.1f}%，"
        "图搜文 {i2t_r1:.1f}% {i2t_r5:.1f}% {i2t_r10:.1f}%"
    ),
    "evaluate.photographs": (
        "照片：描述对应 {r_precision}，品类对 {category}，主色系对 {colour_family}"
    ),
    "evaluate.plain": "生成：描述对应 {r_precision}，品类对 {category}，主色系对 {colour_family}",
    "evaluate.with_references": (
        "带参考图：描述对应 {r_precision}，品类对 {category}，主色系对 {colour_family}"
    ),
    "evaluate.relative": (
        "  相对照片：描述对应 {r_precision}，品类 {category}，主色系 {colour_family}"
    ),
    "evaluate.spread": "  Fréchet 是照片之间的 {frechet} 倍，近似训练图的占 {near_copies}",
    "evaluate.done": "报告：{page}，用时 {elapsed}",
    "evaluate.title": "mmgen 评测报告",
    "evaluate.html_lang": "zh-CN",
    "evaluate.drawn_title": "生成的图片（括号内相对照片）",
    "evaluate.recall_title": "检索：描述与照片互找",
    "evaluate.autoencoder_title": "自编码器：照片进出潜空间一次",
    "evaluate.plain_title": "只凭描述生成",
    "evaluate.references_title": "带检索到的参考图",
    "evaluate.photographs_row": "照片本身",
    "evaluate.towers_row": "图文双塔",
    "evaluate.judge_row": "裁判",
    "evaluate.r_precision": "百里挑一",
    "evaluate.category": "品类",
    "evaluate.colour": "主色系",
    "evaluate.caption": "描述",
    "evaluate.frechet": "Fréchet 倍数",
    "evaluate.near_copies": "近似训练图",
    "evaluate.t_to_i": "文搜图",
    "evaluate.i_to_t": "图搜文",
    "evaluate.sheet": "照片与它的描述，右边是据此生成的图和裁判的判断",
    "evaluate.source": (
        "模型 {model}（{model_sha256}），裁判 {evaluator_sha256}，引导 {guidance}，"
        "mmgen {version}。"
        "百里挑一：自己的描述排在另外 99 条之前。近似训练图：比 99.5% 的新照片更像某张训练图。"
    ),
}
